"""`make demo`: the platform comes up, a day of shipments runs through it, and what came of it is read back and shown.

Exit code 0 means that all of this happened. The platform stays up, and the last lines say how to stop it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from drydock import output, settings, site, summary
from drydock.day import DateOption, RowsOption, parse_date, parse_rows
from drydock.errors import DrydockError
from drydock.local_up import bring_up
from drydock.run import run_local_day
from drydock.runtime import RuntimeOption, chosen
from drydock.settings import PROCESS

T = TypeVar("T")


def demo(date: DateOption = "", rows: RowsOption = "", runtime_name: RuntimeOption = "") -> None:
    """Bring the platform up, run a day through it, and show what came of it."""
    day, row_count, runtime = parse_date(date), parse_rows(rows), chosen(runtime_name, PROCESS)
    begun_at = time.monotonic()
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        stage_begun_at = time.monotonic()
        result = work()
        seconds[stage] = time.monotonic() - stage_begun_at
        return result

    timed("platform up", lambda: bring_up(runtime))
    paths, ports = settings.Paths(), settings.Ports()
    try:
        run_id = timed("day", lambda: run_local_day(paths, ports, day, row_count))
        timed("summary", lambda: summary.show_day(site.local(paths, ports), day, run_id, row_count))
    except DrydockError as error:
        error.add_note("The platform stays up, with the logs of what failed; `make local-down` stops it.")
        raise
    stages = ", ".join(f"{stage} {taken:.0f} s" for stage, taken in seconds.items())
    output.done(f"Demo done after {time.monotonic() - begun_at:.0f} s ({stages}).")
    output.say("The platform stays up. `make run` runs another day, `make local-down` stops everything.")
