"""`make local-status`: what runs, since when, its memory, why what does not work does not, and what runs next."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import typer
from rich.markup import escape
from rich.table import Table

from drydock import output, processes, runtime, schedules, settings, startup, terraform
from drydock.errors import ServiceFailed
from drydock.health import Unhealthy
from drydock.runtime import Declared
from drydock.supervision import ProcessState

ALL_HEALTHY, SOME_ARE_NOT, NOTHING_RUNS = 0, 1, 3
STYLES = {"healthy": "green", "starting": "yellow", "unhealthy": "yellow", "failed": "red", "stopped": "dim"}


@dataclass(frozen=True)
class Status:
    """A service, as the user is told of it. `state`: healthy, starting, unhealthy, failed (given up) or stopped."""

    name: str
    state: str
    since_seconds: float | None
    memory_bytes: int
    url: str | None
    why_not: str


def local_status() -> None:
    """Show what runs. Exit codes: 0 every service is healthy; 1 some are not; 3 nothing runs."""
    raise typer.Exit(show_status())


def show_status() -> int:
    """Show the table. Returns the exit code of `local_status`."""
    paths, ports = settings.Paths(), settings.Ports()
    platform = runtime.of(paths, ports)
    if not platform.is_running():
        left = processes.running(paths)
        if left:
            output.fail(
                f"The supervisor does not run, but {len(left)} processes of the platform do. "
                "`make local-up` replaces them, `make local-down` ends them."
            )
            return SOME_ARE_NOT
        output.say("The platform does not run. `make local-up` starts it.")
        return NOTHING_RUNS
    states = platform.states()
    memory = platform.memory_bytes()
    gateway, *others = platform.declared()
    declared = [replace(gateway, check=partial(_check_furnished, gateway, paths, ports)), *others]
    with ThreadPoolExecutor(max_workers=len(declared)) as pool:
        rows = list(pool.map(lambda it: status(it, states.get(it.name), memory.get(it.name, 0)), declared))
    output.show(table(rows))
    if any(row.name == "kestra" and row.state == "healthy" for row in rows):
        schedules.show(paths, ports)
    unwell = [row for row in rows if row.state != "healthy"]
    if unwell:
        output.say(f"`make local-logs SERVICE={unwell[0].name}` shows its log; `make local-up` starts what stopped.")
    return SOME_ARE_NOT if unwell else ALL_HEALTHY


def status(service: Declared, state: ProcessState | None, memory_bytes: int) -> Status:
    """What is to be said of a service."""
    reason = startup.why_not(service, state)
    since = time.time() - state.started_at if state is not None and state.started_at is not None else None
    is_young = since is not None and since < service.start_seconds
    if reason is None:
        name = "healthy"
    elif state is not None and state.state in {"FATAL", "BACKOFF"}:
        name = "failed"
    elif state is not None and state.is_up:
        name = "starting" if is_young else "unhealthy"
    else:
        name = "stopped"
    notes = [reason] if reason else []
    if state is not None and state.restarts:
        notes.append("restarted once" if state.restarts == 1 else f"restarted {state.restarts} times")
    return Status(service.name, name, since, memory_bytes, service.url, "; ".join(notes))


def _check_furnished(gateway: Declared, paths: settings.Paths, ports: settings.Ports) -> None:
    """The gateway's check, and whether the platform is in it: a restarted one works, and has lost everything."""
    gateway.check()
    try:
        reason = terraform.why_not_applied(paths, ports)
    except ServiceFailed as error:
        raise Unhealthy(str(error)) from error
    if reason is not None:
        raise Unhealthy(reason)


def table(rows: list[Status]) -> Table:
    """The rows, and their memory's sum."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("service", "state", "since", "memory", "URL", "why not"):
        shown.add_column(title, no_wrap=True, justify="right" if title in {"since", "memory"} else "left")
    for row in rows:
        style = STYLES[row.state]
        shown.add_row(
            row.name,
            f"[{style}]{row.state}[/]",
            output.duration(row.since_seconds),
            _mebibytes(row.memory_bytes),
            row.url or "",
            escape(row.why_not),
        )
    shown.add_row("", "", "", _mebibytes(sum(row.memory_bytes for row in rows)), "", "")
    return shown


def _mebibytes(count: int) -> str:
    return f"{count / 1024**2:.0f} MiB" if count else ""
