"""A day of shipments: which day, how many rows, and the flows that make it, in their order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from drydock.errors import UsageError

DEFAULT_ROWS = 100_000
MOST_ROWS = 10**9  # the generator's limit
NAMESPACE = "drydock"  # of the platform's own flows

DateOption = Annotated[str, typer.Option("--date", help="The day, YYYY-MM-DD; yesterday (UTC) if not given.")]
RowsOption = Annotated[str, typer.Option("--rows", help=f"Raw rows; {DEFAULT_ROWS} if not given.")]


@dataclass(frozen=True)
class FlowRun:
    """A flow and its inputs, and what to call that while it runs and when it is done."""

    flow: str
    doing: str
    did: str
    inputs: Mapping[str, str]
    namespace: str = NAMESPACE


def generation(day: date, rows: int) -> FlowRun:
    """The day's raw data."""
    inputs = {"date": day.isoformat(), "rows": str(rows)}
    return FlowRun("data_generation", f"Generating {day}", f"Generated {day}", inputs)


def processing(day: date) -> FlowRun:
    """The day's tables, of its raw data."""
    return FlowRun("data_processing", f"Processing {day}", f"Processed {day}", {"date": day.isoformat()})


def run_command(day: date, rows: int | None, verb: str = "run") -> str:
    """The command that runs the day, with as many raw rows as it had where that is known."""
    return f"make {verb} DATE={day}" + ("" if rows is None else f" ROWS={rows}")


def parse_date(text: str, variable: str = "DATE") -> date:
    """The day of a run: as given, or yesterday (UTC). Raises UsageError for anything but YYYY-MM-DD."""
    if not text:
        return datetime.now(UTC).date() - timedelta(days=1)
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.isoformat() != text:  # fromisoformat reads 20260131 and 2026-W05-6 too
        raise UsageError(f"{variable} is `{text}`; expected a day as YYYY-MM-DD, such as 2026-01-31.")
    return parsed


def parse_rows(text: str) -> int:
    """How many raw rows: as given, or 100,000. UsageError unless it is a whole number from 1 to a billion."""
    if not text:
        return DEFAULT_ROWS
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_ROWS):
        raise UsageError(f"ROWS is `{text}`; expected a whole number from 1 to {MOST_ROWS}, such as {DEFAULT_ROWS}.")
    return int(text)
