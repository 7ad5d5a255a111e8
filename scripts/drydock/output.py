"""What a user sees: one object owns all output of the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

CONSOLE = Console(highlight=False, soft_wrap=True)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


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
    CONSOLE.print(table)


@contextmanager
def stage(message: str) -> Iterator[None]:
    """Show `message` with a spinner while the stage runs (a plain line where there is no terminal)."""
    if not CONSOLE.is_terminal:
        say(f"… {message}")
        yield
        return
    with CONSOLE.status(escape(message)):
        yield
