"""Clusters: made, described, listed, changed, ended."""

from collections.abc import Mapping
from typing import Any

from drydock_emr.api import requests, views
from drydock_emr.api.operations.service import (
    PAGE_SIZE,
    Handler,
    Input,
    Output,
    Service,
    find_cluster,
    find_job_flow,
    make_marker,
    page,
    read_marker,
    require_modifiable,
    without_none,
)
from drydock_emr.errors import InvalidRequest, ValidationError
from drydock_emr.gateway import Caller, RoleRefused
from drydock_emr.state import transitions
from drydock_emr.state.cluster import ACCEPTING_STATES, ACTIVE_STATES, ClusterState

MAX_TERMINATED_AT_ONCE = 10


async def run_job_flow(service: Service, caller: Caller, request: Input) -> Output:
    # Refuse a malformed request before anyone is asked about its roles.
    requests.new_cluster(dict(request), caller.account_id, caller.region, now=0)
    with service.control_plane.reading() as records:
        _check_security_configuration(records, caller, request.get("SecurityConfiguration"))
    await _check_instance_profile(service, caller, request["JobFlowRole"])
    with service.control_plane.changing() as (records, now):
        cluster = requests.new_cluster(dict(request), caller.account_id, caller.region, now)
        records.add(cluster)
    service.control_plane.wants_validation(cluster.id)
    return {"JobFlowId": cluster.id, "ClusterArn": cluster.arn}


