"""Terraform is the one program that the user brings; here it is only looked at."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain.stamps import Stamp, fingerprint

WHERE = "See developer.hashicorp.com/terraform/install, then run `make setup` again."


def stamp(paths: settings.Paths) -> Stamp:
    program = shutil.which("terraform")
    state = Path(program).stat() if program else None
    seen = f"{program} {state.st_size} {state.st_mtime_ns}" if state else "none"
    return Stamp(paths.tools / "terraform.stamp", fingerprint(seen, minimum()))


def check(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Raise SetupError unless `terraform` is on the PATH and new enough; say which it is, and note that it is."""
    progress("looking for Terraform")
    found = look()
    stamp(paths).write()
    return found


def look() -> str:
    """The version of `terraform` and where it is, in words. Raises SetupError unless it is there and new enough."""
    program = shutil.which("terraform")
    if program is None:
        raise SetupError(f"`terraform` is not on the PATH; version {minimum()} or newer is needed.", WHERE)
    command = [program, "version", "-json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    try:
        found = str(json.loads(result.stdout)["terraform_version"])
    except (ValueError, KeyError):
        said = (result.stderr or result.stdout).strip()
        raise SetupError(f"`{program} version` does not work: {said}", WHERE) from None
    if _numbers(found) < _numbers(minimum()):
        raise SetupError(f"`{program}` is Terraform {found}; {minimum()} or newer is needed.", WHERE)
    return f"{found} in {program}"


def minimum() -> str:
    return str(settings.versions()["terraform"]["minimum"])


def environment() -> dict[str, str]:
    """The caller's, for commands of Terraform that reach for nothing: no look for updates, no configuration that is
    named but not there (Terraform complains about that whatever it is asked)."""
    variables = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    if not Path(variables.get("TF_CLI_CONFIG_FILE", "")).is_file():
        variables.pop("TF_CLI_CONFIG_FILE", None)
    return variables


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split("."))
