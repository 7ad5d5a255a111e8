"""Logs of the programs that verbs start, bounded as the supervisor bounds those of the services."""

import os
from pathlib import Path
from typing import TextIO

MAX_BYTES = 10 * 1024**2
BACKUPS = 2


def open_to_append(file: Path) -> TextIO:
    """Open a log, readable by its owner alone.

    One that has grown to `MAX_BYTES` becomes `<name>.1`, and that `<name>.2`, before. A program that still writes to
    it goes on in the renamed one.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size >= MAX_BYTES:
        for number in range(BACKUPS, 0, -1):
            newer = file.with_name(f"{file.name}.{number - 1}") if number > 1 else file
            if newer.exists():
                newer.replace(file.with_name(f"{file.name}.{number}"))
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)  # also one that an earlier version left open to others
    return os.fdopen(descriptor, "a")
