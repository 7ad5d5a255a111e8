"""The calls of EMR that the driver makes, typed, with AWS's errors translated.

Reading, tagging and terminating may be repeated by botocore as it likes. `RunJobFlow` and `AddJobFlowSteps` have no
client token: repeated after a lost answer they would start a second cluster or run a job twice. Only a throttled call
is sent again here, since that one is known to have done nothing; `asking` sees to lost answers.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from drydock_driver.errors import THROTTLING_CODES, aws_errors

if TYPE_CHECKING:
    from types_boto3_emr import EMRClient
    from types_boto3_emr.literals import ClusterStateType

ACTIVE_STATES: tuple["ClusterStateType", ...] = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
READY_STATES = ("RUNNING", "WAITING")
ENDED_STATES = ("TERMINATED", "TERMINATED_WITH_ERRORS")
STEP_ENDED_STATES = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
THROTTLED_REPEATS = 5
T = TypeVar("T")


@dataclass(frozen=True)
class Cluster:
    """What `DescribeCluster` says of a cluster."""

    id: str
    name: str
    state: str
    reason_code: str
    reason: str
    log_uri: str | None
    tags: dict[str, str] = field(default_factory=dict, compare=False)
    created_at: datetime | None = field(default=None, compare=False)
    ended_at: datetime | None = field(default=None, compare=False)

    @property
    def ready(self) -> bool:
        return self.state in READY_STATES

    @property
    def ended(self) -> bool:
        return self.state in ENDED_STATES

    def document(self) -> dict[str, str]:
        """For programs: ids and state."""
        return {"cluster_id": self.id, "name": self.name, "state": self.state, "reason": self.reason}


@dataclass(frozen=True)
class ListedCluster:
    """What `ListClusters` says of a cluster."""

    id: str
    name: str
    state: str


@dataclass(frozen=True)
class Step:
    """What `DescribeStep` says of a step. `failure` is its FailureDetails as one text, empty when AWS has none.

    `started_at` and `ended_at` are None for as long as AWS has no such time.
    """

    id: str
    name: str
    state: str
    reason: str
    failure: str
    args: tuple[str, ...]
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.state in STEP_ENDED_STATES

    def document(self) -> dict[str, str]:
        """For programs: ids and state."""
        return {
            "step_id": self.id,
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "failure": self.failure,
        }


class Emr:
    """EMR in one region, as one principal. `pause` waits out a throttled call; what it raises ends the call."""

    def __init__(self, session: boto3.Session, region: str, pause: Callable[[float], None] = time.sleep) -> None:
        patient = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=30)
        once = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        with aws_errors("make a client of EMR"):
            self._client: EMRClient = session.client("emr", region_name=region, config=patient)
            self._unrepeatable: EMRClient = session.client("emr", region_name=region, config=once)
        self._pause = pause

    def run_job_flow(self, request: dict[str, Any]) -> str:
        """Create a cluster; its id. Raises AwsUnreachable when it is not known whether there is one now."""
        with aws_errors(f"create cluster {request['Name']}"):
            return self._unless_throttled(lambda: self._unrepeatable.run_job_flow(**request)["JobFlowId"])

    def add_step(self, cluster_id: str, name: str, args: Sequence[str], action_on_failure: str) -> str:
        """Submit a `command-runner.jar` step; its id."""
        step: Any = {
            "Name": name,
            "ActionOnFailure": action_on_failure,
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(args)},
        }
        with aws_errors(f"submit step {name} to cluster {cluster_id}"):
            return self._unless_throttled(
                lambda: self._unrepeatable.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"][0]
            )

    def cluster(self, cluster_id: str) -> Cluster:
        """DescribeCluster."""
        with aws_errors(f"look at cluster {cluster_id}"):
            found = self._client.describe_cluster(ClusterId=cluster_id)["Cluster"]
        status = found.get("Status", {})
        reason, timeline = status.get("StateChangeReason", {}), status.get("Timeline", {})
        return Cluster(
            id=found.get("Id", cluster_id),
            name=found.get("Name", ""),
            state=status.get("State", ""),
            reason_code=reason.get("Code", ""),
            reason=reason.get("Message", ""),
            log_uri=found.get("LogUri"),
            tags={tag.get("Key", ""): tag.get("Value", "") for tag in found.get("Tags", [])},
            created_at=timeline.get("CreationDateTime"),
            ended_at=timeline.get("EndDateTime"),
        )

    def step(self, cluster_id: str, step_id: str) -> Step:
        """DescribeStep."""
        with aws_errors(f"look at step {step_id} of cluster {cluster_id}"):
            return _step(self._client.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"])

    def steps(self, cluster_id: str) -> list[Step]:
        """All steps of a cluster, oldest first."""
        with aws_errors(f"list the steps of cluster {cluster_id}"):
            pages = self._client.get_paginator("list_steps").paginate(ClusterId=cluster_id)
            return [_step(step) for page in pages for step in page["Steps"]][::-1]

    def clusters(
        self, states: Sequence["ClusterStateType"] = (), created_after: datetime | None = None
    ) -> list[ListedCluster]:
        """The clusters in these states (in any, if none is given), newest first."""
        wanted: dict[str, Any] = {"ClusterStates": list(states)} if states else {}
        if created_after is not None:
            wanted["CreatedAfter"] = created_after
        with aws_errors("list the clusters"):
            pages = self._client.get_paginator("list_clusters").paginate(**wanted)
            return [
                ListedCluster(each["Id"], each.get("Name", ""), each.get("Status", {}).get("State", ""))
                for page in pages
                for each in page["Clusters"]
            ]

    def clusters_named(
        self, name: str, created_after: datetime, states: Sequence["ClusterStateType"] = ()
    ) -> list[ListedCluster]:
        """The clusters of that very name, newest first."""
        return [cluster for cluster in self.clusters(states, created_after) if cluster.name == name]

    def add_tags(self, cluster_id: str, tags: Mapping[str, str]) -> None:
        """AddTags: a tag that is there gets the new value."""
        with aws_errors(f"tag cluster {cluster_id}"):
            self._client.add_tags(
                ResourceId=cluster_id, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
            )

    def terminate(self, cluster_id: str) -> None:
        """TerminateJobFlows: asked for, not yet done."""
        with aws_errors(f"terminate cluster {cluster_id}"):
            self._client.terminate_job_flows(JobFlowIds=[cluster_id])

    def cancel_steps(self, cluster_id: str, step_ids: Iterable[str]) -> None:
        """CancelSteps, running ones included."""
        with aws_errors(f"cancel the steps of cluster {cluster_id}"):
            self._client.cancel_steps(
                ClusterId=cluster_id, StepIds=list(step_ids), StepCancellationOption="SEND_INTERRUPT"
            )

    def _unless_throttled(self, call: Callable[[], T]) -> T:
        for attempt in itertools.count():
            try:
                return call()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in THROTTLING_CODES or attempt == THROTTLED_REPEATS:
                    raise
            self._pause(random.uniform(0.5, 1.0) * 2**attempt)  # noqa: S311  spreads load, hides nothing
        raise AssertionError("count() does not end")


def _step(found: Any) -> Step:
    status = found.get("Status", {})
    details = status.get("FailureDetails", {})
    timeline = status.get("Timeline", {})
    parts = (details.get("Reason"), details.get("Message"), details.get("LogFile"))
    return Step(
        id=found["Id"],
        name=found.get("Name", ""),
        state=status.get("State", ""),
        reason=status.get("StateChangeReason", {}).get("Message", ""),
        failure=" ".join(part for part in parts if part),
        args=tuple(found.get("Config", {}).get("Args", ())),
        started_at=timeline.get("StartDateTime"),
        ended_at=timeline.get("EndDateTime"),
    )
