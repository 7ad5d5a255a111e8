"""An execution as a verb sees it, on a Kestra that answers as it is told. (On the real engine: tests/platform.)"""

from datetime import date
from typing import Any

import pytest

from drydock import executions
from drydock.day import FlowRun, processing
from drydock.errors import DrydockError
from drydock.executions import Execution
from drydock.interrupts import Signals
from drydock.kestra import Document, KestraUnreachable

DAY = date(2026, 3, 7)
STOPPING_SECONDS = 100


class ScriptedKestra:
    """Gives the documents that it holds; `away` while it does not answer."""

    def __init__(self) -> None:
        self.parent = document("outer", "data_processing", "RUNNING")
        self.cluster: Document | None = None
        self.lines: list[Document] = []
        self.told: Document = {}
        self.away = self.hears = False
        self.refused = self.kills = 0
        self.asked: tuple[Any, ...] = ()

    def start(self, *asked: Any) -> Document:
        self._answer()
        self.asked = asked
        return self.parent

    def execution(self, execution_id: str) -> Document:
        self._answer()
        found = self.parent if execution_id == "outer" else self.cluster
        assert found is not None
        return found

    def executions(self, **filters: str) -> list[Document]:
        assert filters == {"triggerExecutionId": "outer"}
        return [self.cluster] if self.cluster is not None else []

    def last_log_line(self, _: str) -> Document | None:
        return self.lines[-1] if self.lines else None

    def logs(self, _: str, task: str | None = None) -> list[Document]:
        return [line for line in self.lines if line["taskId"] == task]

    def outputs(self, _: str) -> Document:
        return self.told

    def kill(self, execution_id: str) -> None:
        self._answer()
        self.kills += 1
        if execution_id == "outer":
            self.parent = document("outer", "data_processing", "KILLED" if self.cluster is None else "KILLING")
        else:
            self.cluster = document("inner", "emr_cluster", "KILLED")
            self.parent = document("outer", "data_processing", "KILLED")

    def _answer(self) -> None:
        if self.away:
            self.refused += 1
            raise KestraUnreachable("It is away.", may_have_arrived=self.hears)


def document(execution_id: str, flow: str, state: str, *tasks: tuple[str, str]) -> Document:
    runs = [{"taskId": task, "state": {"current": state}} for task, state in tasks]
    return {"id": execution_id, "flowId": flow, "state": {"current": state}, "taskRunList": runs}


@pytest.fixture
def engine() -> ScriptedKestra:
    return ScriptedKestra()


@pytest.fixture
def execution(engine: ScriptedKestra) -> Execution:
    return Execution(engine, processing(DAY), "r1", STOPPING_SECONDS)  # type: ignore[arg-type]


def line(task: str, message: str) -> Document:
    return {"taskId": task, "message": message}


def test_its_clusters_bear_the_run_s_id(engine: ScriptedKestra, execution: Execution) -> None:
    labels = {"system.correlationId": "r1"}
    assert engine.asked == ("drydock", "data_processing", {"date": "2026-03-07"}, labels)


def test_its_news_are_the_cluster_s_stage_and_last_line(engine: ScriptedKestra, execution: Execution) -> None:
    assert execution.news == "running"
    engine.parent = document("outer", "data_processing", "QUEUED")
    execution.look()
    assert execution.news == "queued"
    engine.cluster = document("inner", "emr_cluster", "RUNNING", ("create", "SUCCESS"), ("submit", "RUNNING"))
    execution.look()
    assert execution.news == "submit"
    engine.lines = [line("submit", "03:04:05 step s-1 (a step) RUNNING")]
    execution.look()
    assert execution.news == "submit: step s-1 (a step) RUNNING"


def test_it_has_ended_when_its_cluster_s_execution_has(engine: ScriptedKestra, execution: Execution) -> None:
    engine.parent = document("outer", "data_processing", "KILLED")
    engine.cluster = document("inner", "emr_cluster", "KILLING", ("wait", "KILLING"))
    execution.look()
    assert not execution.has_ended
    engine.cluster = document("inner", "emr_cluster", "KILLED", ("wait", "KILLED"))
    execution.look()
    assert execution.has_ended


def test_a_failure_is_that_of_the_first_task_that_failed(engine: ScriptedKestra, execution: Execution) -> None:
    tasks = (("create", "SUCCESS"), ("wait", "FAILED"), ("terminate", "SUCCESS"))
    engine.parent = document("outer", "data_processing", "FAILED", ("process", "FAILED"))
    engine.cluster = document("inner", "emr_cluster", "FAILED", *tasks)
    engine.lines = [
        line("wait", "the sea is rough"),
        line("wait", "io.kestra.core.models.tasks.runners.TaskException: Command failed with exit code 1"),
        line("wait", "Command failed with exit code 1"),
        line("terminate", "cluster j-1 TERMINATED"),
    ]
    execution.look()
    failure = execution.failure()
    assert failure.what == "task `wait` of execution inner (emr_cluster) is FAILED (exit code 1)"
    assert failure.lines == ["the sea is rough"]
    assert failure.last_words == "the sea is rough"


