"""Bring services up: in waves, each gated by the health of its services; all of it or nothing.

What a start had begun is ended again when it fails or is interrupted, and what ran before is left alone.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby

from drydock import interrupts, output, ports, settings, teardown
from drydock.errors import ServiceFailed
from drydock.health import Unhealthy
from drydock.runtime import Declared
from drydock.services import FURNISHED_WAVE, Service
from drydock.supervision import ProcessState, Supervisor, last_lines

POLL_SECONDS = 0.25
SHOWN_LOG_LINES = 12
DEAD_STATES = {"FATAL", "EXITED", "STOPPED", "UNKNOWN"}


def bring_up(
    paths: settings.Paths,
    services: Sequence[Service],
    meanwhile: Callable[[], None] = lambda: None,
    afterwards: Callable[[], None] = lambda: None,
) -> list[str]:
    """Start what does not run, wait until everything is healthy, and return the names of what was started.

    `meanwhile` is called once: when FURNISHED_WAVE has been started and all waves before it are healthy. Here Terraform
    comes in, which has to wait for AWS's delays while the Spark daemons warm up. `afterwards` is called when everything
    is healthy. Raises PortTaken, ServiceFailed (naming the service, with the last lines of its log) or what these two
    raise; then, as on Ctrl-C, what this call had started has been ended.
    """
    supervisor = Supervisor(paths)
    is_new = not supervisor.is_running()
    if is_new:
        _clear_leftovers(paths)
    states = {} if is_new else supervisor.states()
    missing = [service for service in services if not _is_up(states.get(service.name))]
    ports.require_free(listener for service in missing for listener in service.listeners)
    started: list[str] = []
    try:
        if is_new:
            supervisor.launch(services)
        waves = [list(members) for _, members in groupby(services, key=lambda service: service.wave)]
        for members in waves:
            new = _start_missing(supervisor, members, started)
            if members[0].wave == FURNISHED_WAVE:
                meanwhile()
            _await_health(supervisor, paths, members)
            if new:
                output.done(f"{_title(members)}: up and healthy")
        afterwards()
        supervisor.record_processes()  # also what it has restarted by itself since the last time
        supervisor.forget_restarts()
    except BaseException:
        with interrupts.uninterrupted():
            _undo(supervisor, paths, is_new, started)
        raise
    return started


def _clear_leftovers(paths: settings.Paths) -> None:
    left = teardown.end_leftovers(paths)
    if left:
        output.warn(
            f"The supervisor of an earlier start is gone. Ended what it had left: {len(left)} processes "
            f"({', '.join(sorted(set(left))[:8])})."
        )
    teardown.forget(paths)


def _start_missing(supervisor: Supervisor, members: list[Service], started: list[str]) -> bool:
    """Start those of a wave that do not run, and say so in `started` at once. Returns whether there was any."""
    states = supervisor.states()
    missing = [service for service in members if not _is_up(states.get(service.name))]
    for service in missing:
        started.append(service.name)
        supervisor.start(service)
    if missing:
        supervisor.record_processes()
    return bool(missing)


def _await_health(supervisor: Supervisor, paths: settings.Paths, members: list[Service]) -> None:
    begun_at = time.monotonic()
    states = supervisor.states()
    pending = {service.name: service for service in members if why_not(service, states.get(service.name)) is not None}
    if not pending:
        return
    with (
        output.stage(f"Waiting for {_title(members)}") as tell,
        ThreadPoolExecutor(max_workers=len(members)) as pool,
    ):
        while True:
            states = supervisor.states()
            checked = pool.map(why_not, pending.values(), [states.get(name) for name in pending])
            reasons = dict(zip(pending, checked, strict=True))
            pending = {name: service for name, service in pending.items() if reasons[name] is not None}
            if not pending:
                return
            tell("; ".join(f"{name}: {reasons[name]}" for name in pending))
            for name, service in pending.items():
                elapsed = time.monotonic() - begun_at
                if states[name].state in DEAD_STATES or elapsed > service.start_seconds:
                    raise _failure(service, states[name], reasons[name] or "", elapsed, paths)
            time.sleep(POLL_SECONDS)


def why_not(service: Service | Declared, state: ProcessState | None) -> str | None:
    """Why a service does not do its work; None when it does."""
    if state is None:
        return "the supervisor does not know it"
    if state.state == "BACKOFF":
        return f"it ended within seconds of its start and is tried again ({state.complaint or 'no reason given'})"
    if state.state == "FATAL":
        return "it ended again and again, and was given up"
    if not state.is_up:
        return f"it is {state.state.lower()}"
    try:
        service.check()
    except Unhealthy as reason:
        return str(reason)
    return None


def _failure(
    service: Service, state: ProcessState, reason: str, elapsed: float, paths: settings.Paths
) -> ServiceFailed:
    log = paths.logs / f"{service.name}.log"
    lines = "\n".join(f"    {line}" for line in last_lines(log, SHOWN_LOG_LINES).splitlines())
    how = "did not come up" if state.state in DEAD_STATES else f"was not healthy after {elapsed:.0f} s"
    ran_before = state.started_at is not None and time.time() - state.started_at > 2 * elapsed
    advice = (
        "It ran before this: `make local-down`, then `make local-up`, starts it anew."
        if ran_before
        else "When the cause is mended: `make local-up`."
    )
    return ServiceFailed(
        f"{service.name} {how}: {reason}.\n"
        f"The last lines of its log:\n{lines}\n"
        f"All of it: `make local-logs SERVICE={service.name}`. {advice}"
    )


def _undo(supervisor: Supervisor, paths: settings.Paths, is_new: bool, started: list[str]) -> None:
    if is_new:
        output.warn("Ending what this command had started.")
        ended = teardown.end_all(paths)
        output.warn(f"Ended: {', '.join(ended) or 'nothing was running yet'}.")
    elif started:
        output.warn(f"Ending what this command had started: {', '.join(started)}.")
        with suppress(OSError):  # the supervisor is gone: `local-down` ends the rest
            supervisor.stop(reversed(started), teardown.STOP_SECONDS)
            supervisor.record_processes()


def _is_up(state: ProcessState | None) -> bool:
    return state is not None and state.is_up


def _title(members: list[Service]) -> str:
    return ", ".join(service.name for service in members)
