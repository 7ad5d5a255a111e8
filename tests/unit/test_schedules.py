"""What `make local-status` tells of schedules."""

from datetime import UTC, datetime
from typing import Any

import pytest

from drydock import output, schedules
from drydock.errors import DrydockError
from drydock.settings import Paths, Ports

NOW = datetime(2026, 3, 7, 8, 30, tzinfo=UTC)
TRIGGERS = [
    {"flowId": "late", "triggerId": "daily", "nextEvaluationDate": "2026-03-07T18:00:00Z"},
    {"flowId": "soon", "triggerId": "hourly", "nextEvaluationDate": "2026-03-07T10:10:00+01:00"},
    {"flowId": "soon", "triggerId": "after_another"},
]
LAST = {"late": {"state": {"current": "FAILED", "startDate": "2026-03-06T18:00:02.5Z"}}}


class ScriptedKestra:
    def triggers(self) -> list[dict[str, Any]]:
        return TRIGGERS

    def newest_execution(self, flowId: str) -> dict[str, Any] | None:  # noqa: N803 - Kestra's name of the field
        return LAST.get(flowId)


def test_the_next_one_comes_first_and_what_waits_for_a_flow_is_no_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    found = schedules.read(ScriptedKestra())  # type: ignore[arg-type]
    output.show(schedules.table(found, NOW))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["soon", "2026-03-07", "09:10", "40", "min", "0", "s", "never"],
        ["late", "2026-03-07", "18:00", "9", "h", "30", "min", "FAILED,", "2026-03-06", "18:00"],
    ]


def test_that_kestra_does_not_tell_is_said_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    def refuse(*_: object) -> None:
        raise DrydockError("it is asleep")

    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(schedules.executions, "client", refuse)
    schedules.show(Paths(tmp_path), Ports(0))
    assert "Kestra's schedules cannot be told: it is asleep" in capsys.readouterr().err


def test_schedules_that_are_switched_off_are_not_told_although_kestra_remembers_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "platform.json").write_text('{"schedules": false}')
    monkeypatch.setattr(schedules.executions, "client", None)
    schedules.show(Paths(tmp_path), Ports(0))
    assert "the platform was started with DRYDOCK_SCHEDULES=off" in capsys.readouterr().out
