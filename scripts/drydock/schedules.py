"""The flows' schedules, as Kestra has them: what runs next, and what became of it last."""

from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from drydock import executions, output, settings
from drydock.errors import DrydockError
from drydock.kestra import Kestra


@dataclass(frozen=True)
class Schedule:
    """When a flow runs by itself next, and what became of it last, by hand or by itself."""

    flow: str
    next_at: datetime
    last: str


def show(paths: settings.Paths, ports: settings.Ports) -> None:
    """What Kestra is about to do. That it cannot be told is a sentence, and no failure: it is healthy."""
    if not settings.running_platform().get("schedules", True):
        output.say("No flow runs by itself: the platform was started with DRYDOCK_SCHEDULES=off.")
        return
    try:
        with executions.client(paths, ports) as engine:
            found = read(engine)
    except DrydockError as error:
        output.warn(f"Kestra's schedules cannot be told: {error}")
        return
    output.show(table(found, datetime.now(UTC)))


def read(engine: Kestra) -> list[Schedule]:
    """The flows' schedules, the next one first."""
    found = []
    for trigger in engine.triggers():
        if trigger.get("nextEvaluationDate") is None:  # one that waits for another flow
            continue
        last = engine.newest_execution(flowId=trigger["flowId"])
        state = f"{last['state']['current']}, {_minute(last['state']['startDate'])}" if last else "never"
        found.append(Schedule(trigger["flowId"], datetime.fromisoformat(trigger["nextEvaluationDate"]), state))
    return sorted(found, key=lambda schedule: (schedule.next_at, schedule.flow))


def table(found: list[Schedule], now: datetime) -> Table:
    """A line each, in UTC."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("flow", "next run (UTC)", "in", "last run (UTC)"):
        shown.add_column(title, no_wrap=True)
    for schedule in found:
        wait = output.duration(max(0.0, (schedule.next_at - now).total_seconds()))
        shown.add_row(schedule.flow, _minute(schedule.next_at.isoformat()), wait, schedule.last)
    return shown


def _minute(at: str) -> str:
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
