"""End the platform: every process that it started, and none besides.

In the opposite order of its start: what a service left behind (a step, a Spark daemon, an executor) is ended before
the services that it needs to end well. Works on what is there, also after the supervisor was killed.
"""

from contextlib import suppress

import psutil

from drydock import processes, settings
from drydock.errors import ServiceFailed
from drydock.supervision import Supervisor, socket_path, waves

SUPERVISOR = "supervisord"
STOP_SECONDS = 60.0


def end_all(paths: settings.Paths) -> list[str]:
    """End everything. Returns what was ended, in words; empty when nothing ran.

    Raises ServiceFailed when a process is still there after SIGKILL.
    """
    supervisor = Supervisor(paths)
    ended = []
    if supervisor.is_running():
        by_wave: dict[int, list[str]] = {}
        for name, wave in waves(paths).items():
            by_wave.setdefault(wave, []).append(name)
        for wave in sorted(by_wave, reverse=True):
            ended += supervisor.stop(by_wave[wave], STOP_SECONDS)
            ended += _end(_strays(supervisor, paths))
        supervisor.shut_down()
    ended += end_leftovers(paths)
    forget(paths)
    return ended


def end_leftovers(paths: settings.Paths) -> list[str]:
    """End what still runs although no supervisor answers for it. Returns what was ended, in words."""
    found = processes.running(paths)
    first_wave = {name for name, wave in waves(paths).items() if wave == 1}
    supervisors = {process: what for process, what in found.items() if what == SUPERVISOR}
    last = {process: what for process, what in found.items() if what in first_wave}
    rest = {process: what for process, what in found.items() if process not in supervisors and process not in last}
    # A supervisor that hangs goes first, lest it restarts the others; the gateway last.
    return [what for group in (supervisors, rest, last) for what in _end(group)]


def forget(paths: settings.Paths) -> None:
    """Remove the notes about a platform that runs no more."""
    for name in ("processes.json", "platform.json"):
        (paths.run / name).unlink(missing_ok=True)
    socket_file = socket_path(paths)
    socket_file.unlink(missing_ok=True)
    if socket_file.parent != paths.run:
        with suppress(OSError):  # never made, or not empty
            socket_file.parent.rmdir()


def _strays(supervisor: Supervisor, paths: settings.Paths) -> dict[psutil.Process, str]:
    """Processes of the platform that belong to no service that is still up."""
    kept: set[int] = set()
    for pid in supervisor.service_pids().values():
        try:
            kept |= {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
        except psutil.NoSuchProcess:
            continue
    kept.add(supervisor.pid())
    return {process: what for process, what in processes.running(paths).items() if process.pid not in kept}


def _end(group: dict[psutil.Process, str]) -> list[str]:
    survivors = processes.end(group)
    if survivors:
        listed = ", ".join(f"{process.pid} ({group[process]})" for process in survivors)
        raise ServiceFailed(f"These processes are still there after SIGKILL: {listed}. Are they another user's?")
    return list(group.values())
