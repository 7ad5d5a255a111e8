"""Logs on disk: those of the programs that verbs start, bounded as the supervisor bounds those of the services; and how
any of them is followed."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

MAX_BYTES = 10 * 1024**2
BACKUPS = 2
POLL_SECONDS = 0.25


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


def follow(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Name and line, as lines are written to these files from now on, across rotations. Never ends."""
    tails = {name: Tail(file) for name, file in files.items()}
    while True:
        news = {name: tail.new_lines() for name, tail in tails.items()}
        for name, lines in news.items():
            yield from ((name, line) for line in lines)
        if not any(news.values()):
            time.sleep(POLL_SECONDS)


class Tail:
    """What is written to a log from now on. The log may be missing at first, and be rotated away meanwhile."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._unfinished = b""
        try:
            status = file.stat()
        except FileNotFoundError:
            self._inode, self._position = 0, 0
        else:
            self._inode, self._position = status.st_ino, status.st_size

    def new_lines(self) -> list[str]:
        """The lines that were finished since the last call."""
        try:
            with self._file.open("rb") as stream:
                status = self._file.stat()
                if status.st_ino != self._inode or status.st_size < self._position:
                    self._inode, self._position, self._unfinished = status.st_ino, 0, b""
                stream.seek(self._position)
                data = stream.read()
        except FileNotFoundError:
            return []
        self._position += len(data)
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
