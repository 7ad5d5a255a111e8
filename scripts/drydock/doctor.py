"""`make doctor`: what stands in the way on this machine, or may, and what mends it. Changes nothing.

Called by `scripts/doctor.py`, which does with less where nothing has been set up yet.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.text import Text

from drydock import output, preflight, settings
from drydock.preflight import finding
from drydock.preflight.finding import Finding, Status

STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILURE: "bold red"}


def doctor(
    context: typer.Context,
    runtime: Annotated[str, typer.Option(metavar="docker|process", help="What the platform shall run on.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The same, for scripts.")] = False,
) -> None:
    """Look at machine, Docker, ports, network and what earlier runs have left. Exit code 1 when something fails."""
    # jgo's `requests` silences this itself; where the checks import it side by side, another one may undo that.
    warnings.filterwarnings("ignore", message="SOCKS support in urllib3")
    asked = preflight.known_runtime(runtime)
    callers_aws: Mapping[str, str] = context.obj or {}
    with output.stage("Looking at this machine", output.ERRORS):
        found = finding.carry_out(preflight.everything(settings.Paths(), asked, callers_aws))
    if as_json:
        output.pass_on(finding.as_json(found))
    else:
        show(found)
    raise typer.Exit(finding.exit_code(found))


def show(found: Mapping[str, Sequence[Finding]]) -> None:
    """The findings, a line each."""
    for status, line in finding.lines(found):
        text = Text(line)
        if status is not None:
            begin = line.index(status.value)
            text.stylize(STYLES[status], begin, begin + len(status.value))
        output.CONSOLE.print(text)
