"""Where Terraform's AWS provider lies on this machine, so that it need not be downloaded.

A mirror is a folder in the layout that Terraform documents for filesystem mirrors: `HOST/NAMESPACE/TYPE/` with the
provider either unpacked, in `VERSION/OS_ARCH/`, or as `terraform-provider-TYPE_VERSION_OS_ARCH.zip`.
"""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from drydock.errors import SetupError

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find(version: str) -> Path | None:
    """The first mirror that has this version of the AWS provider for this machine; None: it has to be downloaded.

    Looked at, in this order: `TF_PLUGIN_DIR`, Terraform's own default folders, and every folder right under /opt.
    Raises SetupError when TF_PLUGIN_DIR is set and does not have it.
    """
    chosen = os.environ.get("TF_PLUGIN_DIR")
    if chosen:
        if not has(Path(chosen), version):
            raise SetupError(
                f"TF_PLUGIN_DIR is `{chosen}`, which has no AWS provider {version} for {machine()}.",
                "Put it there in the layout of Terraform's filesystem mirrors, or unset the variable.",
            )
        return Path(chosen)
    return next((mirror for mirror in _usual_places() if has(mirror, version)), None)


def machine() -> str:
    """This machine as Terraform names it: `linux_amd64`."""
    architecture = platform.machine().lower()
    return f"{platform.system().lower()}_{ARCHITECTURES.get(architecture, architecture)}"


def has(folder: Path, version: str) -> bool:
    """Whether a folder, a mirror or a cache of plug-ins, has this version of the AWS provider for this machine."""
    try:
        return any(
            any((provider / version / machine()).glob("terraform-provider-aws*"))
            or (provider / f"terraform-provider-aws_{version}_{machine()}.zip").is_file()
            for provider in folder.glob("*/hashicorp/aws")
        )
    except PermissionError:
        return False


def _usual_places() -> Iterator[Path]:
    home = Path.home()
    yield home / ".terraform.d" / "plugins"
    if platform.system() == "Darwin":
        yield home / "Library" / "Application Support" / "io.terraform" / "plugins"
        yield Path("/Library/Application Support/io.terraform/plugins")
    else:
        yield Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "terraform" / "plugins"
        for folder in (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":"):
            yield Path(folder) / "terraform" / "plugins"
    yield from sorted(Path("/opt").glob("*/"))
