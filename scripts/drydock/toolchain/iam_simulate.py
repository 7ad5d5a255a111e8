"""The evaluator of IAM policies that `make parity` asks, and the Node.js that runs it; made when it is first needed.

Neither is part of what the platform runs with. npm takes what `requirements/iam-simulate/package-lock.json` names, by
its hashes, and runs no script of a package.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from drydock import settings
from drydock.toolchain import environments, network, programs
from drydock.toolchain.stamps import Stamp, fingerprint, replacing

ENVIRONMENT = "parity"
LOCK = environments.REQUIREMENTS / "iam-simulate"
FILES = ("package.json", "package-lock.json")


def folder(paths: settings.Paths) -> Path:
    """Where `node_modules` is."""
    return paths.tools / "iam-simulate"


def stamp(paths: settings.Paths) -> Stamp:
    return Stamp(folder(paths) / ".stamp", fingerprint(*(LOCK / name for name in FILES)))


def node(paths: settings.Paths) -> Path:
    return paths.environment(ENVIRONMENT) / "bin" / "node"


def provide(paths: settings.Paths, progress: Callable[[str], None]) -> None:
    """Make what is missing of both. Raises SetupError."""
    if not environments.stamp(paths, ENVIRONMENT).matches:
        progress("fetching Node.js")
        environments.create(paths, ENVIRONMENT, progress)
    if stamp(paths).matches:
        return
    progress("fetching the evaluator")
    with replacing(folder(paths)) as made:
        for name in FILES:
            shutil.copy(LOCK / name, made / name)
        # By its real path: through a link npm takes the folder itself for a package that the lock lacks.
        npm = [str(node(paths).with_name("npm")), "ci", "--prefix", str(made.resolve()), "--ignore-scripts"]
        npm += ["--no-audit", "--no-fund", "--no-update-notifier", "--cache", str(paths.cache / "npm")]
        programs.run(npm, "Fetching the evaluator of IAM policies", _environment(paths), programs.CHECK_THE_NETWORK)
    stamp(paths).write()


def _environment(paths: settings.Paths) -> dict[str, str]:
    """As for every program that fetches something; Node.js has a variable of its own for further authorities."""
    variables = network.environment()
    if bundle := variables.get("SSL_CERT_FILE"):
        variables.setdefault("NODE_EXTRA_CA_CERTS", bundle)
    path = os.pathsep.join([str(node(paths).parent), variables.get("PATH", os.defpath)])
    return {**variables, "PATH": path}
