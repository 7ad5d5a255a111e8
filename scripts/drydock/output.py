"""What a user sees: one object owns all output of the command line."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console as RichConsole
from rich.file_proxy import FileProxy
from rich.markup import escape
from rich.table import Table


class Console(RichConsole):
    """A console that ends the command when nobody reads any more, such as after `… | head`."""

    def on_broken_pipe(self) -> NoReturn:
        """What Rich calls then: the lines to come go nowhere, and the command cleans up and ends with exit code 1."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)
        raise SystemExit(1)


CONSOLE = Console(highlight=False, emoji=False, soft_wrap=True)
TABLES = Console(highlight=False, emoji=False, width=400)
ERRORS = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
PLAIN_NEWS_SECONDS = 10


def say(message: str, console: Console = CONSOLE) -> None:
    """A line of plain news."""
    console.print(escape(message))


def done(message: str, console: Console = CONSOLE) -> None:
    """A stage that is finished."""
    console.print(f"[green]✓[/] {escape(message)}")


def warn(message: str) -> None:
    """Something the user should know, which stops nothing."""
    ERRORS.print(f"[yellow]![/] {escape(message)}")


def fail(message: str) -> None:
    """Why the command did not do what was asked."""
    ERRORS.print(f"[red]✗[/] {escape(message)}")


def pass_on(line: str, *, stderr: bool = False) -> None:
    """A line that a program of the user's has written, as it is, on the stream that the program wrote it to."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, FileProxy) and not stream.isatty():
        stream = stream.rich_proxied_file  # a spinner on the other stream, which is a terminal, would take it there
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        (ERRORS if stderr else CONSOLE).on_broken_pipe()


def show(table: Table) -> None:
    """A table as wide as what is in it: a narrow terminal folds its lines, and no text is cut."""
    TABLES.print(table)


def duration(seconds: float | None) -> str:
    """A length of time, for people; nothing for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def stage(message: str, console: Console = CONSOLE) -> Iterator[Callable[[str], None]]:
    """Show `message` with a spinner while the stage runs (a plain line where there is no terminal).

    Yields what to call with news of the stage, as often as it likes: without a terminal a line appears when the news
    has changed, every ten seconds at most.
    """
    if console.is_terminal:
        with console.status(escape(message)) as status:
            yield lambda news: status.update(escape(f"{message}: {news}"))
        return
    say(f"… {message}", console)
    shown, shown_at = "", time.monotonic()

    def tell(news: str) -> None:
        nonlocal shown, shown_at
        if news != shown and time.monotonic() - shown_at >= PLAIN_NEWS_SECONDS:
            say(f"… {message}: {news}", console)
            shown, shown_at = news, time.monotonic()

    yield tell
