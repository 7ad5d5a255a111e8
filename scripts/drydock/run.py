"""`make run DATE= ROWS=`: a day of shipments on the running platform, generated, then processed.

Each job is a flow that Kestra runs, on a fresh cluster. When this verb ends, whichever way, no cluster of it is alive,
or it says which one is and why.
"""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime

from drydock import executions, output, settings, site, summary
from drydock.day import DateOption, FlowRun, RowsOption, generation, parse_date, parse_rows, processing, run_command
from drydock.errors import DrydockError, RunFailed, Stopped, UsageError
from drydock.executions import SUCCESS, Execution
from drydock.interrupts import Signals
from drydock.kestra import Kestra
from drydock.leftovers import end_leftovers
from drydock.read_back import rows_of_raw_days
from drydock.running import require_running
from drydock.site import Site


def run(date: DateOption = "", rows: RowsOption = "") -> None:
    """Run a day on the running platform, and show what came of it."""
    day, row_count = parse_date(date), parse_rows(rows)
    if day > datetime.now(UTC).date():
        output.warn(f"{day} is in the future: the report will count every day until then as missing.")
    paths, ports = settings.Paths(), settings.Ports()
    begun_at = time.monotonic()
    run_id = run_local_day(paths, ports, day, row_count)
    summary.show_day(site.local(paths, ports), day, run_id, row_count)
    output.done(f"{day} is done, after {time.monotonic() - begun_at:.0f} s.")


def run_local_day(paths: settings.Paths, ports: settings.Ports, day: date, rows: int) -> str:
    """`run_day` on the local platform. Raises NotRunning as well."""
    require_running(paths, ports)
    with executions.client(paths, ports) as engine:
        return run_day(site.local(paths, ports), engine, day, rows)


def run_day(where: Site, engine: Kestra, day: date, rows: int) -> str:
    """Generate and process the day; the id that the run's clusters bear in their names.

    Raises RunFailed, or Stopped after a signal: each with no cluster of the run left alive, or named.
    """
    run_id = uuid.uuid4().hex[:8]
    with Signals().caught() as signals:
        for asked in (generation(day, rows), processing(day)):
            done = run_flow(where, engine, asked, run_id, signals)
            if stale := done.stale_days():
                warn_of(where, stale)
    return run_id


def run_flow(where: Site, engine: Kestra, asked: FlowRun, run_id: str, signals: Signals) -> Execution:
    """The execution, when it has ended well. Raises RunFailed or Stopped otherwise, when nothing is left of it, and
    UsageError for inputs with which it did not begin."""
    try:
        execution = executions.follow(engine, asked, run_id, signals, where.stopping_seconds)
        if execution.state == SUCCESS and signals.first is None:
            output.done(f"{asked.did}{_on_clusters(execution)} ({execution.seconds:.0f} s)")
            return execution
        failure = executions.show_failure(execution) if signals.first is None else ""
    except UsageError:
        raise
    except DrydockError as error:
        failure = f"{asked.doing} failed: {error}"
    except BaseException:  # nobody reads any more, say: a driver that Kestra has killed may leave its cluster to others
        end_leftovers(where, run_id)
        raise
    left = end_leftovers(where, run_id)
    if signals.first is not None:
        raise Stopped(f"Stopped while {asked.doing[0].lower()}{asked.doing[1:]}. {left}", signals.first)
    raise RunFailed(f"{failure} {left} {where.where_to_look}")


def _on_clusters(execution: Execution) -> str:
    ids = [results["cluster_id"] for results in execution.results_of_clusters()]
    return f" on cluster{'s' if len(ids) > 1 else ''} {', '.join(ids)}" if ids else ""


def warn_of(where: Site, stale: Sequence[date]) -> None:
    """Name days whose measures look back at what is different now, and the commands that run them as they were run."""
    source_uri = where.platform_config()["source_uri"]
    with where.account.explained("read the manifests of later days"):
        rows = rows_of_raw_days(where.account.client("s3"), source_uri, stale[0], stale[-1])
    commands = " && ".join(run_command(day, rows.get(day), where.verbs.run) for day in stale)
    output.warn(f"Measures that look back are stale now: of {', '.join(map(str, stale))}. Run again: `{commands}`")
