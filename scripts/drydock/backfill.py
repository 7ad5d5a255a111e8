"""`make backfill FROM= TO= ROWS=`: many days, each by the same flows as one.

Raw data is generated for several days at a time; tables are written one day after the other, in the calendar's order,
because their measures look back. What is there already, and looks back at what is there, stays as it is: the same
command after an interruption, or after a failure, goes on where it was. The calendar at the end is read from raw data
and tables, not from what was done.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import typer

from drydock import calendar, executions, interrupts, output, settings, site
from drydock.day import DEFAULT_ROWS, FlowRun, RowsOption, generation, parse_date, parse_rows, processing
from drydock.days import REACH, Day, read
from drydock.errors import DrydockError, RunFailed, Stopped, UsageError
from drydock.executions import POLL_SECONDS, SUCCESS, Execution
from drydock.interrupts import Signals
from drydock.kestra import Kestra
from drydock.leftovers import end_leftovers
from drydock.run import warn_of
from drydock.running import require_running
from drydock.site import Site

# One has the nodes while the next one's cluster waits for them.
GENERATED_AT_ONCE = 2

FromOption = Annotated[str, typer.Option("--from", help="The first day, YYYY-MM-DD.")]
ToOption = Annotated[str, typer.Option("--to", help="The last day, YYYY-MM-DD; yesterday (UTC) if not given.")]


def backfill(first: FromOption = "", last: ToOption = "", rows: RowsOption = "") -> None:
    """Generate and process every day from FROM to TO of which that has not been done."""
    from_day, to_day = parse_range(first, last)
    row_count = parse_rows(rows) if rows else None
    paths, ports = settings.Paths(), settings.Ports()
    require_running(paths, ports)
    where = site.local(paths, ports)
    begun_at = time.monotonic()
    with interrupts.stoppable("Stopped before anything was begun."):
        plan = Plan.of(_days(from_day, to_day), read(where, from_day, to_day), row_count)
    output.say(
        f"{from_day} to {to_day}: {len(plan.days)} days, {len(plan.to_generate)} to generate, "
        f"{len(plan.to_process)} to process."
    )
    with executions.client(paths, ports) as engine, Signals().caught() as signals:
        work = Backfill(where, engine, plan, row_count or DEFAULT_ROWS, signals)
        try:
            work.run()
        finally:  # also when nobody reads any more: a driver that Kestra has killed may leave its cluster to others
            left = [end_leftovers(where, run_id) for run_id in work.run_ids_of_failures()]
    again = f"`make backfill FROM={from_day} TO={to_day}{f' ROWS={row_count}' if row_count else ''}` goes on from here."
    said = " ".join([*filter(None, [work.failure]), *left, again])
    try:
        found = read(where, from_day, to_day)
    except DrydockError as error:
        said = f"{said} What is there cannot be read: {error}"
    else:
        failed = work.failed if signals.first is None else ()  # what was stopped has not failed
        output.show(calendar.table(plan.days, found, done=work.done, failed=failed))
        output.say(calendar.LEGEND)
    if signals.first is not None:
        raise Stopped(f"Stopped. {said}", signals.first)
    if work.failure is not None:
        raise RunFailed(f"{said} {where.where_to_look}")
    if incomplete := [day for day in plan.days if day not in found or found[day].problem]:
        raise RunFailed(f"Not complete: {', '.join(map(str, incomplete))}. {said}")
    if stale := sorted(day for day in work.stale if day > to_day):
        warn_of(where, stale)
    output.done(f"{len(plan.days)} days are complete, after {time.monotonic() - begun_at:.0f} s.")


def parse_range(first: str, last: str) -> tuple[date, date]:
    """The first day and the last. Raises UsageError for what is no range of days."""
    if not first:
        raise UsageError("FROM is missing; expected the first day, such as `make backfill FROM=2026-01-01`.")
    from_day, to_day = parse_date(first, "FROM"), parse_date(last, "TO")
    if from_day > to_day:
        raise UsageError(f"FROM is {from_day}, after TO, which is {to_day}{'' if last else ' (yesterday)'}.")
    return from_day, to_day


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


@dataclass(frozen=True)
class Plan:
    """What is to be done, in the calendar's order."""

    days: Sequence[date]
    to_generate: Sequence[date]
    to_process: Sequence[date]

    @classmethod
    def of(cls, days: Sequence[date], found: Mapping[date, Day], rows: int | None) -> "Plan":
        """`rows` None takes raw data as it is, however many rows it has.

        Where a day's tables change, those of the days that look back at it are processed again.
        """
        to_generate = [day for day in days if not _has_raw(found.get(day), rows)]
        changing = [day for day in days if day in to_generate or found[day].is_incomplete]
        looking_back = {day for day in days for changed in changing if changed <= day <= changed + REACH}
        return cls(days, to_generate, [day for day in days if day in looking_back or found[day].is_stale])


