"""Become a service: `python launch.py SPECIFICATION`, a JSON file with `directory`, `command` and `environment`.

The supervisor starts this instead of the service itself, so that a service's environment is exactly what was declared
for it, nothing of the supervisor's added, and so that no path has to survive the quoting of a supervisor.conf. The
program replaces this one: same pid. Standard library only, since it runs without the workspace's packages.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    specification = json.loads(Path(sys.argv[1]).read_text())
    os.chdir(specification["directory"])
    command = specification["command"]
    try:
        os.execve(command[0], command, specification["environment"])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}.")


if __name__ == "__main__":
    main()
