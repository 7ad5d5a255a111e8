"""The first thing `make` runs: from Python 3.11 alone to a workspace in which `drydock` can do the rest.

    python3.11 scripts/prepare.py [--quiet] [--part IMAGE]

Says that there is nothing to do, in one line (with `--quiet` not even that) and well under a second; otherwise fetches
uv, makes the environment `workspace` with it, and hands over to `drydock setup`, for all or for what one image of
`compose/` needs. Standard library only, and nothing is imported from Drydock before the version is looked at: an older
Python gets as far as being told what is wrong. Speaks on stderr, so that stdout belongs to the verb.
"""

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drydock.settings import Paths
    from drydock.toolchain import plan

WANTED = (3, 11)


def main() -> int:
    """Exit codes: 0 all is in place; 1 it is not, and the last line says why; 130 Ctrl-C."""
    complaint = wrong_python()
    if complaint:
        return fail(complaint)
    try:
        return prepare(quiet="--quiet" in sys.argv[1:], part=sys.argv[2] if sys.argv[1:2] == ["--part"] else "")
    except KeyboardInterrupt:
        return fail("Interrupted. `make setup` goes on from here.", 130)


def wrong_python() -> str:
    """What is wrong with this Python, if anything is."""
    if sys.version_info[:2] == WANTED:
        return ""
    found = ".".join(str(part) for part in sys.version_info[:2])
    return (
        f"Drydock runs on Python 3.11, as EMR's nodes do; `{sys.executable}` is {found}. Install Python 3.11 and, "
        "when `python3.11` is not on the PATH, name it: `make PYTHON=/path/to/python3.11`."
    )


def prepare(quiet: bool, part: str = "") -> int:
    """Make what `drydock setup` runs in, and hand over to it, unless nothing at all is to do."""
    from drydock import lock, settings
    from drydock.errors import DrydockError
    from drydock.toolchain import plan

    paths = settings.Paths()
    todo = plan.pending(paths, (*plan.FOUNDATION, *(plan.part(part) if part else plan.STEPS)))
    if not todo:
        if not quiet:
            say(f"✓ Nothing to set up: all is in place in {paths.home}")
        return 0
    try:
        look_at_ground(paths, plan.needed_megabytes(paths, todo))
        with lock.setting_up(paths, lambda warning: say(f"! {warning}")):
            plan.carry_out(paths, plan.FOUNDATION, reporter())
    except DrydockError as error:
        return fail(str(error))
    return hand_over(str(paths.environment("workspace") / "bin" / "drydock"), *(["--part", part] if part else []))


def look_at_ground(paths: "Paths", needed_megabytes: int) -> None:
    """Raise SetupError when `DRYDOCK_HOME` is where nothing can be built, or where there is no room for it. Changes
    nothing but making the folder."""
    from drydock.errors import SetupError
    from drydock.preflight import finding, machine

    try:
        finding.require(machine.home(paths))
        paths.home.mkdir(parents=True, exist_ok=True)
        finding.require(machine.disk(paths, needed_megabytes))
    except OSError as error:
        raise SetupError(
            f"`{paths.home}` cannot be made: {error.strerror}. Set DRYDOCK_HOME to another folder."
        ) from None


def reporter() -> "plan.Reporter":
    from drydock.toolchain import plan

    began: dict[str, float] = {}

    def started(step: plan.Step) -> None:
        began[step.name] = time.monotonic()
        say(f"… {step.title}")

    def done(step: plan.Step, made: str) -> None:
        say(f"✓ {step.title}: {made} ({time.monotonic() - began[step.name]:.1f} s)")

    return plan.Reporter(started, lambda _step, _news: None, done)


def hand_over(drydock: str, *options: str) -> int:
    sys.stderr.flush()
    os.execv(drydock, [drydock, "setup", *options])  # noqa: S606 - a shell would only be in between


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def fail(message: str, exit_code: int = 1) -> int:
    say(f"✗ {message}")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
