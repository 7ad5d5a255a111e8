"""Which processes are the platform's: recorded when they are started, found again later, ended for certain.

A process is known by its pid *and* the time it was created, so that a foreign process that got a recycled pid is never
touched. Three sources name them: the record that `local-up` writes, the files in which nodes note what they start,
and, as the last resort, the marker that every service and all its children carry in their environment.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from drydock import settings

MARKER = "DRYDOCK_INSTALL"
CREATE_TIME_TOLERANCE_SECONDS = 2.0  # the kernel's ticks, and a clock that was set meanwhile
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Recorded:
    """A process that the platform started. `create_time` is in epoch seconds; `what` names it for people."""

    pid: int
    create_time: float
    what: str


def install_id(paths: settings.Paths) -> str:
    """What tells this install's processes from those of another `DRYDOCK_HOME`. Known even when the folder is gone."""
    return hashlib.sha256(os.fsencode(paths.home)).hexdigest()[:16]


def unmarked(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, for what is not the local platform's, and must not be ended with it."""
    return {name: value for name, value in environment.items() if name != MARKER}


def record_file(paths: settings.Paths) -> Path:
    return paths.run / "processes.json"


def record(paths: settings.Paths, pids: dict[str, int]) -> None:
    """Write down what runs now: name → pid. Replaces what was recorded; those that are gone already are left out."""
    entries = []
    for what, pid in pids.items():
        try:
            entries.append(asdict(Recorded(pid, psutil.Process(pid).create_time(), what)))
        except psutil.NoSuchProcess:
            continue
    file = record_file(paths)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(entries, indent=2) + "\n")
    draft.replace(file)


def recorded(paths: settings.Paths) -> list[Recorded]:
    """What was recorded, by `local-up` and by the nodes, whether it still runs or not."""
    entries = []
    for file in (record_file(paths), *sorted((paths.home / "nodes").glob("*/processes/*.json"))):
        try:
            document = json.loads(file.read_text())
            for entry in document if isinstance(document, list) else [document]:
                entries.append(Recorded(int(entry["pid"]), float(entry["create_time"]), str(entry["what"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # gone, or half written when its writer was killed: the marker still finds the process
    return entries


def find(entry: Recorded) -> psutil.Process | None:
    """The recorded process, if it still runs and is not another one with its pid."""
    try:
        process = psutil.Process(entry.pid)
        is_same = abs(process.create_time() - entry.create_time) <= CREATE_TIME_TOLERANCE_SECONDS
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def running(paths: settings.Paths) -> dict[psutil.Process, str]:
    """Every process of this install that runs now, with what it is. This process and its parents never count, nor does
    a zombie, which is gone but for its exit code."""
    found = {process: entry.what for entry in recorded(paths) if (process := find(entry)) is not None}
    for process in _marked(install_id(paths)):
        found.setdefault(process, describe(process))
    for process in list(found):
        for child in _children(process):
            found.setdefault(child, describe(child))
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return {process: what for process, what in found.items() if process.pid not in own}


def end(processes: Iterable[psutil.Process], grace_seconds: float = 5.0) -> list[psutil.Process]:
    """SIGTERM, then SIGKILL for those that are still there after the grace. Returns those that survived even that."""
    chosen = list(processes)
    for process in chosen:
        _signal(process, signal.SIGTERM)
    remaining = _wait_gone(chosen, grace_seconds)
    for process in remaining:
        _signal(process, signal.SIGKILL)
    return _wait_gone(remaining, grace_seconds)


def describe(process: psutil.Process, limit: int = 120) -> str:
    """A process's command line, shortened; its name where the command line is not ours to see."""
    try:
        text = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return "a process that has just ended, or is another user's"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def memory_bytes(pid: int) -> int:
    """What a process and all its descendants occupy: the proportional set size where the system tells it, else the
    resident one. 0 when it is gone."""
    try:
        root = psutil.Process(pid)
        return sum(_own_memory_bytes(process) for process in (root, *root.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _own_memory_bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _marked(install: str) -> list[psutil.Process]:
    marked = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == install and _is_there(process):
                marked.append(process)
        except (psutil.Error, OSError):
            continue  # another user's, or gone meanwhile
    return marked


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [child for child in process.children(recursive=True) if _is_there(child)]
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil compares the creation time again before it sends
    except psutil.NoSuchProcess:
        return


def _wait_gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    remaining = [process for process in processes if _is_there(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        remaining = [process for process in remaining if _is_there(process)]
    return remaining


def _is_there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
