"""Become a service: `python launch.py SPECIFICATION`, a JSON file with `directory`, `command` and `environment`.

The supervisor starts this instead of the service itself, so that a service's environment is exactly what was declared
for it, nothing of the supervisor's added, and so that no path has to survive the quoting of a supervisor.conf. The
program replaces this one: same pid. Standard library only, since it runs without the workspace's packages.

It also counts restarts, since the supervisor would go on for ever with a service that ends again and again, but not
within seconds: they are noted beside the specification, each waits longer than the one before, and after
`restarts_at_most` of them `within_seconds` this one refuses, so that the supervisor gives the service up.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    file = Path(sys.argv[1])
    specification = json.loads(file.read_text())
    note_start(file.with_suffix(".restarts"), specification)
    os.chdir(specification["directory"])
    command = specification["command"]
    try:
        os.execve(command[0], command, specification["environment"])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}.")


def note_start(restarts: Path, specification: dict[str, Any]) -> None:
    """Note a restart, a line with its time, and wait before it; the first start leaves an empty file and does not wait.

    Ends this process when there were too many.
    """
    if not restarts.exists():
        restarts.touch()
        return
    at_most, within_seconds = specification["restarts_at_most"], specification["within_seconds"]
    recent = [line for line in restarts.read_text().split() if time.time() - float(line) < within_seconds]
    if len(recent) >= at_most:
        sys.exit(
            f"Given up: its restarts within {within_seconds / 60:.0f} minutes have reached {at_most}. "
            "`make local-up` starts it again."
        )
    with restarts.open("a") as file:
        file.write(f"{time.time():.0f}\n")
    if recent:
        time.sleep(2 ** (len(recent) - 1))


if __name__ == "__main__":
    main()
