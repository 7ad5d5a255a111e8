"""`drydock VERB`: what the Makefile's targets call. Each verb is a module with a function of the same name.

Only the module of the verb asked for is imported: what one verb needs costs the others no time.
"""

import importlib
import os
import sys
from collections.abc import MutableMapping

import typer

from drydock import output, settings
from drydock.errors import DrydockError

VERBS = (
    "setup",
    "doctor",
    "demo",
    "run",
    "backfill",
    "flow",
    "submit",
    "summary",
    "report",
    "local-up",
    "local-down",
    "local-reset",
    "local-status",
    "local-logs",
    "env",
    "deploy-aws",
    "aws-run",
    "aws-flow",
    "aws-status",
    "aws-ui",
    "aws-rehearsal",
    "destroy-aws",
    "parity",
    "aws-parity",
    "check",
    "test",
    "test-e2e",
    "bench",
    "lock-jars",
)

ON_AWS = {"deploy-aws", "aws-run", "aws-parity", "aws-flow", "aws-status", "aws-ui", "destroy-aws"}
"""What acts on the account that the caller's environment leads to."""
INTERRUPTED = 130
LOOPBACK = (settings.LOOPBACK, "localhost")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def drydock() -> None:
    """Run a Spark-on-EMR platform on one machine."""


def main() -> None:
    """Run a verb. Exit codes: 0 it happened; 1 it did not, and the last line says why; 2 wrong usage; 130 Ctrl-C."""
    asked = [verb for verb in VERBS if verb in sys.argv[1:2]]
    callers_aws = {} if set(asked) & ON_AWS else leave_the_callers_aws(os.environ)
    leave_loopback_to_no_proxy(os.environ)
    for verb in asked or VERBS:
        name = verb.replace("-", "_")
        app.command(verb)(getattr(importlib.import_module(f"drydock.{name}"), name))
    try:
        app(obj=callers_aws)  # for `doctor`, which tells of it
    except DrydockError as error:
        output.fail(" ".join([str(error), *getattr(error, "__notes__", [])]))
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer has turned Ctrl-C into this, and says nothing
            output.fail("Interrupted.")
        raise


def leave_the_callers_aws(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Whatever a local verb speaks to is this platform: the caller's own keys, profiles and endpoints lead elsewhere.
    The authorities that the caller trusts stay, for downloads. Returns what was left out."""
    names = [name for name in environment if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]
    return {name: environment.pop(name) for name in names}


def leave_loopback_to_no_proxy(environment: MutableMapping[str, str]) -> None:
    """No proxy leads to loopback."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = environment.get(name, "").split(",")
        environment[name] = ",".join(filter(None, [*hosts, *(host for host in LOOPBACK if host not in hosts)]))


if __name__ == "__main__":
    main()
