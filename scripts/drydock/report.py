"""`make report FROM= TO=`: what the tables say of all days, or of these, as one HTML page that needs nothing else."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drydock import interrupts, output, settings, site
from drydock.day import parse_date
from drydock.days import Tables
from drydock.errors import RunFailed, UsageError
from drydock.read_back import reading, rows_of_raw_days
from drydock.running import require_up
from drydock.shipments_report.figures import Figures, read_figures
from drydock.shipments_report.page import counted, page
from drydock.site import Site
from drydock.toolchain.stamps import write_file

FromOption = Annotated[str, typer.Option("--from", help="The first day, YYYY-MM-DD; the first there is if not given.")]
ToOption = Annotated[str, typer.Option("--to", help="The last day, YYYY-MM-DD; the last there is if not given.")]
FileOption = Annotated[
    str, typer.Option("--file", help="Where to write the page; DRYDOCK_HOME/report.html if not given.")
]


def report(first: FromOption = "", last: ToOption = "", file: FileOption = "") -> None:
    """Write a page of charts and figures about the days in the tables."""
    from_day = parse_date(first, "FROM") if first else date.min
    to_day = parse_date(last, "TO") if last else date.max
    if from_day > to_day:
        raise UsageError(f"FROM is {from_day}, after TO, which is {to_day}.")
    paths, ports = settings.Paths(), settings.Ports()
    to_file = Path(file).absolute() if file else paths.report
    if to_file.is_dir():
        raise UsageError(f"FILE is {to_file}, a folder; expected the name of a file.")
    require_up(paths, ports, ("gateway",))
    where = site.local(paths, ports)
    platform = where.platform_config()
    with (
        interrupts.stoppable("Stopped before the report was written."),
        output.stage("Reading the tables and drawing the report"),
    ):
        figures = _read(where, platform, from_day, to_day)
        if not figures.days:
            if first or last:
                raise RunFailed(f"There is no day from {first or 'the first'} to {last or 'the last'}.")
            raise RunFailed("There is no day yet. `make run` runs one.")
        _write(to_file, page(figures, platform["output_uri"], datetime.now(UTC)))
    for day in figures.days:
        if day.problem:
            output.warn(f"{day.date} is not complete: {day.problem}. If no run of it is under way, `{day.run_again}`.")
    output.done(f"A report of {counted(len(figures.days), 'day')}: {to_file.as_uri()}")


def _read(where: Site, platform: dict[str, Any], first: date, last: date) -> Figures:
    with reading(where, "The tables"):
        tables = Tables(platform["output_uri"], where.account.storage_options())
        raw_rows = rows_of_raw_days(where.account.client("s3"), platform["source_uri"], first, last)
        return read_figures(tables, raw_rows, first, last)


def _write(file: Path, content: str) -> None:
    try:
        write_file(file, content)
    except OSError as error:
        raise RunFailed(
            f"The report cannot be written to {file}: {error.strerror}. FILE= names another place."
        ) from error