def test_a_task_that_could_not_begin_is_told_of_by_its_execution(engine: ScriptedKestra, execution: Execution) -> None:
    engine.parent = document("outer", "data_processing", "FAILED", ("process", "FAILED"))
    said = {"taskId": None, "timestamp": "2026-03-07T00:00:00Z"}
    engine.lines = [
        {**said, "level": "INFO", "message": "Execution started"},
        {**said, "level": "ERROR", "message": "Missing required input:arguments"},
    ]
    execution.look()
    assert execution.failure().last_words == "Missing required input:arguments"


def test_a_failure_before_any_cluster_is_its_own(engine: ScriptedKestra, execution: Execution) -> None:
    engine.parent = document("outer", "data_processing", "FAILED", ("name_the_day", "FAILED"))
    engine.lines = [line("name_the_day", "Command failed with exit code 1")]
    execution.look()
    assert (
        execution.failure().what == "task `name_the_day` of execution outer (data_processing) is FAILED (exit code 1)"
    )


@pytest.mark.parametrize(
    ("outputs", "stale"),
    [
        ({}, []),
        ({"steps": [{"told": None}]}, []),
        ({"steps": [{"told": {"job": "data_processor"}}]}, []),
        (
            {"steps": [{"told": {"stale_days": ["2026-03-08", "2026-03-10"]}}]},
            [date(2026, 3, 8), date(2026, 3, 10)],
        ),
    ],
)
def test_stale_days_are_what_the_step_told(
    engine: ScriptedKestra, execution: Execution, outputs: Document, stale: list[date]
) -> None:
    engine.cluster = document("inner", "emr_cluster", "SUCCESS")
    engine.told = outputs
    execution.look()
    assert execution.stale_days() == stale


class KestraOfMany(ScriptedKestra):
    """Knows of executions that others have started: `trigger` says how."""

    def __init__(self) -> None:
        super().__init__()
        self.all: dict[str, Document] = {}

    def has(
        self, execution_id: str, flow: str, state: str, by: str, *tasks: tuple[str, str], how: str = "flow"
    ) -> None:
        trigger = {"type": f"io.kestra.plugin.core.{how}", "variables": {"executionId": by}}
        self.all[execution_id] = {**document(execution_id, flow, state, *tasks), "trigger": trigger}

    def execution(self, execution_id: str) -> Document:
        return self.parent if execution_id == "outer" else self.all[execution_id]

    def executions(self, **filters: str) -> list[Document]:
        """The newest first, and as little of them as Kestra tells in a list."""
        by = filters["triggerExecutionId"]
        started = [each for each in self.all.values() if each["trigger"]["variables"]["executionId"] == by]
        return [{"id": each["id"]} for each in reversed(started)]

    def outputs(self, execution_id: str) -> Document:
        return {"cluster_id": f"j-{execution_id}"}


@pytest.fixture
def many() -> KestraOfMany:
    """A flow that runs a day's flow, whose cluster has ended, and a cluster of its own, which works."""
    many = KestraOfMany()
    many.parent = document("outer", "month", "RUNNING", ("day", "SUCCESS"), ("sum", "RUNNING"))
    many.has("day", "data_processing", "SUCCESS", "outer")
    many.has("first", "emr_cluster", "SUCCESS", "day", ("wait", "SUCCESS"))
    many.has("second", "emr_cluster", "RUNNING", "outer", ("create", "RUNNING"))
    many.has("sweep", "sweep", "RUNNING", "outer", how="trigger.Flow")
    return many


@pytest.fixture
def month(many: KestraOfMany) -> Execution:
    found = Execution(many, FlowRun("month", "Running month", "Ran month", {}), "r1", STOPPING_SECONDS)  # type: ignore[arg-type]
    found.look()
    return found


def test_all_that_it_has_started_is_its_own_and_what_its_state_has_set_off_is_not(
    many: KestraOfMany, month: Execution
) -> None:
    assert month.news == "create"
    assert [each["cluster_id"] for each in month.results_of_clusters()] == ["j-first", "j-second"]
    assert month.results() == {"cluster_id": "j-second"}
    many.parent = document("outer", "month", "SUCCESS")
    month.look()
    assert not month.has_ended
    many.has("second", "emr_cluster", "SUCCESS", "outer")
    month.look()
    assert month.has_ended


