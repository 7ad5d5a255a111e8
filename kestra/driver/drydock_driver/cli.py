"""`drydock-driver VERB`: EMR clusters and steps for flows, and the orchestrator's own logs into S3.

Reads the platform's configuration (`DRYDOCK_PLATFORM_CONFIG`), acts in a session of the platform's orchestrator role
and talks to AWS, or to what `AWS_ENDPOINT_URL` names. Exit codes: 0 it happened; 1 it did not, and the last line says
why; 2 wrong usage; 128 + n after signal n, with the cluster ended.
"""

import json
import os
import sys
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import boto3
import typer
from botocore.config import Config

from drydock_driver import credentials, platform_config, prices, steps
from drydock_driver.asking import patiently
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import Emr
from drydock_driver.errors import DriverError, UsageError, aws_errors
from drydock_driver.interruption import Interruption
from drydock_driver.job import LATE_LOGS_SECONDS, Driver, Limits
from drydock_driver.liveness import RENEWED_EVERY_SECONDS, Liveness, utc_now
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Output, Reporter
from drydock_driver.sweep import SILENCE_SECONDS, Sweeper

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
J = TypeVar("J")
INTERRUPTION = Interruption()
REPORTER = Reporter(Output.TEXT)


class ActionOnFailure(StrEnum):
    """What EMR does when the step fails."""

    TERMINATE_CLUSTER = "TERMINATE_CLUSTER"
    CANCEL_AND_WAIT = "CANCEL_AND_WAIT"
    CONTINUE = "CONTINUE"


ConfigOption = Annotated[
    str, typer.Option("--config", envvar="DRYDOCK_PLATFORM_CONFIG", help="The platform's configuration, s3://….")
]
RoleOption = Annotated[
    str | None,
    typer.Option("--role-arn", envvar="DRYDOCK_ROLE_ARN", help="The role to act as; the configuration's if not given."),
]
OutputOption = Annotated[Output, typer.Option("--output", help="How to tell what happens.")]
JobOption = Annotated[str, typer.Option("--job", help="The job's name, such as data-generation.")]
DateOption = Annotated[str, typer.Option("--date", help="The day of the run, YYYY-MM-DD.")]
RunIdOption = Annotated[
    str | None,
    typer.Option("--run-id", help="The same id finds the same cluster again; a new one if not given."),
]
ClusterOption = Annotated[str, typer.Option("--cluster", help="The cluster's id.")]
SettingsOption = Annotated[
    str,
    typer.Option(
        "--cluster-settings",
        help="What this run wants otherwise than the platform, as a JSON object: core_count, instance_type, "
        "release_label, applications, bootstrap_actions, configurations. A value of null is none.",
    ),
]
ActionOption = Annotated[ActionOnFailure, typer.Option("--action-on-failure", help="What EMR does when it fails.")]
_ARGS = typer.Argument(
    help="After `--`: the step's command, such as spark-submit …; {application_uri} and its like are filled in."
)
ArgsArgument = Annotated[list[str], _ARGS]
ReadyOption = Annotated[float, typer.Option("--ready-timeout-seconds", min=1, help="For the cluster to start.")]
StepOption = Annotated[float, typer.Option("--step-timeout-seconds", min=1, help="For the steps to end.")]
UnreachableOption = Annotated[
    float, typer.Option("--unreachable-seconds", min=0, help="How long AWS may give no answer before that is failure.")
]
LateLogsOption = Annotated[
    float, typer.Option("--late-logs-seconds", min=0, help="How long to wait for logs after the step's end.")
]
StderrOption = Annotated[
    bool, typer.Option("--stderr", help="Show stderr as it comes, not only its end when the step fails.")
]
EndOption = Annotated[
    bool, typer.Option("--end-cluster-on-signal", help="Who ends this by a signal ends the cluster with it.")
]
VerbatimOption = Annotated[
    bool, typer.Option("--verbatim", help="Leave the command as it is: {application_uri} and its like stay.")
]


@app.callback()
def driver() -> None:
    """Create EMR clusters, run steps on them, follow their logs, and always end the clusters."""


