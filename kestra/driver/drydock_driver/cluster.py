"""A cluster's life: asked for, waited for, ended and seen to be gone."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

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
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Look, Patience, wait_until

# IAM is eventually consistent: a new role or instance profile is not seen by EMR for up to two minutes.
IAM_PATIENCE_SECONDS = 120
IAM_PAUSE_SECONDS = 5
LOST_ANSWER_SECONDS = 60
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


def request(platform: Platform, run: JobRun) -> dict[str, Any]:
    """The `RunJobFlow` of the run: one master, `core_count` core nodes, alive until it is told to end or is idle."""
    return {
        "Name": run.cluster_name(platform),
        "LogUri": f"{platform.log_uri}/",
        "ReleaseLabel": platform.release_label,
        "Applications": [{"Name": name} for name in platform.applications],
        "Configurations": [_configuration(each) for each in platform.configurations],
        "BootstrapActions": [
            {
                "Name": action["name"],
                "ScriptBootstrapAction": {"Path": action["path"], "Args": list(action.get("args", ()))},
            }
            for action in platform.bootstrap_actions
        ],
        "ServiceRole": platform.service_role,
        "JobFlowRole": platform.instance_profile,
        "AutoTerminationPolicy": {"IdleTimeout": platform.idle_timeout_seconds},
        "Instances": {
            "InstanceGroups": [
                _instance_group("Master", "MASTER", platform.master_instance_type, 1),
                _instance_group("Core", "CORE", platform.core_instance_type, platform.core_count),
            ],
            "Ec2SubnetId": platform.subnet_id,
            "EmrManagedMasterSecurityGroup": platform.master_security_group,
            "EmrManagedSlaveSecurityGroup": platform.slave_security_group,
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
        },
        "Tags": [
            {"Key": key, "Value": value}
            for key, value in (
                platform.tags | {"job": run.job, "ship-date": run.day.isoformat(), "run-id": run.run_id}
            ).items()
        ],
        "VisibleToAllUsers": True,
    }


def create(
    emr: Emr, platform: Platform, run: JobRun, interruption: Interruption, reporter: Reporter
) -> tuple[str, bool]:
    """The id of the run's cluster, and whether it was there before: an active one of that name is taken over."""
    name = run.cluster_name(platform)
    if (existing := _find(emr, name)) is not None:
        reporter.news(f"cluster {existing} of the name {name} is active: it is taken over")
        return existing, True
    asked = request(platform, run)
    deadline = time.monotonic() + IAM_PATIENCE_SECONDS
    while True:
        interruption.check()
        try:
            cluster_id = emr.run_job_flow(asked)
        except AwsRefused as error:
            if not _is_unseen_profile(error) or time.monotonic() > deadline:
                raise
            reporter.news(f"EMR does not see the instance profile yet ({error.detail}): asking again")
            interruption.wait(IAM_PAUSE_SECONDS)
        except AwsUnreachable as error:
            if not error.sent:
                raise
            reporter.news(f"{error} Looking for a cluster of that name")
            return _find_after_lost_answer(emr, name, error), False
        else:
            reporter.news(f"cluster {cluster_id} ({name}) is asked for")
            return cluster_id, False


def wait_until_ready(
    emr: Emr, cluster_id: str, interruption: Interruption, reporter: Reporter, patience: Patience
) -> Cluster:
    """Wait for RUNNING or WAITING. Raises ClusterFailed, with EMR's reason, when the cluster ends instead."""
    watch = ClusterWatch(emr, cluster_id, reporter)

    def look() -> Look:
        found = watch.look()
        if watch.cluster.ready:
            return Look.DONE
        if watch.cluster.state not in ACTIVE_STATES:
            raise ClusterFailed(f"Cluster {cluster_id} did not start: {describe(watch.cluster)}")
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


def _configuration(of: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"Classification": of["classification"], "Properties": dict(of.get("properties", {}))}
    if of.get("configurations"):
        answer["Configurations"] = [_configuration(each) for each in of["configurations"]]
    return answer


def _instance_group(name: str, role: str, instance_type: str, count: int) -> dict[str, Any]:
    return {
        "Name": name,
        "InstanceRole": role,
        "InstanceType": instance_type,
        "InstanceCount": count,
        "Market": "ON_DEMAND",
    }


def _is_unseen_profile(error: AwsRefused) -> bool:
    return "Invalid InstanceProfile" in error.detail or "Failed to authorize instance profile" in error.detail


def _find(emr: Emr, name: str) -> str | None:
    # A week: no run lasts longer, and the list of all clusters of an account can be long.
    found = emr.active_clusters_named(name, datetime.now(UTC) - timedelta(days=7))
    return found[0] if found else None


def _find_after_lost_answer(emr: Emr, name: str, lost: AwsUnreachable) -> str:
    # Not interruptible: a cluster whose id nobody knows is one that nobody ends.
    found: str | None = None

    def look() -> Look:
        nonlocal found
        found = _find(emr, name)
        return Look.DONE if found else Look.SAME

    try:
        wait_until(look, time.sleep, Patience(LOST_ANSWER_SECONDS, LOST_ANSWER_SECONDS), f"cluster {name} to be listed")
    except TimedOut:
        raise lost from None  # EMR answers and lists none: nothing was created
    except DriverError as error:
        raise StillAlive(f"{lost} Whether a cluster {name} lives is not known: {error}") from error
    assert found is not None
    return found


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
