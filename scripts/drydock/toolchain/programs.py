"""Running the programs that set-up needs: silent while all is well, their output shown whole when not.

Standard library only.
"""

import subprocess
from collections.abc import Mapping, Sequence

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import network

LAST_CHARACTERS = 4000
CHECK_THE_NETWORK = (
    "Check the network (behind a proxy set HTTPS_PROXY, and SSL_CERT_FILE when it inspects TLS), "
    "then run `make setup` again: it goes on from here."
)


def run(command: Sequence[str], purpose: str, variables: Mapping[str, str] | None = None, advice: str = "") -> None:
    """Run `command` in the checkout, with `variables` as its environment (default: the caller's, for networks).

    Raises SetupError, «`purpose` failed», with the end of what the program said and then `advice`.
    """
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=settings.REPOSITORY,
        env=network.environment() if variables is None else dict(variables),
    )
    if result.returncode != 0:
        said = result.stdout.strip()[-LAST_CHARACTERS:]
        raise SetupError(f"{purpose} failed (exit code {result.returncode}):\n{said}\n{advice}".rstrip())


def works(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