def _has_raw(day: Day | None, rows: int | None) -> bool:
    return day is not None and day.raw is not None and rows in (None, day.raw)


class Backfill:
    """The work on a plan. Nothing more is begun after a failure or a signal; what runs then comes to its end.

    `failure` says afterwards why it went no further, `done` which days were processed, `failed` which were begun
    without success, `stale` which later days look back at something else now.
    """

    def __init__(self, where: Site, engine: Kestra, plan: Plan, rows: int, signals: Signals) -> None:
        self.failure: str | None = None
        self.done: set[date] = set()
        self.failed: set[date] = set()
        self.stale: set[date] = set()
        self._where, self._engine, self._plan, self._rows, self._signals = where, engine, plan, rows, signals
        self._to_generate, self._to_process = list(plan.to_generate), list(plan.to_process)
        self._running: list[tuple[date, Execution]] = []
        self._run_ids: dict[date, str] = {}

    def run(self) -> None:
        """Work until there is nothing more to do."""
        if not self._to_process:
            return
        begun_at = time.monotonic()
        with output.stage(f"Backfilling {self._plan.days[0]} to {self._plan.days[-1]}") as tell:
            try:
                self._begin()
                while self._running:
                    tell(f"{time.monotonic() - begun_at:.0f} s, {self._news()}")
                    time.sleep(POLL_SECONDS)
                    self._look()
                    self._begin()
            except DrydockError as error:  # Kestra is away, for longer than it takes to start it anew
                self.failure = self.failure or str(error)
                self._end_all()
            except BaseException:
                self._end_all()
                raise

    def run_ids_of_failures(self) -> list[str]:
        """Of the runs that may have left a cluster."""
        return [self._run_ids[day] for day in sorted(self.failed)]

    def _end_all(self) -> None:
        for _, execution in self._running:
            with suppress(DrydockError):
                execution.kill()
        for _, execution in self._running:
            with suppress(DrydockError):
                execution.end()

    def _begin(self) -> None:
        """Begin what can be."""
        if self.failure is not None or self._signals.first is not None:
            return
        generating = [execution for _, execution in self._running if execution.asked.flow == "data_generation"]
        while self._to_generate and len(generating) < GENERATED_AT_ONCE:
            day = self._to_generate.pop(0)
            generating.append(self._start(day, generation(day, self._rows)))
        is_processing = len(self._running) > len(generating)
        if self._to_process and not is_processing and self._is_generated(self._to_process[0]):
            day = self._to_process.pop(0)
            self._start(day, processing(day))

    def _is_generated(self, day: date) -> bool:
        return day not in self._to_generate and all(day != running for running, _ in self._running)

    def _start(self, day: date, asked: FlowRun) -> Execution:
        run_id = self._run_ids.setdefault(day, uuid.uuid4().hex[:8])
        self.failed.add(day)  # until it is known to have succeeded: its start may have been heard although it failed
        execution = Execution(self._engine, asked, run_id, self._where.stopping_seconds)
        self._running.append((day, execution))
        return execution

    def _look(self) -> None:
        """Look at what runs, and take away what has ended."""
        for day, execution in list(self._running):
            if self._signals.first is not None:
                execution.kill()
            execution.look()
            if not execution.has_ended:
                continue
            self._running.remove((day, execution))
            if execution.state == SUCCESS:
                output.done(f"{execution.asked.did} ({execution.seconds:.0f} s)")
                self.failed.discard(day)
                self.stale |= set(execution.stale_days())
                if execution.asked.flow == "data_processing":
                    self.done.add(day)
            elif self._signals.first is None:
                self.failure = executions.show_failure(execution)

    def _news(self) -> str:
        doing = (f"{execution.asked.doing.lower()} ({execution.news})" for _, execution in self._running)
        stopping = "stopping, " if self._signals.first is not None else ""
        return f"{stopping}{len(self.done)} of {len(self._plan.to_process)} days done; {'; '.join(doing)}"
