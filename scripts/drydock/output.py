"""What a user sees: one object owns all output of the command line."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console as RichConsole
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


def say(message: str) -> None:
    """A line of plain news."""
    CONSOLE.print(escape(message))


def done(message: str) -> None:
    """A stage that is finished."""
    CONSOLE.print(f"[green]✓[/] {escape(message)}")


def warn(message: str) -> None:
    """Something the user should know, which stops nothing."""
    ERRORS.print(f"[yellow]![/] {escape(message)}")


def fail(message: str) -> None:
    """Why the command did not do what was asked."""
    ERRORS.print(f"[red]✗[/] {escape(message)}")


def show(table: Table) -> None:
    """A table as wide as what is in it: a narrow terminal folds its lines, and no text is cut."""
    TABLES.print(table)


@contextmanager
def stage(message: str) -> Iterator[Callable[[str], None]]:
    """Show `message` with a spinner while the stage runs (a plain line where there is no terminal).

    Yields what to call with news of the stage, as often as it likes: without a terminal a line appears when the news
    has changed, every ten seconds at most.
    """
    if CONSOLE.is_terminal:
        with CONSOLE.status(escape(message)) as status:
            yield lambda news: status.update(escape(f"{message}: {news}"))
        return
    say(f"… {message}")
    shown, shown_at = "", time.monotonic()

    def tell(news: str) -> None:
        nonlocal shown, shown_at
        if news != shown and time.monotonic() - shown_at >= PLAIN_NEWS_SECONDS:
            say(f"… {message}: {news}")
            shown, shown_at = news, time.monotonic()

    yield tell
