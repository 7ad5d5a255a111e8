"""`make local-logs`: the services' logs, one or all, at their end or as they grow. Works on a stopped platform too."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from drydock import output, services, settings
from drydock.errors import NotRunning, UsageError
from drydock.supervision import last_lines

DEFAULT_LINES = 100
POLL_SECONDS = 0.25


def local_logs(
    service: Annotated[str, typer.Option(envvar="SERVICE", help="The service; all of them when none is named.")] = "",
    follow: Annotated[bool, typer.Option(envvar="FOLLOW", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(min=1, help="How many lines of each log.")] = DEFAULT_LINES,
) -> None:
    """Print the last lines of a service's log, or of every service's, prefixed with its name.

    Following goes on with what is written from now, across rotations.
    """
    paths = settings.Paths()
    known = (*services.names(paths), "supervisord")
    if service and service not in known:
        raise UsageError(f"There is no service `{service}`. There are: {', '.join(known)}.")
    files = {name: paths.logs / f"{name}.log" for name in ([service] if service else known)}
    if not any(file.exists() for file in files.values()):
        raise NotRunning(f"There is no log of {service or 'any service'} yet. `make local-up` starts the platform.")
    width = max(map(len, known))
    prefixes = {name: "" if service else f"{name:<{width}} | " for name in files}
    tails = {name: Tail(file) for name, file in files.items()}
    for name, file in files.items():
        if file.exists():
            _print(prefixes[name], last_lines(file, lines).splitlines())
    with suppress(KeyboardInterrupt):  # the way to leave `follow`
        while follow:
            news = {name: tail.new_lines() for name, tail in tails.items()}
            for name, fresh in news.items():
                _print(prefixes[name], fresh)
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


def _print(prefix: str, lines: list[str]) -> None:
    for line in lines:
        output.say(f"{prefix}{line}")
