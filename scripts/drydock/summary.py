"""`drydock summary`: what a day left behind, read back and checked; fails when something is not as it should be."""

from datetime import UTC, datetime
from datetime import date as calendar_date

from rich import box
from rich.table import Table

from drydock import interrupts, output, settings, site
from drydock.day import DateOption, parse_date, run_command
from drydock.errors import RunFailed
from drydock.read_back import JOBS, Day, read
from drydock.running import require_up
from drydock.site import LOCAL, Site


def summary(date: DateOption = "") -> None:
    """Read the newest run of a day back from EMR, S3, the Delta logs and Spark's event logs, and check it."""
    day, paths, ports = parse_date(date), settings.Paths(), settings.Ports()
    require_up(paths, ports)
    show_day(site.local(paths, ports), day)


def show_day(where: Site, day: calendar_date, run_id: str | None = None, asked_rows: int | None = None) -> None:
    """Show the day, or the run of it with that id. Raises RunFailed, naming everything that is wrong.

    `asked_rows` is how many raw rows were asked for, where that is known.
    """
    sources = "S3, the Delta logs and Spark's event logs" if where.history_server_url else "S3 and the Delta logs"
    again = f" `make summary DATE={day}` does that once more." if where.profile == LOCAL else ""
    with (
        interrupts.stoppable(f"Stopped while reading {day} back.{again}"),
        output.stage(f"Reading {day} back from EMR, {sources}"),
    ):
        found = read(where, day, run_id)
    if not found.clusters and found.raw_rows is None:
        raise RunFailed(
            f"There is no run of {day}: EMR knows no cluster of it, S3 no data. "
            f"`{run_command(day, None, where.verbs.run)}` runs it."
        )
    output.show(_clusters(found))
    output.show(_rows(found))
    _show_places(found, where)
    wrong = problems(found)
    if asked_rows is not None and found.raw_rows not in (None, asked_rows):
        wrong.append(f"{asked_rows} raw rows were asked for, the manifest counts {found.raw_rows}")
    if wrong:
        again = run_command(day, found.raw_rows, where.verbs.run)
        raise RunFailed(f"{day} is not complete: {'; '.join(wrong)}. `{again}` runs the day again.")


def problems(day: Day) -> list[str]:
    """What is not as it should be, a phrase each; empty when the day is complete."""
    wrong = [f"there is no cluster of {job}" for job in JOBS if job not in {cluster.job for cluster in day.clusters}]
    wrong += [f"cluster {cluster_id} is still active" for cluster_id in day.still_active]
    for cluster in day.clusters:
        if cluster.id not in day.still_active and cluster.state != "TERMINATED":
            wrong.append(f"cluster {cluster.id} ({cluster.job}) ended as {cluster.state}: {cluster.reason}")
        if cluster.masters != 1 or cluster.cores < day.core_count:
            wrong.append(
                f"cluster {cluster.id} ({cluster.job}) had {cluster.masters} master and {cluster.cores} core "
                f"instances, not 1 and {day.core_count}"
            )
        if not cluster.steps:
            wrong.append(f"cluster {cluster.id} ({cluster.job}) had no step")
        for step in cluster.steps:
            if step.state != "COMPLETED":
                wrong.append(f"step {step.id} ({step.name}) is {step.state}, not COMPLETED")
            if step.executor_hosts == ():
                wrong.append(f"Spark's event logs show no executor that worked for step {step.id} ({step.name})")
    wrong += [f"table {missing}" for missing in day.missing]
    # Delta writes no commit where no row comes and none goes: a day without broken rows leaves the quarantine as it is.
    written = (*day.tables, *([day.quarantine] if day.quarantine and day.quarantine.rows else []))
    for table in written:
        if table.version is None:
            wrong.append(f"no commit of table {table.name} falls into the processing step")
    for table in day.tables:
        if table.shipments != day.accepted_rows:
            wrong.append(f"{table.name} counts {table.shipments} shipments, daily_trends {day.accepted_rows}")
    return wrong + _unaccounted(day)


def _unaccounted(day: Day) -> list[str]:
    if day.raw_rows is None:
        return [f"there is no {day.raw_uri}/manifest.json"]
    if day.accepted_rows is None or day.quarantine is None:
        return []  # a table is missing, and named
    together = day.accepted_rows + day.quarantine.rows
    if day.raw_rows != together:
        return [
            f"{day.raw_rows} raw rows are not {day.accepted_rows} accepted and {day.quarantine.rows} quarantined, "
            f"{together} together"
        ]
    return []


def _clusters(day: Day) -> Table:
    known = any(step.executor_hosts is not None for cluster in day.clusters for step in cluster.steps)
    executors = ", executors (Spark's event logs)" if known else ""
    table = _table(f"{day.date}: clusters and steps (EMR's API){executors}")
    table.add_column("")
    table.add_column("Id", no_wrap=True)
    table.add_column("UTC", no_wrap=True)
    table.add_column("Seconds", justify="right", no_wrap=True)
    table.add_column("State", overflow="fold")
    for cluster in day.clusters:
        lived = _seconds(cluster.created_at, cluster.ended_at)
        table.add_row(cluster.job, cluster.id, _clock(cluster.created_at), lived, cluster.state, style="bold")
        table.add_row("  instances", f"{cluster.masters} master, {cluster.cores} core")
        for step in cluster.steps:
            took = _seconds(step.started_at, step.ended_at)
            table.add_row("  step", step.id, _clock(step.started_at), took, step.state)
            if step.executor_hosts is not None:
                table.add_row("  executors on", "\n".join(step.executor_hosts) or "none")
    return table


def _rows(day: Day) -> Table:
    table = _table(f"{day.date}: rows (the raw data's manifest, and the Delta tables)")
    table.add_column("")
    for header in ("Rows", "Shipments counted", "Delta version"):
        table.add_column(header, justify="right")
    table.add_row("raw", _number(day.raw_rows), style="bold")
    table.add_row("  accepted", _number(day.accepted_rows))
    if day.quarantine is not None:
        table.add_row("  quarantined", _number(day.quarantine.rows), "", _number(day.quarantine.version))
    for each in day.tables:
        table.add_row(each.name, _number(each.rows), _number(each.shipments), _number(each.version))
    return table


def _show_places(day: Day, where: Site) -> None:
    for cluster in day.clusters:
        for step in cluster.steps:
            output.say(f"  Logs of {cluster.job}:\n  {step.logs}/")
    output.say(f"  Raw data:\n  {day.raw_uri}/")
    output.say(f"  Tables:\n  {day.output_uri}/")
    for what, address in where.pages:
        output.say(f"  {what:<16} {address}")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))


def _clock(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%H:%M:%S") if at else "-"


def _seconds(begun_at: datetime | None, ended_at: datetime | None) -> str:
    return f"{(ended_at - begun_at).total_seconds():.0f}" if begun_at and ended_at else "-"


def _number(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
