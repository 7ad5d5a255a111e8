"""A job's whole run: a cluster of its own, one step, and the cluster's end, whatever happens in between."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drydock_driver import cluster, steps
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import Cluster, Emr, Step
from drydock_driver.errors import StillAlive
from drydock_driver.interruption import Interruption
from drydock_driver.logs import StepLogs
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Patience

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LATE_LOGS_SECONDS = 10


@dataclass(frozen=True)
class Limits:
    """How long each part may take, in seconds."""

    ready_seconds: float
    step_seconds: float
    unreachable_seconds: float

    @property
    def ready(self) -> Patience:
        return Patience(self.ready_seconds, self.unreachable_seconds)

    @property
    def steps(self) -> Patience:
        return Patience(self.step_seconds, self.unreachable_seconds)


@dataclass(frozen=True)
class Driver:
    """What every command works with."""

    platform: Platform
    emr: Emr
    s3: "S3Client"
    interruption: Interruption
    reporter: Reporter
    limits: Limits

    def create(self, run: JobRun) -> tuple[Cluster, bool]:
        """A cluster that takes steps, and whether it was there before. A new one that does not get there is ended."""
        cluster_id, adopted = self._ask_for_cluster(run)
        if adopted:
            return self.wait_until_ready(cluster_id), True
        with self._ended_on_failure(cluster_id):
            return self.wait_until_ready(cluster_id), False

    def run(self, run: JobRun, args: Sequence[str], action_on_failure: str) -> dict[str, Any]:
        """Run one step on a cluster of its own; ids and states. Whatever happens, the cluster is ended.

        Raises StepFailed, ClusterFailed, TimedOut or Interrupted, each after the cluster has ended, and StillAlive
        when it has not.
        """
        cluster_id, adopted = self._ask_for_cluster(run)
        name = f"{run.job} {run.day.isoformat()}"
        done: list[Step] = []
        try:
            with self._ended_on_failure(cluster_id):
                ready = self.wait_until_ready(cluster_id)
                logs = self.logs(
                    ready, steps.submit(self.emr, cluster_id, name, args, action_on_failure, adopted=adopted)
                )
                done = self.wait_for_steps(cluster_id, [logs])
                steps.check(done, cluster_id)
            ended = self.terminate(cluster_id)
        finally:
            if done:  # EMR delivers the last of the logs when the cluster ends
                logs.finish(failed=done[0].state != "COMPLETED", patience_seconds=LATE_LOGS_SECONDS)
        return ended.document() | {"steps": [step.document() for step in done], "logs": f"{logs.folder}/"}

    def wait_until_ready(self, cluster_id: str) -> Cluster:
        return cluster.wait_until_ready(self.emr, cluster_id, self.interruption, self.reporter, self.limits.ready)

    def wait_for_steps(self, cluster_id: str, logs: Sequence[StepLogs]) -> list[Step]:
        return steps.wait_for_steps(self.emr, cluster_id, logs, self.interruption, self.reporter, self.limits.steps)

    def terminate(self, cluster_id: str) -> Cluster:
        return cluster.terminate(
            self.emr, cluster_id, self.interruption, self.reporter, self.limits.unreachable_seconds
        )

    def logs(self, of: Cluster, step_id: str) -> StepLogs:
        """The step's logs, where the cluster itself says that they go."""
        return StepLogs(self.s3, of.log_uri or self.platform.log_uri, of.id, step_id, self.reporter)

    def _ask_for_cluster(self, run: JobRun) -> tuple[str, bool]:
        return cluster.create(self.emr, self.platform, run, self.interruption, self.reporter)

    @contextmanager
    def _ended_on_failure(self, cluster_id: str) -> Iterator[None]:
        """End the cluster when what is done with it fails. Cannot it be ended, one sentence tells of both."""
        try:
            yield
        except BaseException as failure:
            try:
                self.terminate(cluster_id)
            except StillAlive as alive:
                raise StillAlive(f"{failure} {alive}") from failure
            raise
