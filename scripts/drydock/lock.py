"""One verb at a time may change what runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from drydock import settings
from drydock.errors import DrydockError


@contextmanager
def exclusive(paths: settings.Paths, verb: str) -> Iterator[None]:
    """Hold the install's lock. Raises DrydockError, naming who holds it, when it is held.

    The kernel releases it when its holder ends, however it ends: there is no stale lock. Processes started meanwhile
    do not inherit it.
    """
    paths.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (paths.run / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            held_by = file.read().strip() or "another command"
            raise DrydockError(
                f"{held_by} is at work on this platform just now. Wait until it has ended, then `make {verb}` again."
            ) from None
        file.truncate(0)
        file.write(f"`make {verb}` (pid {os.getpid()})")
        file.flush()
        yield
