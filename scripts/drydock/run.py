"""`make run DATE= ROWS=`: a day of shipments on the running platform, generated, then processed.

Each job runs on a fresh cluster through the EMR driver. When this verb ends, whichever way, no cluster of it is alive,
or it says which one is and why.
"""

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from drydock import aws, driver_process, output, settings, summary, terraform
from drydock.day import DateOption, Job, RowsOption, jobs, parse_date, parse_rows, run_command
from drydock.driver_process import Progress, Signals
from drydock.errors import RunFailed, Stopped
from drydock.read_back import rows_of_raw_days
from drydock.running import require_running

# For what the driver could not see to. A node that cannot deliver its last logs tries for half a minute.
LEFTOVER_SECONDS = 120
SILENCE_SECONDS = 30
POLL_SECONDS = 1.0
ALIVE_STATES = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"]


def run(date: DateOption = "", rows: RowsOption = "") -> None:
    """Run a day on the running platform, and show what came of it."""
    day, row_count = parse_date(date), parse_rows(rows)
    paths, ports = settings.Paths(), settings.Ports()
    begun_at = time.monotonic()
    run_id = run_day(paths, ports, day, row_count)
    summary.show_day(paths, ports, day, run_id, row_count)
    output.done(f"{day} is done, after {time.monotonic() - begun_at:.0f} s.")


def run_day(paths: settings.Paths, ports: settings.Ports, day: date, rows: int) -> str:
    """Generate and process the day; the id that the run's clusters bear in their names.

    Raises NotRunning, RunFailed, or Stopped after a signal: each with no cluster of the run left alive, or named.
    """
    require_running(paths, ports)
    run_id = uuid.uuid4().hex[:8]
    with Signals().caught() as signals:
        for job in jobs(day, rows):
            begun_at = time.monotonic()
            exit_code, progress = driver_process.run(paths, ports, job, day.isoformat(), run_id, signals)
            if exit_code == 0 and signals.first is None:
                seconds = time.monotonic() - begun_at
                output.done(f"{job.did} on cluster {progress.cluster_id} ({seconds:.0f} s)")
                if stale := stale_days(progress.last_stdout):
                    warn_of(paths, ports, stale)
                continue
            if signals.first is None:
                for stream, lines in (("stdout", progress.last_stdout), ("stderr", progress.last_stderr)):
                    for line in lines:
                        output.say(f"    {stream} | {line}")
            give_up(paths, ports, job, run_id, exit_code, progress, signals)
    return run_id


def stale_days(stdout: Iterable[str]) -> list[date]:
    """The later days that the processor says it made stale, in the line of JSON by which it tells what it did."""
    for line in stdout:
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict) and "stale_days" in told:
                return [date.fromisoformat(day) for day in told["stale_days"]]
    return []


def warn_of(paths: settings.Paths, ports: settings.Ports, stale: Sequence[date]) -> None:
    """Name days whose measures look back at what is different now, and the commands that run them as they were run."""
    s3 = aws.operator_client("s3", paths, ports)
    source_uri = terraform.platform_config(paths, ports)["source_uri"]
    with aws.explained(ports, "read the manifests of later days"):
        rows = rows_of_raw_days(s3, source_uri, stale[0], stale[-1])
    commands = " && ".join(run_command(day, rows.get(day)) for day in stale)
    output.warn(f"Measures that look back are stale now: of {', '.join(map(str, stale))}. Run again: `{commands}`")


def give_up(
    paths: settings.Paths,
    ports: settings.Ports,
    job: Job,
    run_id: str,
    exit_code: int,
    progress: Progress,
    signals: Signals,
    console: output.Console = output.CONSOLE,
) -> NoReturn:
    """End what is left of a job that did not end well. Raises Stopped after a signal, RunFailed otherwise."""
    with output.stage("Looking for clusters of this run that are still alive", console):
        left = end_leftovers(paths, ports, run_id)
    if signals.first is not None:
        said = " ".join([*progress.failures, left])
        raise Stopped(f"Stopped while {job.doing[0].lower()}{job.doing[1:]}. {said}", signals.first)
    raise RunFailed(f"{driver_process.failure_of(job, exit_code, progress)} {left}")


def end_leftovers(paths: settings.Paths, ports: settings.Ports, run_id: str) -> str:
    """End what the driver could not: it may have been killed, or its session lost with the gateway's memory.

    Returns a sentence about what is left, for people.
    """
    emr = aws.operator_client("emr", paths, ports)
    begun_at = answered_at = time.monotonic()
    ended: set[str] = set()
    while True:
        try:
            alive = _alive_clusters(emr, run_id)
            answered_at = time.monotonic()
            if not alive:
                since = f" (ended since, with the operator's key: {', '.join(sorted(ended))})" if ended else ""
                return f"No cluster of this run is alive{since}."
            emr.terminate_job_flows(JobFlowIds=alive)
            ended |= set(alive)
            left = f"Still alive: {', '.join(alive)}."
        except ClientError as error:
            left = f"Clusters of this run may be alive: {error}."
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                return f"{left} {_WAY_OUT}"
        except BotoCoreError as error:
            left = f"Clusters of this run may be alive, EMR does not answer: {error}."
        now = time.monotonic()
        if now - begun_at >= LEFTOVER_SECONDS or now - answered_at >= SILENCE_SECONDS:
            return f"{left} {_WAY_OUT}"
        time.sleep(POLL_SECONDS)


_WAY_OUT = "`make local-status` shows the platform, `make local-down` ends all of it."


def _alive_clusters(emr: Any, run_id: str) -> list[str]:
    """Ids of the run's clusters that have not ended. A day: longer than any run here lasts."""
    pages = emr.get_paginator("list_clusters").paginate(
        ClusterStates=ALIVE_STATES, CreatedAfter=datetime.now(UTC) - timedelta(days=1)
    )
    return [cluster["Id"] for page in pages for cluster in page["Clusters"] if cluster["Name"].endswith(f"-{run_id}")]
