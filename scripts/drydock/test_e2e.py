"""`drydock test-e2e`: the platform in Docker Compose, tried from end to end.

Where Docker does not answer the tests are skipped, and the reason is printed; with DRYDOCK_E2E_REQUIRED=1 that is a
failure, as it is in CI.
"""

from typing import Annotated

import typer

from drydock import test


def test_e2e(full: Annotated[bool, typer.Option("--full", help="The faults too.")] = False) -> None:  # noqa: PT028
    """Run the tests of the platform in Docker Compose. Exit codes as of `test`."""
    test.run_all([test.E2E], full)
