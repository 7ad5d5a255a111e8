"""`drydock VERB`: what the Makefile's targets call. Each verb is a module with a function of the same name."""

import sys
from typing import Annotated

import typer

from drydock import output
from drydock.env import env
from drydock.errors import DrydockError
from drydock.local_down import local_down
from drydock.local_logs import DEFAULT_LINES, local_logs
from drydock.local_status import local_status
from drydock.local_up import local_up

VERBS = ("setup", "check", "test", "lock-jars")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def drydock() -> None:
    """Run a Spark-on-EMR platform on one machine."""


app.command()(local_up)
app.command()(local_down)
app.command()(env)


@app.command(name="local-status")
def _local_status() -> None:
    """Show what runs. Exit codes: 0 everything is healthy; 1 something is not; 3 nothing runs."""
    raise typer.Exit(local_status())


@app.command(name="local-logs")
def _local_logs(
    service: Annotated[str, typer.Option(envvar="SERVICE", help="The service; all of them when none is named.")] = "",
    follow: Annotated[bool, typer.Option(envvar="FOLLOW", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(min=1, help="How many lines of each log.")] = DEFAULT_LINES,
) -> None:
    """Print the services' logs."""
    local_logs(service, follow, lines)


def main() -> None:
    """Run a verb. Exit codes: 0 it happened; 1 it did not, and the last line says why; 2 wrong usage; 130 Ctrl-C."""
    asked = [verb for verb in VERBS if verb in sys.argv[1:2]]
    for verb in asked or VERBS:
        name = verb.replace("-", "_")
        app.command(verb)(getattr(importlib.import_module(f"drydock.{name}"), name))
    try:
        app()
    except DrydockError as error:
        output.fail(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        output.fail("Interrupted.")
        sys.exit(130)


if __name__ == "__main__":
    main()