async def describe_cluster(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        return {"Cluster": views.cluster(find_cluster(records, caller, request["ClusterId"]))}


async def list_clusters(service: Service, caller: Caller, request: Input) -> Output:
    """A marker names the next cluster, so that one that is made meanwhile moves nothing from page to page."""
    begin = read_marker(request.get("Marker"), r"cluster:(\d+\.\d+):(j-[A-Z0-9]+)")
    with service.control_plane.reading() as records:
        clusters = records.list_clusters(
            caller.account_id,
            caller.region,
            states=[ClusterState(state) for state in request.get("ClusterStates", [])],
            created_after=request.get("CreatedAfter"),
            created_before=request.get("CreatedBefore"),
            begin=(float(begin[0]), begin[1]) if begin else None,
            limit=PAGE_SIZE + 1,
        )
        shown, following = clusters[:PAGE_SIZE], clusters[PAGE_SIZE:]
        return without_none(
            Clusters=[views.cluster_summary(cluster) for cluster in shown],
            Marker=make_marker(f"cluster:{following[0].created_at!r}:{following[0].id}") if following else None,
        )


async def list_bootstrap_actions(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        cluster = find_cluster(records, caller, request["ClusterId"])
        actions, marker = page(cluster.request.get("BootstrapActions", []), request.get("Marker"))
        return without_none(BootstrapActions=[views.bootstrap_action(action) for action in actions], Marker=marker)


async def terminate_job_flows(service: Service, caller: Caller, request: Input) -> Output:
    if len(request["JobFlowIds"]) > MAX_TERMINATED_AT_ONCE:
        raise ValidationError(f"At most {MAX_TERMINATED_AT_ONCE} job flows can be terminated in one request.")
    with service.control_plane.changing() as (records, now):
        clusters = [find_job_flow(records, caller, cluster_id) for cluster_id in request["JobFlowIds"]]
        protected = [c for c in clusters if c.termination_protected and c.state in ACCEPTING_STATES]
        for cluster in clusters:
            if cluster not in protected:
                transitions.terminate(cluster, now)
    if protected:
        raise ValidationError("Could not shut down one or more job flows since they are termination protected.")
    return {}


async def modify_cluster(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, _):
        cluster = find_cluster(records, caller, request["ClusterId"])
        if cluster.state not in ACCEPTING_STATES:
            raise InvalidRequest("A job flow that is shutting down, terminated, or finished may not be modified.")
        if (level := request.get("StepConcurrencyLevel")) is not None:
            requests.check_step_concurrency(level)
            cluster.step_concurrency = level
        return {"StepConcurrencyLevel": cluster.step_concurrency}


async def set_termination_protection(service: Service, caller: Caller, request: Input) -> Output:
    return _set(service, caller, request, termination_protected=request["TerminationProtected"])


async def set_keep_job_flow_alive_when_no_steps(service: Service, caller: Caller, request: Input) -> Output:
    return _set(service, caller, request, keep_alive=request["KeepJobFlowAliveWhenNoSteps"])


async def set_visible_to_all_users(service: Service, caller: Caller, request: Input) -> Output:
    return _set(service, caller, request, visible_to_all_users=request["VisibleToAllUsers"])


async def set_unhealthy_node_replacement(service: Service, caller: Caller, request: Input) -> Output:
    return _set(service, caller, request, unhealthy_node_replacement=request["UnhealthyNodeReplacement"])


async def add_tags(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, _):
        cluster = _taggable(records, caller, request["ResourceId"])
        cluster.tags = requests.tags({**cluster.tags}, request["Tags"])
    return {}


async def remove_tags(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, _):
        cluster = _taggable(records, caller, request["ResourceId"])
        cluster.tags = {key: value for key, value in cluster.tags.items() if key not in request["TagKeys"]}
    return {}


OPERATIONS: Mapping[str, Handler] = {
    "RunJobFlow": run_job_flow,
    "DescribeCluster": describe_cluster,
    "ListClusters": list_clusters,
    "ListBootstrapActions": list_bootstrap_actions,
    "TerminateJobFlows": terminate_job_flows,
    "ModifyCluster": modify_cluster,
    "SetTerminationProtection": set_termination_protection,
    "SetKeepJobFlowAliveWhenNoSteps": set_keep_job_flow_alive_when_no_steps,
    "SetVisibleToAllUsers": set_visible_to_all_users,
    "SetUnhealthyNodeReplacement": set_unhealthy_node_replacement,
    "AddTags": add_tags,
    "RemoveTags": remove_tags,
}


def _set(service: Service, caller: Caller, request: Input, **attribute: bool) -> Output:
    """Give all the clusters named the attribute, or none of them."""
    with service.control_plane.changing() as (records, _):
        for cluster_id in request["JobFlowIds"]:
            cluster = require_modifiable(find_job_flow(records, caller, cluster_id))
            for name, value in attribute.items():
                setattr(cluster, name, value)
    return {}


def _taggable(records: Any, caller: Caller, resource_id: str) -> Any:
    """Tags of a cluster that is no longer active cannot be changed (EMR Management Guide, «Tag clusters»)."""
    cluster = find_cluster(records, caller, resource_id)
    if cluster.state not in ACTIVE_STATES:
        raise InvalidRequest(f"Tags of cluster {resource_id} cannot be changed: it is {cluster.state}.")
    return cluster


def _check_security_configuration(records: Any, caller: Caller, name: str | None) -> None:
    if name is not None and records.security_configuration(name, caller.account_id, caller.region) is None:
        raise ValidationError(f"Security configuration with name '{name}' does not exist.")


async def _check_instance_profile(service: Service, caller: Caller, name: str) -> None:
    """The profile has to hold a role of its own name that EC2 may assume, as EMR demands."""
    try:
        session = await service.gateway.service_session(
            "ec2.amazonaws.com",
            account_id=caller.account_id,
            region=caller.region,
            session_name="RunJobFlow",
            instance_profile=name,
        )
    except RoleRefused as error:
        if error.code == "AccessDenied":
            raise ValidationError(f"Failed to authorize instance profile {name}") from error
        raise ValidationError(f"Invalid InstanceProfile: {name}.") from error
    profile_name, role_name = name.rpartition("/")[2], session["RoleArn"].rpartition("/")[2]
    if role_name != profile_name:
        raise ValidationError(f"Invalid InstanceProfile: {name}.")
