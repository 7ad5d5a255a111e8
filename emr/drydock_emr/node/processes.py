"""Processes that the node started, directly or not: finding them again, and ending them for certain.

Found in two ways: by the records of `runner`, which are of a process and all its descendants, and by the environment
that everything of one tenancy inherits: the container-credentials token, which is random per tenancy.

`NODE_SCRATCH/processes/<pid>.json` has one JSON object a file, {"pid": int, "create_time": epoch seconds as psutil
gives it, "what": str}; it is there as long as the process lives or until somebody finds it gone. Whoever ends such a
process must end its descendants with it.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from drydock_emr.node.files import read_json

CREATE_TIME_TOLERANCE_SECONDS = 2.0
"""psutil derives creation times from the boot time, which moves a little when the clock is set."""

KILL_DEADLINE_SECONDS = 10.0
KILLED_SECONDS = 1.0
POLL_SECONDS = 0.05

log = logging.getLogger(__name__)

Finder = Callable[[], Iterable[psutil.Process]]


def find(pid: int, create_time: float) -> psutil.Process | None:
    """The process, if it lives and is not another one that got its pid. A zombie is gone."""
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - create_time) > CREATE_TIME_TOLERANCE_SECONDS:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def registered(folder: Path) -> list[psutil.Process]:
    """The processes recorded in `NODE_SCRATCH/processes` that live; records of others are removed."""
    found = []
    for file in folder.glob("*.json"):
        record = read_json(file)
        process = find(record["pid"], record["create_time"]) if record else None
        if process is None:
            file.unlink(missing_ok=True)
        else:
            found.append(process)
    return found


def with_descendants(roots: Iterable[psutil.Process]) -> set[psutil.Process]:
    """The processes and all that come from them."""
    found: set[psutil.Process] = set()
    for root in roots:
        found.add(root)
        try:
            found.update(root.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return found


def carrying(variables: dict[str, str]) -> set[psutil.Process]:
    """Every living process whose environment has all of these variables with these values."""
    found = set()
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if all(environment.get(name) == value for name, value in variables.items()) and _lives(process):
                found.add(process)
        except (psutil.Error, OSError):
            continue  # another user's, or gone meanwhile
    return found


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            log.warning("Process %d is another user's now and cannot be sent %s", process.pid, number.name)


def end(finder: Finder, grace_seconds: float) -> list[psutil.Process]:
    """SIGTERM to all that `finder` finds, after the grace SIGKILL, again until it finds no more.

    It is asked anew whenever all that it found is gone, for a dying process may have started another. Returns what
    outlived even SIGKILL. Blocks.
    """
    found = _living(finder())
    if grace_seconds > 0:
        send(found, signal.SIGTERM)
        _await_gone(found, grace_seconds)
    deadline = time.monotonic() + KILL_DEADLINE_SECONDS
    while (found := _living(finder())) and time.monotonic() < deadline:
        send(found, signal.SIGKILL)
        _await_gone(found, KILLED_SECONDS)
    for process in found:
        log.error("Process %d outlives SIGKILL; the kernel holds it", process.pid)
    return found


def _await_gone(found: list[psutil.Process], seconds: float) -> None:
    """Looks at these processes only: looking through all of the machine's, as a finder does, is dear."""
    deadline = time.monotonic() + seconds
    while (found := _living(found)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