@app.command()
def create(
    config: ConfigOption,
    job: JobOption,
    day: DateOption,
    run_id: RunIdOption = None,
    cluster_settings: SettingsOption = "{}",
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
    ready_timeout_seconds: ReadyOption = 1800,
    unreachable_seconds: UnreachableOption = 120,
) -> None:
    """Create a cluster and wait until it takes steps. One that fails to, or an interrupted wait, ends the cluster."""
    run, wishes = _job_run(job, day, run_id), _json(cluster_settings, "--cluster-settings", dict)
    it = _driver(config, role_arn, output, Limits(unreachable_seconds, ready_timeout_seconds), wishes)
    cluster, adopted = it.create(run)
    it.reporter.result(**cluster.document(), adopted=adopted)


@app.command()
def submit(
    config: ConfigOption,
    cluster: ClusterOption,
    name: Annotated[str, typer.Option("--name", help="The step's name.")],
    args: Annotated[list[str] | None, _ARGS] = None,
    args_json: Annotated[
        str | None, typer.Option("--args-json", help="The step's command as a JSON list, in place of words after `--`.")
    ] = None,
    action_on_failure: ActionOption = ActionOnFailure.CANCEL_AND_WAIT,
    verbatim: VerbatimOption = False,
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
    unreachable_seconds: UnreachableOption = 120,
    end_cluster_on_signal: EndOption = False,
) -> None:
    """Submit a step, and return its id without waiting for it.

    A step of that name and command that the cluster has already is returned, and none submitted.
    """
    words = _words(args, args_json)
    it = _driver(config, role_arn, output, Limits(unreachable_seconds))
    command = words if verbatim else _expanded(it.platform, words)
    with it.ended_if_interrupted(cluster) if end_cluster_on_signal else nullcontext():
        step_id, adopted = it.submit(cluster, name, command, action_on_failure.value)
    it.reporter.result(cluster_id=cluster, step_id=step_id, adopted=adopted)


@app.command()
def wait(
    config: ConfigOption,
    cluster: ClusterOption,
    step: Annotated[list[str] | None, typer.Option("--step", help="A step's id; every step if not given.")] = None,
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
    step_timeout_seconds: StepOption = 21600,
    unreachable_seconds: UnreachableOption = 120,
    late_logs_seconds: LateLogsOption = LATE_LOGS_SECONDS,
    stderr: StderrOption = False,
    end_cluster_on_signal: EndOption = False,
) -> None:
    """Wait for steps and show their output; fail when one of them is not COMPLETED. The cluster stays as it is."""
    limits = Limits(unreachable_seconds, step_seconds=step_timeout_seconds, late_logs_seconds=late_logs_seconds)
    it = _driver(config, role_arn, output, limits)
    found = it.emr.cluster(cluster)
    step_ids = step or [each.id for each in it.emr.steps(cluster)]
    if not step_ids:
        raise UsageError(f"Cluster {cluster} has no steps to wait for.")
    logs = [it.logs(found, step_id, stderr_too=stderr) for step_id in step_ids]
    with it.ended_if_interrupted(cluster) if end_cluster_on_signal else nullcontext():
        done = it.wait_for_steps(cluster, logs)
    for ended, log in zip(done, logs, strict=True):
        # A cluster that stays costs money while somebody waits: what a failed step said last is worth it.
        it.finish_logs(log, ended, wait=ended.state != "COMPLETED")
    ended_steps = [{**ended.document(), "logs": f"{log.folder}/"} for ended, log in zip(done, logs, strict=True)]
    it.reporter.result(cluster_id=cluster, steps=ended_steps)
    steps.check(done, logs, cluster)