def test_a_failure_is_that_of_the_innermost_that_failed(many: KestraOfMany, month: Execution) -> None:
    many.parent = document("outer", "month", "FAILED", ("day", "SUCCESS"), ("sum", "FAILED"))
    many.has("second", "emr_cluster", "FAILED", "outer", ("create", "SUCCESS"), ("wait", "FAILED"))
    many.lines = [line("wait", "the sea is rough"), line("wait", "Command failed with exit code 1")]
    month.look()
    failure = month.failure()
    assert failure.what == "task `wait` of execution second (emr_cluster) is FAILED (exit code 1)"
    assert failure.cluster_id == "j-second"


def test_a_flow_without_a_cluster_tells_of_its_own_tasks(engine: ScriptedKestra, execution: Execution) -> None:
    engine.parent = document("outer", "ship_logs", "RUNNING", ("ship", "RUNNING"))
    engine.lines = [line("ship", "03:04:05 copying 2026-03-07")]
    execution.look()
    assert execution.news == "ship: copying 2026-03-07"
    assert execution.results() == {}


def test_an_engine_that_is_away_is_waited_for_and_not_for_ever(
    engine: ScriptedKestra, execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [execution._answered_at]
    monkeypatch.setattr(executions.time, "monotonic", lambda: now[0])
    engine.away = True
    now[0] += executions.UNREACHABLE_SECONDS - 1
    execution.look()
    assert execution.news == "Kestra has not answered for 119 s"
    engine.away = False
    execution.look()
    assert execution.news == "running"
    engine.away = True
    now[0] += executions.UNREACHABLE_SECONDS + 1
    with pytest.raises(KestraUnreachable):
        execution.look()


def test_a_kill_that_nobody_heard_is_asked_for_again(engine: ScriptedKestra, execution: Execution) -> None:
    engine.away = True
    execution.kill()
    assert engine.kills == 0
    engine.away = False
    execution.end()
    execution.end()
    assert engine.kills == 1


def test_a_cluster_s_execution_that_the_kill_has_missed_is_killed_as_well(
    engine: ScriptedKestra, execution: Execution
) -> None:
    """Kestra passes a kill on to those that are there, once."""
    execution.kill()
    engine.parent = document("outer", "data_processing", "KILLING", ("process", "KILLING"))
    engine.cluster = document("inner", "emr_cluster", "RUNNING", ("create", "RUNNING"))
    execution.look()
    execution.end()
    assert (execution.state, engine.kills) == ("KILLED", 2)


def test_what_does_not_end_is_given_up(
    engine: ScriptedKestra, execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [execution._answered_at]
    monkeypatch.setattr(executions.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(executions.time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr(engine, "kill", lambda _: None)
    begun_at = now[0]
    with pytest.raises(DrydockError, match="does not end: it is RUNNING"):
        execution.end()
    assert STOPPING_SECONDS < now[0] - begun_at < STOPPING_SECONDS + 2


def test_an_engine_that_is_being_restarted_is_waited_for(
    engine: ScriptedKestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.away = True

    def come_back(_: float) -> None:
        engine.away = False

    monkeypatch.setattr(executions.time, "sleep", come_back)
    assert Execution(engine, processing(DAY), "r1", STOPPING_SECONDS).id == "outer"  # type: ignore[arg-type]
    assert engine.refused == 1


def test_what_may_have_been_started_is_not_started_again(engine: ScriptedKestra) -> None:
    engine.away = engine.hears = True
    with pytest.raises(KestraUnreachable):
        Execution(engine, processing(DAY), "r1", STOPPING_SECONDS)  # type: ignore[arg-type]
    assert engine.refused == 1


@pytest.mark.parametrize("when", ["while it runs", "before it starts"])
def test_a_signal_ends_it(engine: ScriptedKestra, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = Signals()
    if when == "before it starts":
        signals.first = 2
    else:
        monkeypatch.setattr(engine, "executions", lambda **_: setattr(signals, "first", 2) or [])
    ended = executions.follow(engine, processing(DAY), "r1", signals, STOPPING_SECONDS)  # type: ignore[arg-type]
    assert (ended.state, engine.kills) == ("KILLED", 1)


def test_who_leaves_by_an_exception_has_ended_it(engine: ScriptedKestra, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_reads(*_: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr(executions.output, "say", nobody_reads)
    monkeypatch.setattr(executions.output, "PLAIN_NEWS_SECONDS", 0)
    with pytest.raises(SystemExit):
        executions.follow(engine, processing(DAY), "r1", Signals(), STOPPING_SECONDS)  # type: ignore[arg-type]
    assert engine.kills == 1
