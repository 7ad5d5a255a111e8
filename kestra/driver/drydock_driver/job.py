"""A job's whole run: a cluster of its own, one step, and the cluster's end, whatever happens in between."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drydock_driver import cluster, creation, steps
from drydock_driver.cluster import JobRun
from drydock_driver.creation import Earlier
from drydock_driver.emr_api import ENDED_STATES, Cluster, Emr, ListedCluster, Step
from drydock_driver.errors import Interrupted, StillAlive
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Liveness
from drydock_driver.logs import StepLogs
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Patience

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# EMR delivers logs every five minutes.
LATE_LOGS_SECONDS = 360


@dataclass(frozen=True)
class Limits:
    """How long each part may take, in seconds."""

    unreachable_seconds: float
    ready_seconds: float = 0
    step_seconds: float = 0
    late_logs_seconds: float = 0

    @property
    def ready(self) -> Patience:
        return Patience(self.ready_seconds, self.unreachable_seconds)

    @property
    def steps(self) -> Patience:
        return Patience(self.step_seconds, self.unreachable_seconds)

    @property
    def late_logs(self) -> Patience:
        return Patience(self.late_logs_seconds, min(self.late_logs_seconds, self.unreachable_seconds))


@dataclass(frozen=True)
class Driver:
    """What every command works with."""

    platform: Platform
    emr: Emr
    s3: "S3Client"
    liveness: Liveness
    interruption: Interruption
    reporter: Reporter
    limits: Limits

    def create(self, run: JobRun) -> tuple[Cluster, bool]:
        """A cluster that takes steps, and whether it was there before.

        A new one that does not get there is ended; one that was there only when a signal stops the wait for it: it may
        have a maker that lives, whose signal this is as well.
        """
        if active := self._earlier(run).active:
            self._take_over(active[0], run)
            with self.ended_if_interrupted(active[0]):
                return self.wait_until_ready(active[0]), True
        cluster_id = self._create(run)
        with self._ended_on_failure(cluster_id):
            return self.wait_until_ready(cluster_id), False

    def end(self, run: JobRun) -> list[Cluster]:
        """End what is active of a run, found by its name; all clusters of it, as they ended, newest first."""
        earlier = self._earlier(run)
        ended = [self.terminate(cluster_id) for cluster_id in earlier.active]
        past = [each.id for each in earlier.past if each.state in ENDED_STATES]
        ending = [each.id for each in earlier.past if each.state not in ENDED_STATES]
        return ended + [self.terminate(cluster_id) for cluster_id in ending] + list(map(self.emr.cluster, past))

    @contextmanager
    def ended_if_interrupted(self, cluster_id: str) -> Iterator[None]:
        """End the cluster when a signal comes. Cannot it be ended, one sentence tells of both."""
        try:
            yield
        except Interrupted:
            with self._ended_on_failure(cluster_id):
                raise

    def run(self, run: JobRun, args: Sequence[str], action_on_failure: str, *, stderr_too: bool) -> dict[str, Any]:
        """Run one step on a cluster of its own; ids and states. Whatever happens, the cluster is ended.

        Started again with the same run, it goes on where the earlier attempt was: with its cluster, its step, or the
        result that the step has had. Raises StepFailed, ClusterFailed, TimedOut or Interrupted, each after the cluster
        has ended, and StillAlive when it has not.
        """
        name = f"{run.job} {run.day.isoformat()}"
        earlier = self._earlier(run)
        if not earlier.active and (past := self._past_result(earlier.past, name, args)) is not None:
            ended, step = past
            logs = self.logs(ended, step.id, stderr_too=stderr_too)
            self.finish_logs(logs, step)
            steps.check([step], [logs], ended.id)
            return _result(ended, step, logs)
        cluster_id = earlier.active[0] if earlier.active else self._create(run)
        done: list[Step] = []
        try:
            with self._ended_on_failure(cluster_id):
                if earlier.active:
                    self._take_over(cluster_id, run)
                ready = self.wait_until_ready(cluster_id)
                step_id, _ = self.submit(cluster_id, name, args, action_on_failure)
                logs = self.logs(ready, step_id, stderr_too=stderr_too)
                done = self.wait_for_steps(cluster_id, [logs])
                steps.check(done, [logs], cluster_id)
            ended = self.terminate(cluster_id)
        finally:
            if done:  # EMR delivers the last of the logs when the cluster ends
                self.finish_logs(logs, done[0])
        return _result(ended, done[0], logs)

    def submit(self, cluster_id: str, name: str, args: Sequence[str], action_on_failure: str) -> tuple[str, bool]:
        """The step's id, and whether it was there before."""
        self.liveness.renew(cluster_id)
        return steps.submit(
            self.emr,
            cluster_id,
            name,
            args,
            action_on_failure,
            self.interruption,
            self.reporter,
            self.limits.unreachable_seconds,
        )

    def wait_until_ready(self, cluster_id: str) -> Cluster:
        return cluster.wait_until_ready(
            self.emr, cluster_id, self.liveness, self.interruption, self.reporter, self.limits.ready
        )

    def wait_for_steps(self, cluster_id: str, logs: Sequence[StepLogs]) -> list[Step]:
        return steps.wait_for_steps(
            self.emr, cluster_id, logs, self.liveness, self.interruption, self.reporter, self.limits.steps
        )

    def terminate(self, cluster_id: str) -> Cluster:
        return cluster.terminate(
            self.emr, cluster_id, self.interruption, self.reporter, self.limits.unreachable_seconds
        )

    def logs(self, of: Cluster, step_id: str, *, stderr_too: bool) -> StepLogs:
        """The step's logs, where the cluster itself says that they go."""
        log_uri = of.log_uri or self.platform.log_uri
        return StepLogs(self.s3, log_uri, of.id, step_id, self.reporter, stderr_too=stderr_too)

    def finish_logs(self, logs: StepLogs, step: Step, *, wait: bool = True) -> None:
        """Show the rest of the logs. What became of the step is known: a signal only ends the wait for them."""
        patience = self.limits.late_logs if wait else Patience(0, 0)
        with suppress(Interrupted):
            logs.finish(step, patience, self.interruption.wait)

    def results(self, ended: Cluster) -> list[dict[str, Any]]:
        """The steps of a cluster that has ended; `told` is what each says it has done. EMR has delivered all logs then,
        or is about to."""
        found = []
        for step in self.emr.steps(ended.id):
            logs = self.logs(ended, step.id, stderr_too=False)
            with suppress(Interrupted):
                told = logs.summary(step, self.limits.late_logs, self.interruption.wait)
                found.append({**step.document(), "told": told})
        return found

    def _earlier(self, run: JobRun) -> Earlier:
        name = run.cluster_name(self.platform)
        return creation.earlier(self.emr, name, self.interruption, self.limits.unreachable_seconds)

    def _create(self, run: JobRun) -> str:
        return creation.create(
            self.emr,
            self.platform,
            run,
            self.liveness,
            self.interruption,
            self.reporter,
            self.limits.unreachable_seconds,
        )

    def _take_over(self, cluster_id: str, run: JobRun) -> None:
        self.reporter.news(f"cluster {cluster_id} ({run.cluster_name(self.platform)}) is active: it is taken over")
        self.liveness.renew(cluster_id)  # before anything else: a sweep may be under way

    def _past_result(
        self, past: Sequence[ListedCluster], name: str, args: Sequence[str]
    ) -> tuple[Cluster, Step] | None:
        """What an earlier attempt came to: a step that was run to its end, on a cluster that has ended since."""
        for listed in past:
            ended = self.emr.cluster(listed.id) if listed.state in ENDED_STATES else self.terminate(listed.id)
            step = steps.find(self.emr, listed.id, name, args)
            if step is not None and step.state in ("COMPLETED", "FAILED"):
                self.reporter.news(f"cluster {listed.id} ({listed.name}) has run step {step.id}: that is the result")
                self.reporter.step(step)
                return ended, step
        return None

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


def _result(ended: Cluster, step: Step, logs: StepLogs) -> dict[str, Any]:
    return ended.document() | {"steps": [step.document()], "logs": f"{logs.folder}/"}
