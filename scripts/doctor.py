"""What `make doctor` runs: all of `drydock doctor` where that is there, and before set-up what Python alone can tell.

    python3.11 scripts/doctor.py [--runtime=docker|process] [--json]

Standard library only, and it sets nothing up: it is for the user whose set-up fails.
"""

import argparse
import os
import sys

from prepare import fail, wrong_python


def main() -> int:
    """Exit codes: 0 nothing is a failure; 1 something is; 2 wrong usage; 130 Ctrl-C."""
    if complaint := wrong_python():
        return fail(complaint)
    try:
        return look()
    except KeyboardInterrupt:
        return fail("Interrupted.", 130)


def look() -> int:
    """Hand over to the workspace's `drydock` where there is one, else look at what can be looked at."""
    from drydock import settings
    from drydock.toolchain import environments

    paths = settings.Paths()
    if environments.stamp(paths, "workspace").matches:
        drydock = str(paths.environment("workspace") / "bin" / "drydock")
        os.execv(drydock, [drydock, "doctor", *sys.argv[1:]])  # noqa: S606 - a shell would only be in between
    return look_without_workspace()


def look_without_workspace() -> int:
    from drydock import preflight, settings
    from drydock.errors import UsageError
    from drydock.preflight import finding

    parser = argparse.ArgumentParser(prog="doctor", description="Look at this machine before anything is set up.")
    parser.add_argument("--runtime", default="", metavar="docker|process", help="What the platform shall run on.")
    parser.add_argument("--json", action="store_true", help="The same, for scripts.")
    asked = parser.parse_args()
    try:
        runtime = preflight.known_runtime(asked.runtime)
    except UsageError as error:
        return fail(str(error), error.exit_code)
    callers_aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    found = finding.carry_out(preflight.before_set_up(settings.Paths(), runtime, callers_aws))
    if asked.json:
        print(finding.as_json(found))
    else:
        *shown, counted = (line for _, line in finding.lines(found))
        print("\n".join(shown))
        print("Memory, ports, Maven's repository and what earlier runs have left: `make doctor` after `make setup`.")
        print(counted)
    return finding.exit_code(found)


if __name__ == "__main__":
    sys.exit(main())
