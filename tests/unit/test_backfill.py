"""Which days a backfill does, in which order, and what its calendar says. (On the platform: tests/platform.)"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock import backfill, calendar, output, settings, site
from drydock.backfill import Backfill, Plan, parse_range
from drydock.day import FlowRun
from drydock.days import Day
from drydock.errors import UsageError
from drydock.interrupts import Signals
from drydock.kestra import KestraUnreachable
from drydock.read_back import TABLES

FIRST = date(2026, 2, 26)


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in range(count)]


def whole(day: date, rows: int = 100) -> Day:
    return Day(day, rows, 1, dict.fromkeys(TABLES, rows - 1))


def generated(day: date, rows: int = 100) -> Day:
    return Day(day, rows, 0, {})


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        ("", "2026-02-01", "FROM is missing"),
        ("2026-02-30", "", "FROM is `2026-02-30`"),
        ("2026-02-01", "tomorrow", "TO is `tomorrow`"),
        ("2026-02-02", "2026-02-01", "FROM is 2026-02-02, after TO, which is 2026-02-01."),
        ("9999-12-31", "", r"\(yesterday\)"),
    ],
)
def test_what_is_no_range_of_days_is_wrong_usage(first: str, last: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_range(first, last)


def test_everything_is_to_be_done_where_nothing_is() -> None:
    assert Plan.of(days(3), {}, None) == Plan(days(3), days(3), days(3))


def test_what_is_whole_stays_and_what_looks_back_at_a_change_is_processed_again() -> None:
    ten = days(10)
    found = {day: whole(day) for day in ten} | {ten[2]: generated(ten[2])}
    assert Plan.of(ten, found, None) == Plan(ten, [], ten[2:9])  # six days look back at it
    assert Plan.of(ten, {day: whole(day) for day in ten}, None) == Plan(ten, [], [])


def test_a_day_that_looks_back_at_something_else_now_is_processed_and_changes_no_other() -> None:
    """What an interruption leaves: the gap is filled, and days after it have not been processed again yet."""
    five = days(5)
    found = {day: whole(day) for day in five} | {five[3]: replace(whole(five[3]), is_stale=True)}
    assert Plan.of(five, found, None) == Plan(five, [], [five[3]])


def test_a_day_of_another_size_is_generated_anew_where_a_size_is_asked_for() -> None:
    three = days(3)
    found = {day: whole(day) for day in three} | {three[1]: whole(three[1], 50)}
    assert Plan.of(three, found, 100) == Plan(three, [three[1]], three[1:])
    assert Plan.of(three, found, None) == Plan(three, [], [])


@given(st.lists(st.sampled_from(["nothing", "generated", "whole", "torn"]), min_size=1, max_size=20))
def test_a_plan_leaves_nothing_undone_and_touches_no_day_that_looks_back_at_no_change(states: list[str]) -> None:
    make = {"generated": generated, "whole": whole, "torn": lambda day: Day(day, 100, 1, {"daily_trends": 99})}
    all_days = days(len(states))
    found = {day: make[state](day) for day, state in zip(all_days, states, strict=True) if state in make}
    plan = Plan.of(all_days, found, None)
    assert plan.to_generate == [day for day, state in zip(all_days, states, strict=True) if state == "nothing"]
    incomplete = [day for day, state in zip(all_days, states, strict=True) if state != "whole"]
    assert set(incomplete) <= set(plan.to_process)
    assert all(any(0 <= (day - before).days <= 6 for before in incomplete) for day in plan.to_process)


class ScriptedExecution:
    """Runs for two looks. `endings` says which do not succeed, `log` what was begun while how many ran."""

    endings: Mapping[tuple[str, date], str] = {}
    log: Sequence[Any] = []
    running: Sequence[Any] = []

    def __init__(self, _engine: object, asked: FlowRun, run_id: str, _stopping_seconds: float) -> None:
        self.asked, self.run_id = asked, run_id
        self.day = date.fromisoformat(asked.inputs["date"])
        self.looks, self.state, self.seconds, self.news = 0, "RUNNING", 1.0, "running"
        type(self).running.append(self)
        type(self).log.append((asked.flow, self.day, len(self.running)))

    @property
    def has_ended(self) -> bool:
        return self.state != "RUNNING"

    def look(self) -> None:
        self.looks += 1
        if self.looks == 2 and not self.has_ended:
            self.state = self.endings.get((self.asked.flow, self.day), "SUCCESS")
            type(self).running.remove(self)

    def kill(self) -> None:
        if not self.has_ended:
            self.state = "KILLED"
            type(self).running.remove(self)

    def end(self) -> None:
        self.kill()

    def stale_days(self) -> list[date]:
        return []


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedExecution]:
    class Scripted(ScriptedExecution):
        endings, log, running = {}, [], []

    monkeypatch.setattr(backfill, "Execution", Scripted)
    monkeypatch.setattr(backfill, "POLL_SECONDS", 0)
    monkeypatch.setattr(backfill.executions, "show_failure", lambda execution: f"{execution.asked.doing} failed.")
    return Scripted


def work(plan: Plan, signals: Signals | None = None) -> Backfill:
    where = site.local(settings.Paths(), settings.Ports(0))
    return Backfill(where, None, plan, 100, signals or Signals())  # type: ignore[arg-type]


def test_two_days_are_generated_at_once_and_one_is_processed_in_order(scripted: type[ScriptedExecution]) -> None:
    it = work(Plan(days(6), days(6), days(6)))
    it.run()
    assert it.failure is None
    assert it.done == set(days(6))
    assert [day for flow, day, _ in scripted.log if flow == "data_processing"] == days(6)
    assert [day for flow, day, _ in scripted.log if flow == "data_generation"] == days(6)
    assert max(running for _, _, running in scripted.log) == 3
    order = [(flow, day) for flow, day, _ in scripted.log]
    assert all(order.index(("data_generation", day)) < order.index(("data_processing", day)) for day in days(6))


def test_after_a_failure_nothing_more_is_begun_and_what_runs_ends(scripted: type[ScriptedExecution]) -> None:
    scripted.endings = {("data_generation", days(6)[2]): "FAILED"}
    it = work(Plan(days(6), days(6), days(6)))
    it.run()
    assert it.failure == f"Generating {days(6)[2]} failed."
    assert it.failed == {days(6)[2]}
    assert len(it.run_ids_of_failures()) == 1
    assert scripted.running == []
    assert ("data_generation", days(6)[5]) not in [(flow, day) for flow, day, _ in scripted.log]


def test_a_signal_ends_what_runs_and_begins_nothing(
    scripted: type[ScriptedExecution], monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = Signals()
    it = work(Plan(days(6), days(6), days(6)), signals)
    monkeypatch.setattr(it, "_news", lambda: setattr(signals, "first", 2) or "")
    it.run()
    assert it.failure is None
    assert it.failed == set(days(2))
    assert scripted.running == []
    assert len(scripted.log) == 2


@pytest.mark.parametrize("when", ["it starts", "it is looked at"])
def test_a_kestra_that_goes_away_leaves_nothing_running(
    scripted: type[ScriptedExecution], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def refuse(*_: object) -> None:
        raise KestraUnreachable("It is away.")

    it = work(Plan(days(3), days(3), days(3)))
    monkeypatch.setattr(scripted, "__init__" if when == "it starts" else "look", refuse)
    it.run()
    assert it.failure == "It is away."
    assert scripted.running == []
    assert it.failed == set(days(1) if when == "it starts" else days(2))  # whose clusters are looked for


def test_who_leaves_by_an_exception_has_ended_what_ran(
    scripted: type[ScriptedExecution], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = work(Plan(days(3), days(3), days(3)))

    def nobody_reads() -> str:
        raise SystemExit(1)

    monkeypatch.setattr(it, "_news", nobody_reads)
    with pytest.raises(SystemExit):
        it.run()
    assert scripted.running == []


def test_where_nothing_is_to_be_done_nothing_is_begun(scripted: type[ScriptedExecution]) -> None:
    it = work(Plan(days(2), [], []))
    it.run()
    assert (it.failure, scripted.log) == (None, [])


def test_a_run_of_a_day_has_one_id(scripted: type[ScriptedExecution], monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[ScriptedExecution] = []
    init = scripted.__init__
    monkeypatch.setattr(scripted, "__init__", lambda self, *args: (init(self, *args), begun.append(self))[0])
    work(Plan(days(2), days(2), days(2))).run()
    by_day = {day: {execution.run_id for execution in begun if execution.day == day} for day in days(2)}
    assert [len(ids) for ids in by_day.values()] == [1, 1]
    assert by_day[days(2)[0]] != by_day[days(2)[1]]


def test_the_calendar_says_what_became_of_each_day(capsys: pytest.CaptureFixture[str]) -> None:
    seven = days(7)  # a Thursday to a Wednesday
    found = {
        seven[0]: whole(seven[0]),
        seven[1]: whole(seven[1]),
        seven[2]: generated(seven[2]),
        seven[3]: generated(seven[3]),
    }
    output.show(calendar.table(seven, found, done={seven[1]}, failed={seven[3], seven[4]}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert lines[2] == ["2026-02", *["26", "=", "27", "✓", "28", "g", "1", "✗"]]
    assert lines[3] == ["2026-03", *["2", "✗", "3", "·", "4", "·"]]
