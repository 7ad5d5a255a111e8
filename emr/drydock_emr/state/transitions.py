"""The state machine: pure functions that change a cluster's data and touch nothing else.

Three kinds: what a caller asks (`add_steps`, `cancel_step`, `terminate`), what a node was seen to be (`observe`), and
what follows from both (`advance`). `advance` can be called at any time and any number of times; it does whatever is
due. Time is handed in, as epoch seconds.
"""

from collections.abc import Mapping, Sequence, Set

from drydock_emr.node_protocol import CancelOption, LeaseReport, LeaseState, Phase, Report
from drydock_emr.state.cluster import (
    ACCEPTING_STATES,
    ENDED_STATES,
    LEASED_STEP_STATES,
    ActionOnFailure,
    Cluster,
    ClusterState,
    Instance,
    InstanceRole,
    InstanceState,
    ReasonCode,
    Step,
    StepState,
)


def terminate(cluster: Cluster, now: float) -> None:
    """End the cluster on its owner's request. An ending cluster keeps its first reason."""
    if cluster.state in ACCEPTING_STATES:
        _end(cluster, ReasonCode.USER_REQUEST, "Terminated by user request", with_errors=False, now=now)


def refuse(cluster: Cluster, message: str, now: float) -> None:
    """End a cluster that cannot be provisioned as it was asked for."""
    if cluster.state is ClusterState.STARTING:
        _end(cluster, ReasonCode.VALIDATION_ERROR, message, with_errors=True, now=now)


def dismiss(instance: Instance, now: float) -> None:
    """Take a machine out of its cluster."""
    instance.state, instance.ended_at = InstanceState.TERMINATED, now


def cancel_step(step: Step, option: CancelOption, now: float) -> bool:
    """Cancel a step; true when the request counts as SUBMITTED. Asking again changes nothing, save that it can
    turn an interrupt into a kill."""
    if step.state is StepState.PENDING:
        step.state, step.ended_at = StepState.CANCELLED, now
        return True
    if step.state in LEASED_STEP_STATES:
        step.state = StepState.CANCEL_PENDING
        if step.cancel is not CancelOption.TERMINATE_PROCESS:
            step.cancel = option
        return True
    return False


def observe(cluster: Cluster, reports: Mapping[str, Report], lost: Set[str], released: Set[str], now: float) -> None:
    """Take in what is known of the cluster's nodes, by their names.

    `reports` is what each last said of itself; `lost` are those that have been silent for too long; `released` those
    that have acknowledged that they serve this cluster no more.
    """
    for instance in cluster.live_instances:
        report = reports.get(instance.node)
        if instance.node in lost:
            _lose(cluster, instance, now)
        elif report is not None and report.cluster_id == cluster.id:
            _observe_member(cluster, instance, report, now)
        elif cluster.state is ClusterState.TERMINATING and instance.node in released:
            dismiss(instance, now)


def advance(cluster: Cluster, now: float) -> None:
    """Do everything that is due: become ready, start and settle steps, wait, end."""
    if cluster.state is ClusterState.STARTING and cluster.instances:
        _change(cluster, ClusterState.BOOTSTRAPPING, "Running bootstrap actions")
    if cluster.state is ClusterState.BOOTSTRAPPING and _all_running(cluster):
        cluster.ready_at = now
    if cluster.ready_at is not None and cluster.state in ACCEPTING_STATES:
        _run_steps(cluster, now)
    if cluster.state is ClusterState.WAITING and _idle_too_long(cluster, now):
        _end(cluster, ReasonCode.USER_REQUEST, "Terminated by auto-termination policy", with_errors=False, now=now)
    if cluster.state is ClusterState.TERMINATING and not cluster.live_instances:
        _finish(cluster, now)


def place(cluster: Cluster, instances: Sequence[Instance]) -> None:
    """Give a cluster machines: its first ones while STARTING, more of them later."""
    cluster.instances.extend(instances)


def _observe_member(cluster: Cluster, instance: Instance, report: Report, now: float) -> None:
    _settle_leases(cluster, report.leases, now)
    if cluster.state is ClusterState.TERMINATING:
        return
    if report.phase is Phase.FAILED and report.failure is not None:
        _fail_instance(cluster, instance, report, now)
    elif report.phase is Phase.READY and _workers_joined(cluster, instance, report):
        if instance.state is not InstanceState.RUNNING:
            instance.state, instance.ready_at = InstanceState.RUNNING, now
    elif instance.state is InstanceState.PROVISIONING:
        instance.state = InstanceState.BOOTSTRAPPING


def _workers_joined(cluster: Cluster, instance: Instance, report: Report) -> bool:
    """A master is ready when every machine that runs a worker has joined it."""
    if instance.role is not InstanceRole.MASTER or instance.state is InstanceState.RUNNING:
        return True
    expected = max(1, len(cluster.live_instances) - 1)
    return (report.alive_workers or 0) >= expected


def _fail_instance(cluster: Cluster, instance: Instance, report: Report, now: float) -> None:
    assert report.failure is not None
    role = "master instance" if instance.role is InstanceRole.MASTER else "instance"
    if report.failure.bootstrap_action is not None:
        message = (
            f"On the {role} ({instance.ec2_instance_id}), bootstrap action {report.failure.bootstrap_action} "
            f"{report.failure.message}"
        )
        _end(cluster, ReasonCode.BOOTSTRAP_FAILURE, message, with_errors=True, now=now)
    else:
        message = f"On the {role} ({instance.ec2_instance_id}), {report.failure.message}"
        _end(cluster, ReasonCode.INSTANCE_FAILURE, message, with_errors=True, now=now)