@app.command()
def terminate(
    config: ConfigOption,
    cluster: Annotated[str | None, typer.Option("--cluster", help="The cluster's id; or name its run.")] = None,
    job: Annotated[str | None, typer.Option("--job", help="Of the run whose clusters are to end.")] = None,
    day: Annotated[str | None, typer.Option("--date", help="The day of that run, YYYY-MM-DD.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="That run's id.")] = None,
    cluster_settings: SettingsOption = "{}",
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
    unreachable_seconds: UnreachableOption = 120,
    late_logs_seconds: LateLogsOption = LATE_LOGS_SECONDS,
) -> None:
    """End a cluster, or all of a run, and wait until it is gone; what its steps did, and what it has cost, roughly.

    A run may have none.
    """
    run, wishes = _ended_run(cluster, job, day, run_id), _json(cluster_settings, "--cluster-settings", dict)
    it = _driver(config, role_arn, output, Limits(unreachable_seconds, late_logs_seconds=late_logs_seconds), wishes)
    ended = it.end(run) if run is not None else [it.terminate(str(cluster))]
    if not ended:
        it.reporter.result(cluster_id=None, state=None, steps=[])
        return
    cost = prices.estimate(it.platform, ended[0].created_at, ended[0].ended_at)
    it.reporter.result(**ended[0].document(), steps=it.results(ended[0]), cost_estimate_usd=cost)


@app.command()
def run(
    config: ConfigOption,
    job: JobOption,
    day: DateOption,
    args: ArgsArgument,
    run_id: RunIdOption = None,
    action_on_failure: ActionOption = ActionOnFailure.TERMINATE_CLUSTER,
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
    ready_timeout_seconds: ReadyOption = 1800,
    step_timeout_seconds: StepOption = 21600,
    unreachable_seconds: UnreachableOption = 120,
    late_logs_seconds: LateLogsOption = LATE_LOGS_SECONDS,
    stderr: StderrOption = False,
    verbatim: VerbatimOption = False,
) -> None:
    """Run one step on a cluster of its own, which is ended whatever happens.

    Started again with the same run id, it goes on with what the earlier attempt left: its cluster, its step, or the
    result that the step has had.
    """
    job_run = _job_run(job, day, run_id)
    limits = Limits(unreachable_seconds, ready_timeout_seconds, step_timeout_seconds, late_logs_seconds)
    it = _driver(config, role_arn, output, limits)
    command = args if verbatim else _expanded(it.platform, args, date=day)
    it.reporter.result(**it.run(job_run, command, action_on_failure.value, stderr_too=stderr))


@app.command()
def ship_logs(
    config: ConfigOption,
    kestra_url: Annotated[str, typer.Option("--kestra-url", envvar="DRYDOCK_KESTRA_URL", help="Where Kestra answers.")],
    kestra_username: Annotated[
        str, typer.Option("--kestra-username", envvar="DRYDOCK_KESTRA_USERNAME", help="Who asks it.")
    ],
    kestra_password_file: Annotated[
        Path,
        typer.Option("--kestra-password-file", envvar="DRYDOCK_KESTRA_PASSWORD_FILE", help="A file with the password."),
    ],
    days: Annotated[list[str] | None, typer.Argument(help="The days (UTC) to copy, YYYY-MM-DD.")] = None,
    since_success_of: Annotated[
        str | None,
        typer.Option("--since-success-of", help="In place of days: all since this flow succeeded, namespace.flow."),
    ] = None,
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Copy the orchestrator's logs and executions of these days into the platform's bucket for audits."""
    from drydock_driver import orchestrator_logs  # late: its HTTP client would cost every other verb a quarter second

    if bool(days) == bool(since_success_of):
        raise UsageError("Say which days to copy: either name them, or give --since-success-of.")
    wanted = [_day(day) for day in days or ()]
    it = _driver(config, role_arn, output)
    counts: dict[str, dict[str, int]] = {}
    with orchestrator_logs.kestra(kestra_url, kestra_username, kestra_password_file) as client:
        if since_success_of is not None:
            namespace, _, flow = since_success_of.rpartition(".")
            wanted = orchestrator_logs.days_since_success(client, namespace, flow, utc_now().date())
        for day in wanted:
            it.interruption.check()
            counts[day.isoformat()] = orchestrator_logs.ship(client, it.s3, it.platform.audit_uri, day)
            told = ", ".join(f"{count} {what}" for what, count in counts[day.isoformat()].items())
            it.reporter.news(f"{day}: {told} copied to {it.platform.audit_uri}")
    it.reporter.result(audit_uri=it.platform.audit_uri, days=counts)


@app.command()
def sweep(
    config: ConfigOption,
    run_id: Annotated[
        str | None,
        typer.Option("--run-id", help="This run is over: end its clusters, however alive they look, and no others."),
    ] = None,
    job: Annotated[str | None, typer.Option("--job", help="Of that run, clusters for this job alone.")] = None,
    day: Annotated[str | None, typer.Option("--date", help="Of that run, clusters for this day alone.")] = None,
    silence_seconds: Annotated[
        float,
        typer.Option(
            "--silence-seconds",
            min=2 * RENEWED_EVERY_SECONDS,
            help="How long a cluster's driver has not been seen when its run is taken to be over.",
        ),
    ] = SILENCE_SECONDS,
    role_arn: RoleOption = None,
    output: OutputOption = Output.TEXT,
    unreachable_seconds: UnreachableOption = 120,
) -> None:
    """End the clusters of this platform whose run is over, and spare those whose driver lives."""
    if run_id is None and (job or day):
        raise UsageError("--job and --date say which clusters of a run: name it by --run-id.")
    parsed = _day(day) if day else None
    it = _driver(config, role_arn, output)
    sweeper = Sweeper(
        emr=it.emr,
        platform=it.platform,
        interruption=it.interruption,
        reporter=it.reporter,
        clock=utc_now,
        silence=timedelta(seconds=silence_seconds),
        unreachable_seconds=unreachable_seconds,
        run_id=run_id,
        job=job,
        day=parsed,
    )
    it.reporter.result(**sweeper.sweep())


def main() -> None:
    """Run a verb, with failures told as sentences."""
    INTERRUPTION.install()
    try:
        app()
    except DriverError as error:
        REPORTER.failure(str(error))
        sys.exit(error.exit_code)


def _driver(
    config: str,
    role_arn: str | None,
    output: Output,
    limits: Limits | None = None,
    wishes: Mapping[str, Any] | None = None,
) -> Driver:
    """Everything a verb works with. An AWS that does not answer just now is waited for, as long as `limits` says.

    `wishes` are what the run's cluster is to have otherwise than the platform's.
    """
    REPORTER.output = output
    limits = limits or Limits(0)
    begun: list[tuple[boto3.Session, Platform]] = []
    patiently(lambda: begun.append(_begin(config, role_arn)), "AWS to answer", INTERRUPTION, limits.unreachable_seconds)
    session, platform = begun[-1]
    platform = platform.changed(wishes or {})
    emr = Emr(session, platform.region, INTERRUPTION.wait)
    return Driver(
        platform=platform,
        emr=emr,
        s3=_s3(session),
        liveness=Liveness(emr, platform, REPORTER),
        interruption=INTERRUPTION,
        reporter=REPORTER,
        limits=limits,
    )


def _begin(config: str, role_arn: str | None) -> tuple[boto3.Session, Platform]:
    """A session of the orchestrator's role, and the platform's configuration, which is read with ambient credentials
    unless the role is given."""
    session = credentials.ambient_session()
    if role_arn is not None:
        session = credentials.session_of_role(role_arn, session)
    platform = platform_config.load(_s3(session), config)
    if role_arn is None:
        session = credentials.session_of_role(platform.kestra_role_arn, session)
    return session, platform


def _s3(session: boto3.Session) -> "S3Client":
    # A bucket is no host name of its own where AWS is not AWS itself.
    style: Literal["path", "auto"] = "path" if os.environ.get("AWS_ENDPOINT_URL") else "auto"
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=5,
        read_timeout=30,
        s3={"addressing_style": style},
    )
    with aws_errors("make a client of S3"):
        return session.client("s3", config=config)


def _job_run(job: str, day: str, run_id: str | None) -> JobRun:
    return JobRun(job, _day(day), run_id or uuid.uuid4().hex[:8])


def _day(text: str) -> date:
    try:
        parsed = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"`{text}` is no date; expected YYYY-MM-DD.") from error
    if parsed.isoformat() != text:  # fromisoformat also reads 20260131 and 2026-W05-6
        raise UsageError(f"`{text}` is no date; expected YYYY-MM-DD.")
    return parsed


def _ended_run(cluster: str | None, job: str | None, day: str | None, run_id: str | None) -> JobRun | None:
    """The run that is named; None when it is a cluster."""
    named = [each for each in (job, day, run_id) if each is not None]
    if (cluster is not None) == bool(named) or len(named) not in (0, 3):
        raise UsageError("Name what is to end: either --cluster, or --job, --date and --run-id.")
    return None if job is None or day is None else _job_run(job, day, run_id)


def _words(args: list[str] | None, args_json: str | None) -> list[str]:
    """The step's command, given in one of two ways."""
    if bool(args) == (args_json is not None):
        raise UsageError("Give the step's command once: as words after `--`, or by --args-json.")
    words = args or _json(str(args_json), "--args-json", list)
    if not words or not all(isinstance(word, str) for word in words):
        raise UsageError(f'--args-json is `{args_json}`; expected a list of words, such as ["true"].')
    return list(words)


def _json(text: str, option: str, kind: type[J]) -> J:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option} is no JSON: {error}.") from error
    if not isinstance(value, kind):
        raise UsageError(f"{option} is `{text}`; expected a JSON {'object' if kind is dict else 'list'}.")
    return value


def _expanded(platform: Platform, args: list[str], **more: str) -> list[str]:
    return [platform.expand(arg, **more) for arg in args]


if __name__ == "__main__":
    main()
