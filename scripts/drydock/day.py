"""A day of shipments: which day, how many rows, and the jobs that make it, in their order."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from drydock.errors import UsageError

DEFAULT_ROWS = 100_000
MOST_ROWS = 10**9  # the generator's limit

DateOption = Annotated[str, typer.Option("--date", help="The day, YYYY-MM-DD; yesterday (UTC) if not given.")]
RowsOption = Annotated[str, typer.Option("--rows", help=f"Raw rows; {DEFAULT_ROWS} if not given.")]


@dataclass(frozen=True)
class Job:
    """A job as the driver runs it, and what to call that while it runs and when it is done.

    `command` may hold the driver's placeholders, filled in from platform.json.
    """

    name: str
    doing: str
    did: str
    command: tuple[str, ...]


def jobs(day: date, rows: int) -> tuple[Job, Job]:
    """Generation and processing of a day, each on a cluster of its own."""
    submit = ("spark-submit", "--py-files", "{application_uri}/shipments.zip")
    log_store = ("--jars", "{application_uri}/delta-log-store.jar")
    generator = ("{application_uri}/data_generator.py", "--date", "{date}", "--rows", str(rows))
    processor = ("{application_uri}/data_processor.py", "--date", "{date}", "--source", "{source_uri}")
    return (
        Job(
            "data-generation",
            f"Generating {day}",
            f"Generated {day}",
            (*submit, *generator, "--target", "{source_uri}"),
        ),
        Job(
            "data-processing",
            f"Processing {day}",
            f"Processed {day}",
            (*submit, *log_store, *processor, "--target", "{output_uri}"),
        ),
    )


def run_command(day: date, rows: int | None) -> str:
    """The command that runs the day, with as many raw rows as it had where that is known."""
    return f"make run DATE={day}" + ("" if rows is None else f" ROWS={rows}")


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