def _lose(cluster: Cluster, instance: Instance, now: float) -> None:
    """A machine is gone. Without its master a cluster cannot go on; nor can one that is not up yet."""
    dismiss(instance, now)
    if cluster.state is ClusterState.TERMINATING:
        return
    if instance.role is InstanceRole.MASTER:
        _end(cluster, ReasonCode.INSTANCE_FAILURE, "The master node was terminated.", with_errors=True, now=now)
    elif cluster.ready_at is None or not any(i.role is not InstanceRole.MASTER for i in cluster.live_instances):
        message = f"The instance {instance.ec2_instance_id} was terminated."
        _end(cluster, ReasonCode.INSTANCE_FAILURE, message, with_errors=True, now=now)


def _settle_leases(cluster: Cluster, leases: Sequence[LeaseReport], now: float) -> None:
    for lease in leases:
        step = cluster.step(lease.step_id)
        if step is None or step.state not in LEASED_STEP_STATES or lease.attempt != step.attempt:
            continue
        if lease.started_at is not None:
            step.started_at = lease.started_at
        if lease.state not in {LeaseState.EXITED, LeaseState.VANISHED}:
            continue
        step.ended_at = lease.ended_at if lease.ended_at is not None else now
        if lease.state is LeaseState.EXITED and lease.exit_code == 0:
            step.state = StepState.COMPLETED
        elif step.cancel is not None:
            step.state = StepState.CANCELLED
        else:
            step.state, step.failure = StepState.FAILED, lease.failure
            _act_on_failure(cluster, step, now)


def _act_on_failure(cluster: Cluster, step: Step, now: float) -> None:
    """What the step asked for; with several steps at once only CONTINUE has an effect (API reference, Step)."""
    action = step.action_on_failure
    if cluster.state is ClusterState.TERMINATING or cluster.step_concurrency > 1 or action is ActionOnFailure.CONTINUE:
        return
    if action is ActionOnFailure.CANCEL_AND_WAIT or (cluster.termination_protected and cluster.keep_alive):
        for other in cluster.steps:
            if other.state is StepState.PENDING:
                other.state, other.ended_at = StepState.CANCELLED, now
    else:
        _end(cluster, ReasonCode.STEP_FAILURE, "Shut down as step failed", with_errors=True, now=now)


def _run_steps(cluster: Cluster, now: float) -> None:
    running = sum(step.state in LEASED_STEP_STATES for step in cluster.steps)
    for step in cluster.steps:
        if running >= cluster.step_concurrency:
            break
        if step.state is StepState.PENDING:
            step.state, step.attempt, step.started_at = StepState.RUNNING, 1, now
            running += 1
    if running:
        cluster.idle_since = None
        if cluster.state is not ClusterState.RUNNING:
            _change(cluster, ClusterState.RUNNING, "Running step")
    elif not cluster.keep_alive:
        failed = any(step.state is StepState.FAILED for step in cluster.steps)
        if failed:
            _end(cluster, ReasonCode.STEP_FAILURE, "Steps completed with errors", with_errors=False, now=now)
        else:
            _end(cluster, ReasonCode.ALL_STEPS_COMPLETED, "Steps completed", with_errors=False, now=now)
    elif cluster.state is not ClusterState.WAITING:
        cluster.idle_since = now
        _change(cluster, ClusterState.WAITING, _waiting_message(cluster))


def _waiting_message(cluster: Cluster) -> str:
    settled = [step for step in cluster.steps if step.state in {StepState.COMPLETED, StepState.FAILED}]
    if not settled:
        return "Cluster ready to run steps."
    last = max(settled, key=lambda step: (step.ended_at or 0.0, step.sequence))
    outcome = "failed" if last.state is StepState.FAILED else "completed"
    return f"Cluster ready after last step {outcome}."


def _idle_too_long(cluster: Cluster, now: float) -> bool:
    return (
        cluster.idle_timeout_seconds is not None
        and cluster.idle_since is not None
        and not cluster.termination_protected
        and now - cluster.idle_since >= cluster.idle_timeout_seconds
    )


def _all_running(cluster: Cluster) -> bool:
    return all(instance.state is InstanceState.RUNNING for instance in cluster.live_instances)


def _change(cluster: Cluster, state: ClusterState, message: str) -> None:
    cluster.state, cluster.reason_code, cluster.reason_message = state, None, message


def _end(cluster: Cluster, code: ReasonCode, message: str, *, with_errors: bool, now: float) -> None:
    """Begin to end: waiting steps are cancelled; running ones are ended by their node, and settle when it is free."""
    assert cluster.state not in ENDED_STATES, f"{cluster.id} has already ended"
    cluster.state, cluster.reason_code, cluster.reason_message = ClusterState.TERMINATING, code, message
    cluster.ends_with_errors = with_errors
    cluster.idle_since = None
    for step in cluster.steps:
        if step.state is StepState.PENDING:
            step.state, step.ended_at = StepState.CANCELLED, now
        elif step.state in LEASED_STEP_STATES:
            step.state = StepState.CANCEL_PENDING
            step.cancel = step.cancel or CancelOption.SEND_INTERRUPT


def _finish(cluster: Cluster, now: float) -> None:
    for step in cluster.steps:
        if step.state in LEASED_STEP_STATES:
            step.state, step.ended_at = StepState.CANCELLED, now
    cluster.state = ClusterState.TERMINATED_WITH_ERRORS if cluster.ends_with_errors else ClusterState.TERMINATED
    cluster.ended_at = now
