"""Steps: submitted once, waited for each, judged by their state alone."""

import time
from collections.abc import Sequence

from drydock_driver.asking import ask_once, patiently
from drydock_driver.cluster import ClusterWatch, describe
from drydock_driver.emr_api import ACTIVE_STATES, Emr, Step
from drydock_driver.errors import ClusterFailed, StepFailed
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Liveness
from drydock_driver.logs import StepLogs
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Look, Patience, wait_until

# EMR settles the states of a dead cluster's steps soon after the cluster's own.
SETTLING_SECONDS = 60
UNDONE_STATES = ("CANCEL_PENDING", "CANCELLED", "INTERRUPTED")


def submit(
    emr: Emr,
    cluster_id: str,
    name: str,
    args: Sequence[str],
    action_on_failure: str,
    interruption: Interruption,
    reporter: Reporter,
    unreachable_seconds: float,
) -> tuple[str, bool]:
    """The step's id, and whether it was there before: a step of that name and command is not submitted again."""
    there: list[Step] = []

    def look() -> None:
        there[:] = [step for step in [find(emr, cluster_id, name, args)] if step]

    patiently(look, f"the list of cluster {cluster_id}'s steps", interruption, unreachable_seconds)
    if there:
        reporter.news(f"step {there[0].id} ({name}) is on cluster {cluster_id} already: it is taken over")
        return there[0].id, True

    def ask() -> str:
        return emr.add_step(cluster_id, name, args, action_on_failure)

    def look_again() -> str | None:
        step = find(emr, cluster_id, name, args)
        return step.id if step else None

    what = f"step {name} on cluster {cluster_id}"
    return ask_once(ask, look_again, what, interruption, reporter, unreachable_seconds), False


def find(emr: Emr, cluster_id: str, name: str, args: Sequence[str]) -> Step | None:
    """The newest step of that name and command; one that was cancelled or interrupted has not been run."""
    for step in reversed(emr.steps(cluster_id)):
        if step.name == name and step.args == tuple(args) and step.state not in UNDONE_STATES:
            return step
    return None


def wait_for_steps(
    emr: Emr,
    cluster_id: str,
    logs: Sequence[StepLogs],
    liveness: Liveness,
    interruption: Interruption,
    reporter: Reporter,
    patience: Patience,
) -> list[Step]:
    """Wait until every step has ended, in whatever way, and show their output meanwhile; in the order of `logs`.

    botocore's own StepComplete waiter does not know INTERRUPTED, and waits for such a step until it times out.
    Raises ClusterFailed when the cluster has ended and a step's state stays open.
    """
    seen: dict[str, Step] = {}
    watch = ClusterWatch(emr, cluster_id, reporter)
    ended_since: float | None = None

    def look() -> Look:
        nonlocal ended_since
        found = Look.SAME
        for log in logs:
            before = seen.get(log.step_id)
            if before is not None and before.ended:
                continue
            step = emr.step(cluster_id, log.step_id)
            if before is None or before.state != step.state:
                found = Look.CHANGED
                reporter.step(step)
            seen[log.step_id] = step
            log.follow()
        if all(step.ended for step in seen.values()):
            return Look.DONE
        if watch.look() is Look.CHANGED:
            found = Look.CHANGED
        if watch.cluster.ended:
            ended_since = ended_since or time.monotonic()
            if time.monotonic() - ended_since > SETTLING_SECONDS:
                raise ClusterFailed(f"Cluster {cluster_id} ended under its steps: {describe(watch.cluster)}")
        if watch.cluster.state in ACTIVE_STATES:
            liveness.renew(cluster_id)
        return found

    wait_until(look, interruption.wait, patience, f"the steps of cluster {cluster_id} to end")
    return [seen[log.step_id] for log in logs]


def check(steps: Sequence[Step], logs: Sequence[StepLogs], cluster_id: str) -> None:
    """Raise StepFailed, naming each step that is not COMPLETED, what EMR says about it and the exception it wrote."""
    failed = [(step, log) for step, log in zip(steps, logs, strict=True) if step.state != "COMPLETED"]

    def sentence() -> str:
        told = (f"step {step.id} ({step.name}) is {step.state}{_why(step, log)}" for step, log in failed)
        return f"Cluster {cluster_id}: {'; '.join(told)}."

    if failed:
        raise StepFailed(sentence)


def _why(step: Step, log: StepLogs) -> str:
    """EMR looks for an exception in stderr alone, and Spark writes that of a Python program to stdout."""
    told = " ".join(part for part in (step.reason, step.failure) if part)
    if step.state == "FAILED" and log.exception is not None:
        told = f"{log.exception} (stdout){f'; EMR says {told}' if told else ''}"
    return f": {told}" if told else ""
