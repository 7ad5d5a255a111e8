"""A cluster's life: waited for, watched, ended and seen to be gone."""

import re
import time
from dataclasses import dataclass
from datetime import date

from drydock_driver.emr_api import ACTIVE_STATES, Cluster, Emr
from drydock_driver.errors import (
    AwsRefused,
    AwsUnreachable,
    ClusterFailed,
    DriverError,
    StillAlive,
    TimedOut,
    UsageError,
)
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Liveness
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Look, Patience, wait_until

END_TIMEOUT_SECONDS = 1200
CANCEL_TIMEOUT_SECONDS = 60
_JOB = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class JobRun:
    """Which run a cluster is for. The cluster's name is made of it, so a repeated `create` finds its cluster."""

    job: str
    day: date
    run_id: str

    def __post_init__(self) -> None:
        if not _JOB.fullmatch(self.job):
            raise UsageError(f"`{self.job}` is no job's name; expected lower-case letters, digits, `-` and `_`.")
        if not _RUN_ID.fullmatch(self.run_id):
            raise UsageError(f"`{self.run_id}` is no run id; expected up to 64 letters, digits, `.`, `-` and `_`.")

    def cluster_name(self, platform: Platform) -> str:
        return f"{platform.name}-{self.job}-{self.day.isoformat()}-{self.run_id}"

    def tags(self) -> dict[str, str]:
        """What the name is made of, for programs that look at a cluster."""
        return {"job": self.job, "ship-date": self.day.isoformat(), "run-id": self.run_id}

    @classmethod
    def of_tags(cls, tags: dict[str, str]) -> "JobRun | None":
        """The run that a cluster with these tags is for; None when the tags name none."""
        try:
            return cls(tags["job"], date.fromisoformat(tags["ship-date"]), tags["run-id"])
        except (KeyError, ValueError, UsageError):
            return None


def wait_until_ready(
    emr: Emr,
    cluster_id: str,
    liveness: Liveness,
    interruption: Interruption,
    reporter: Reporter,
    patience: Patience,
) -> Cluster:
    """Wait for RUNNING or WAITING. Raises ClusterFailed, with EMR's reason, when the cluster ends instead."""
    watch = ClusterWatch(emr, cluster_id, reporter)

    def look() -> Look:
        found = watch.look()
        if watch.cluster.ready:
            return Look.DONE
        if watch.cluster.state not in ACTIVE_STATES:
            raise ClusterFailed(f"Cluster {cluster_id} did not start: {describe(watch.cluster)}")
        liveness.renew(cluster_id)
        return found

    wait_until(look, interruption.wait, patience, f"cluster {cluster_id} to start")
    return watch.cluster


def terminate(
    emr: Emr, cluster_id: str, interruption: Interruption, reporter: Reporter, unreachable_seconds: float
) -> Cluster:
    """End the cluster and wait until it is TERMINATED or TERMINATED_WITH_ERRORS. No signal cuts this short.

    Raises StillAlive, naming the cluster, when it was not seen to end; its steps are then cancelled if EMR lets us.
    """
    watch = ClusterWatch(emr, cluster_id, reporter)
    signals_seen = interruption.count
    asked = False

    def look() -> Look:
        nonlocal asked, signals_seen
        if interruption.count > signals_seen:
            signals_seen = interruption.count
            reporter.news(f"still ending cluster {cluster_id}; the signal changes nothing")
        if not asked:
            emr.terminate(cluster_id)
            asked = True
        found = watch.look()
        return Look.DONE if watch.cluster.ended else found

    try:
        wait_until(look, time.sleep, Patience(END_TIMEOUT_SECONDS, unreachable_seconds), f"cluster {cluster_id} to end")
    except AwsRefused as error:
        refusal = f"Cluster {cluster_id} is still alive: {error.code}: {error.detail}"
        raise StillAlive(f"{refusal} {_cancelled(emr, cluster_id)} {_advice(cluster_id, error)}") from error
    except (AwsUnreachable, TimedOut) as error:
        raise StillAlive(f"Cluster {cluster_id} may still be alive. {error} {_advice(cluster_id)}") from error
    return watch.cluster


class ClusterWatch:
    """The last seen state of a cluster; tells the reporter of each change."""

    def __init__(self, emr: Emr, cluster_id: str, reporter: Reporter) -> None:
        self._emr = emr
        self._cluster_id = cluster_id
        self._reporter = reporter
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """As of the last look."""
        if self._cluster is None:
            self.look()
        assert self._cluster is not None
        return self._cluster

    def look(self) -> Look:
        """Ask EMR. Finds CHANGED or SAME."""
        found = self._emr.cluster(self._cluster_id)
        if self._cluster is not None and (found.state, found.reason) == (self._cluster.state, self._cluster.reason):
            return Look.SAME
        self._cluster = found
        self._reporter.cluster(found)
        return Look.CHANGED


def describe(cluster: Cluster) -> str:
    """State, code and reason, as one text."""
    code = f" ({cluster.reason_code})" if cluster.reason_code else ""
    return f"{cluster.state}{code}: {cluster.reason or 'EMR gives no reason.'}"


def _cancelled(emr: Emr, cluster_id: str) -> str:
    """Cancel what runs on a cluster that may not be ended: no job goes on after its driver has given up."""
    pending: list[str] = []

    def look() -> Look:
        nonlocal pending
        pending = [step.id for step in emr.steps(cluster_id) if not step.ended]
        return Look.SAME if pending else Look.DONE

    try:
        look()
        if not pending:
            return "No step runs on it."
        cancelled = ", ".join(pending)
        emr.cancel_steps(cluster_id, pending)
        wait_until(look, time.sleep, Patience(CANCEL_TIMEOUT_SECONDS, CANCEL_TIMEOUT_SECONDS), "the steps to end")
    except DriverError as error:
        return f"Its steps could not be cancelled: {error}"
    return f"Its steps were cancelled ({cancelled})."


def _advice(cluster_id: str, refused: AwsRefused | None = None) -> str:
    command = f"`aws emr terminate-clusters --cluster-ids {cluster_id}`"
    if refused is not None and "protect" in refused.detail:
        unprotect = f"`aws emr modify-cluster-attributes --cluster-id {cluster_id} --no-termination-protected`"
        return f"If it may go: {unprotect}, then {command}."
    return f"End it: {command}."
