"""One verb at a time may change what runs, and one set-up what it runs on.

A lock is a file that its holder has locked and written its name into. The kernel releases it when the holder ends,
however it ends: there is no stale lock. Processes started meanwhile do not inherit it.

Standard library only: `scripts/prepare.py` imports this before any environment exists.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drydock import settings
from drydock.errors import DrydockError


@contextmanager
def exclusive(paths: settings.Paths, verb: str) -> Iterator[None]:
    """Hold the platform's lock for a verb. Raises DrydockError, naming who holds it, when it is held."""
    with alone(paths.run / "lock", verb, "this platform"):
        yield


@contextmanager
def alone(file: Path, verb: str, what: str) -> Iterator[None]:
    """Hold `file` for a verb that works on `what`. Raises DrydockError, naming who holds it, when it is held."""

    def refuse(holder: str) -> None:
        raise DrydockError(f"{holder} is at work on {what} just now. Wait until it has ended, then try again.")

    with held(file, f"`make {verb}`", refuse):
        yield


@contextmanager
def setting_up(paths: settings.Paths, warn: Callable[[str], None]) -> Iterator[None]:
    """Hold the set-up's lock. When it is held, say so by `warn`, once, and wait for the other's end."""
    with held(paths.home / "setup.lock", "Set-up", lambda holder: warn(f"{holder} is at work; waiting for it.")):
        yield


@contextmanager
def held(file: Path, name: str, when_taken: Callable[[str], None]) -> Iterator[int]:
    """Hold `file` for the block. When another process does, call `when_taken` with its name and pid; unless that
    raises, wait for its end.

    Yields the descriptor: a process that is given it holds the file as well, for as long as it lives."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            when_taken(stream.read().strip() or "Another command")
            fcntl.flock(stream, fcntl.LOCK_EX)
        note_holder(stream.fileno(), name, os.getpid())
        yield stream.fileno()


def note_holder(held_file: int, name: str, pid: int) -> None:
    """Have a held file name its holder: another process that was given the descriptor, for instance."""
    os.ftruncate(held_file, 0)
    os.write(held_file, f"{name} (pid {pid})".encode())
