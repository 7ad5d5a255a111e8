"""A calendar of days and what became of each, a week a line."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from rich import box
from rich.table import Table

from drydock.days import Day

DONE, THERE, FAILED, GENERATED, NOTHING = "✓", "=", "✗", "g", "·"
_STYLES = {DONE: "green", THERE: "default", FAILED: "red", GENERATED: "yellow", NOTHING: "dim"}
LEGEND = f"{DONE} done now   {THERE} was there   {GENERATED} generated only   {FAILED} failed   {NOTHING} not there"


def table(
    days: Sequence[date], found: Mapping[date, Day], *, done: Collection[date], failed: Collection[date]
) -> Table:
    """`days` in a row, ascending; `found` is what raw data and tables hold of them."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    shown.add_column("")
    for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"):
        shown.add_column(name, justify="right", no_wrap=True)
    monday = days[0] - timedelta(days=days[0].weekday())
    while monday <= days[-1]:
        week = [monday + timedelta(days=number) for number in range(7)]
        cells = [_cell(day, state(day, found.get(day), done, failed)) if day in days else "" for day in week]
        in_range = next(day for day in week if day in days)
        shown.add_row(f"{in_range:%Y-%m}", *cells)
        monday += timedelta(days=7)
    return shown


def state(day: date, found: Day | None, done: Collection[date], failed: Collection[date]) -> str:
    """Its sign: what is there counts, and of what is not complete whether it failed."""
    if found is not None and found.problem is None:
        return DONE if day in done else THERE
    if day in failed:
        return FAILED
    return GENERATED if found is not None and found.raw is not None else NOTHING


def _cell(day: date, sign: str) -> str:
    return f"[{_STYLES[sign]}]{day.day} {sign}[/]"
