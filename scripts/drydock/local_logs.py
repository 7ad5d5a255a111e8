"""`make local-logs`: the services' logs, one or all, at their end or as they grow. Works on a stopped platform too."""

from contextlib import suppress
from typing import Annotated

import typer

from drydock import output, runtime, settings
from drydock.errors import NotRunning, UsageError

DEFAULT_LINES = 100


def local_logs(
    service: Annotated[str, typer.Option(envvar="SERVICE", help="The service; all of them when none is named.")] = "",
    follow: Annotated[bool, typer.Option(envvar="FOLLOW", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(min=1, help="How many lines of each log.")] = DEFAULT_LINES,
    runtime_name: runtime.RuntimeOption = "",
) -> None:
    """Print the last lines of a service's log, or of every service's, prefixed with its name.

    Following goes on with what is written from now, across rotations.
    """
    platform = runtime.of(settings.Paths(), settings.Ports(), runtime_name)
    known = platform.logged()
    if service and service not in known:
        raise UsageError(f"There is no service `{service}`. There are: {', '.join(known)}.")
    names = [service] if service else list(known)
    found = {name: platform.log(name, lines) for name in names}
    if not any(found.values()):
        raise NotRunning(f"There is no log of {service or 'any service'} yet. `make local-up` starts the platform.")
    width = max(map(len, known))
    prefixes = {name: "" if service else f"{name:<{width}} | " for name in names}
    for name, shown in found.items():
        for line in shown:
            output.say(f"{prefixes[name]}{line}")
    if follow:
        with suppress(KeyboardInterrupt):  # the way to leave it
            for name, line in platform.follow(names):
                output.say(f"{prefixes.get(name, '')}{line}")
