"""EMR's operations, as far as they are built: one method each, named as in the model.

Each takes the caller and its checked input, and answers the output of EMR's model.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from drydock_emr.api import requests, views
from drydock_emr.control_plane import ControlPlane
from drydock_emr.errors import InvalidRequest, ValidationError
from drydock_emr.gateway import Caller, Gateway, RoleRefused
from drydock_emr.node_protocol import CancelOption
from drydock_emr.state import transitions
from drydock_emr.state.cluster import ACCEPTING_STATES, Cluster, ClusterState, StepState
from drydock_emr.state.store import Records

PAGE_SIZE = 50
MAX_TERMINATED_AT_ONCE = 10
MAX_LISTED_STEP_IDS = 10
MAX_CANCELLED_AT_ONCE = 256

T = TypeVar("T")
Input = Mapping[str, Any]
Output = dict[str, Any]


class Operations:
    """`built` maps the names of the model's operations to methods."""

    def __init__(self, control_plane: ControlPlane, gateway: Gateway) -> None:
        self._control_plane = control_plane
        self._gateway = gateway
        self.built: Mapping[str, Callable[[Caller, Input], Awaitable[Output]]] = {
            "RunJobFlow": self.run_job_flow,
            "AddJobFlowSteps": self.add_job_flow_steps,
            "CancelSteps": self.cancel_steps,
            "DescribeCluster": self.describe_cluster,
            "DescribeStep": self.describe_step,
            "ListClusters": self.list_clusters,
            "ListInstances": self.list_instances,
            "ListSteps": self.list_steps,
            "TerminateJobFlows": self.terminate_job_flows,
        }

    async def run_job_flow(self, caller: Caller, request: Input) -> Output:
        # Refuse a malformed request before anyone is asked about its roles.
        requests.new_cluster(dict(request), caller.account_id, caller.region, now=0)
        await self._check_instance_profile(caller, request["JobFlowRole"])
        with self._control_plane.changing() as (records, now):
            cluster = requests.new_cluster(dict(request), caller.account_id, caller.region, now)
            records.add(cluster)
            return {"JobFlowId": cluster.id, "ClusterArn": cluster.arn}

    async def add_job_flow_steps(self, caller: Caller, request: Input) -> Output:
        with self._control_plane.changing() as (records, now):
            cluster = _job_flow(records, caller, request["JobFlowId"])
            if cluster.state not in ACCEPTING_STATES:
                raise ValidationError("A job flow that is shutting down, terminated, or finished may not be modified.")
            return {"StepIds": requests.add_steps(cluster, request["Steps"], now)}

    async def cancel_steps(self, caller: Caller, request: Input) -> Output:
        if len(request["StepIds"]) > MAX_CANCELLED_AT_ONCE:
            raise InvalidRequest(f"At most {MAX_CANCELLED_AT_ONCE} steps can be cancelled in one request.")
        option = CancelOption(request.get("StepCancellationOption", CancelOption.SEND_INTERRUPT))
        with self._control_plane.changing() as (records, now):
            cluster = _cluster(records, caller, request["ClusterId"])
            answers = []
            for step_id in request["StepIds"]:
                step = cluster.step(step_id)
                if step is None:
                    raise InvalidRequest(f"Step id '{step_id}' is not valid.")
                if transitions.cancel_step(step, option, now):
                    answers.append({"StepId": step_id, "Status": "SUBMITTED"})
                else:
                    reason = f"Step is in state {step.state} and can no longer be cancelled."
                    answers.append({"StepId": step_id, "Status": "FAILED", "Reason": reason})
            return {"CancelStepsInfoList": answers}

    async def describe_cluster(self, caller: Caller, request: Input) -> Output:
        with self._control_plane.reading() as records:
            return {"Cluster": views.cluster(_cluster(records, caller, request["ClusterId"]))}

    async def describe_step(self, caller: Caller, request: Input) -> Output:
        with self._control_plane.reading() as records:
            step = _cluster(records, caller, request["ClusterId"]).step(request["StepId"])
            if step is None:
                raise InvalidRequest(f"Step id '{request['StepId']}' is not valid.")
            return {"Step": views.step(step)}

    async def list_clusters(self, caller: Caller, request: Input) -> Output:
        offset = _offset(request.get("Marker"))
        with self._control_plane.reading() as records:
            clusters = records.list_clusters(
                caller.account_id,
                caller.region,
                states=[ClusterState(state) for state in request.get("ClusterStates", [])],
                created_after=request.get("CreatedAfter"),
                created_before=request.get("CreatedBefore"),
                offset=offset,
                limit=PAGE_SIZE + 1,
            )
            answer: Output = {"Clusters": [views.cluster_summary(cluster) for cluster in clusters[:PAGE_SIZE]]}
            if len(clusters) > PAGE_SIZE:
                answer["Marker"] = _marker(offset + PAGE_SIZE)
            return answer

    async def list_steps(self, caller: Caller, request: Input) -> Output:
        ids = request.get("StepIds", [])
        states = {StepState(state) for state in request.get("StepStates", [])}
        if len(ids) > MAX_LISTED_STEP_IDS:
            raise InvalidRequest(f"At most {MAX_LISTED_STEP_IDS} step ids can be given.")
        with self._control_plane.reading() as records:
            cluster = _cluster(records, caller, request["ClusterId"])
            for step_id in ids:
                if cluster.step(step_id) is None:
                    raise InvalidRequest(f"Step id '{step_id}' is not valid.")
            steps = [
                step for step in cluster.steps if (not ids or step.id in ids) and (not states or step.state in states)
            ]
            if not ids and not states:
                steps.reverse()
            page, marker = _page(steps, request.get("Marker"))
            return {"Steps": [views.step(step) for step in page], **marker}

    async def list_instances(self, caller: Caller, request: Input) -> Output:
        with self._control_plane.reading() as records:
            cluster = _cluster(records, caller, request["ClusterId"])
            markets = {group.id: group.market for group in cluster.groups}
            group_id, types, states = (
                request.get(name) for name in ("InstanceGroupId", "InstanceGroupTypes", "InstanceStates")
            )
            if group_id and group_id not in markets:
                raise InvalidRequest(f"Instance group id '{group_id}' is not valid.")
            instances = [
                instance
                for instance in cluster.instances
                if (not group_id or instance.group_id == group_id)
                and (not types or instance.role in types)
                and (not states or instance.state in states)
            ]
            page, marker = _page(instances, request.get("Marker"))
            return {"Instances": [views.instance(i, markets[i.group_id]) for i in page], **marker}

    async def terminate_job_flows(self, caller: Caller, request: Input) -> Output:
        if len(request["JobFlowIds"]) > MAX_TERMINATED_AT_ONCE:
            raise ValidationError(f"At most {MAX_TERMINATED_AT_ONCE} job flows can be terminated in one request.")
        with self._control_plane.changing() as (records, now):
            clusters = [_job_flow(records, caller, cluster_id) for cluster_id in request["JobFlowIds"]]
            protected = [c for c in clusters if c.termination_protected and c.state in ACCEPTING_STATES]
            for cluster in clusters:
                if cluster not in protected:
                    transitions.terminate(cluster, now)
        if protected:
            raise ValidationError("Could not shut down one or more job flows since they are termination protected.")
        return {}

    async def _check_instance_profile(self, caller: Caller, name: str) -> None:
        try:
            await self._gateway.service_session(
                "ec2.amazonaws.com",
                account_id=caller.account_id,
                region=caller.region,
                session_name="RunJobFlow",
                instance_profile=name,
            )
        except RoleRefused as error:
            if error.code == "NoSuchEntity":
                raise ValidationError(f"Invalid InstanceProfile: {name}.") from error
            raise ValidationError(f"Failed to authorize instance profile {name}") from error


def _cluster(records: Records, caller: Caller, cluster_id: str) -> Cluster:
    cluster = records.cluster(cluster_id, caller.account_id, caller.region)
    if cluster is None:
        raise InvalidRequest(f"Cluster id '{cluster_id}' is not valid.")
    return cluster


def _job_flow(records: Records, caller: Caller, cluster_id: str) -> Cluster:
    """The same for the operations of the older half of the API, which say it differently."""
    cluster = records.cluster(cluster_id, caller.account_id, caller.region)
    if cluster is None:
        raise ValidationError("Specified job flow ID does not exist.")
    return cluster


def _page(items: Sequence[T], marker: str | None) -> tuple[Sequence[T], Output]:
    offset = _offset(marker)
    rest = {"Marker": _marker(offset + PAGE_SIZE)} if len(items) > offset + PAGE_SIZE else {}
    return items[offset : offset + PAGE_SIZE], rest


def _marker(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset(marker: str | None) -> int:
    if not marker:
        return 0
    try:
        name, _, offset = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
        if name == "offset" and offset.isdecimal():
            return int(offset)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise InvalidRequest("The marker is not valid: give the one that the last page came with.")
