"""What Kestra runs on AWS, as one archive: the flows, the driver, and what its host starts them with. Each deployment
has one, whether it has a host or not: the flows of the next one are compared with it.

Under the input bucket's folder of bundles:

    <revision of the jobs>/<SHA-256>.tar    a bundle, named after its content; never changed
    <revision of the jobs>/current          the SHA-256 of the one that was deployed with these jobs last
    current                                 <revision>/<SHA-256> of the one that is deployed; written last

A host looks at `current` every minute (terraform/modules/kestra_host/files/take-up). Going back to jobs of before is
going back to the bundle that was deployed with them last.
"""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drydock import flow_registration, settings
from drydock.errors import SetupError
from drydock.site import Site

FOLDER = "kestra"  # as in terraform/main.tf
FLOWS = "kestra/flows/"
DRIVER = "kestra/driver"  # where Python finds it
# Files and folders of the repository. What the image is made of is what compose/kestra/Dockerfile copies.
CONTENTS = (
    "compose/compose.yaml",
    "compose/kestra-host.yaml",
    "compose/kestra-host/start",
    "compose/kestra",
    "compose/postgres/start",
    "compose/with-network.sh",
    "kestra/driver/drydock_driver",
    "kestra/flows",
    "requirements/driver.txt",
    "scripts/drydock/__init__.py",
    "scripts/drydock/errors.py",
    "scripts/drydock/flow_registration.py",
    "scripts/drydock/kestra.py",
    "scripts/drydock/settings.py",
)
MADE = ("__pycache__",)


@dataclass(frozen=True)
class Bundle:
    """The archive itself. Two with the same files are the same, whenever and wherever they were made."""

    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def flows(self) -> dict[str, str]:
        """The flows' YAML, by file name."""
        with tarfile.open(fileobj=io.BytesIO(self.content)) as archive:
            members = [each for each in archive if each.name.startswith(FLOWS) and each.name.endswith(".yaml")]
            return {each.name.removeprefix(FLOWS): _text(archive, each) for each in members}

    def unpack(self, folder: Path) -> None:
        """All of it, into a folder."""
        with tarfile.open(fileobj=io.BytesIO(self.content)) as archive:
            archive.extractall(folder, filter="data")


def of_checkout(repository: Path = settings.REPOSITORY) -> Bundle:
    """The bundle of the sources as they are. Raises DrydockError when a part is missing, or a flow's file is named so
    that nobody would take it for one."""
    flow_registration.sources(repository / FLOWS)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, file in sorted(_files(repository).items()):
            content = file.read_bytes()
            entry = tarfile.TarInfo(name)  # without time and owner
            entry.size = len(content)
            entry.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return Bundle(packed.getvalue())


def deployed(where: Site) -> Bundle | None:
    """The bundle that is deployed; None where none is. Raises ServiceFailed."""
    name = current(where)
    return None if name is None else _bundle(where, name, "current")


def of_revision(where: Site, revision: str) -> Bundle | None:
    """The one that was deployed with these jobs last; None when none was. Raises ServiceFailed."""
    pointer = f"{revision}/current"
    sha256 = _pointed_to(where, pointer)
    return None if sha256 is None else _bundle(where, f"{revision}/{sha256}", pointer)


def upload(where: Site, revision: str, bundle: Bundle) -> None:
    """Store it as that of the revision. Nobody is pointed to it yet. Raises ServiceFailed."""
    _write(where, f"{revision}/{bundle.sha256}.tar", bundle.content)
    _write(where, f"{revision}/current", f"{bundle.sha256}\n".encode())


def point(where: Site, revision: str, bundle: Bundle) -> str:
    """Deploy it: what a host takes up from now on; its name. Raises ServiceFailed."""
    name = f"{revision}/{bundle.sha256}"
    _write(where, "current", f"{name}\n".encode())
    return name


def current(where: Site) -> str | None:
    """The name of the bundle that is deployed. Raises ServiceFailed."""
    return _pointed_to(where, "current")


def _pointed_to(where: Site, pointer: str) -> str | None:
    found = _read(where, pointer)
    return None if found is None else found.decode().strip()


def _files(repository: Path) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for name in CONTENTS:
        path = repository / name
        if not path.exists():
            raise SetupError(f"Of Kestra's bundle `{path}` is not there.")
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        found |= {file.relative_to(repository).as_posix(): file for file in files if not set(MADE) & set(file.parts)}
    return found


def _bundle(where: Site, name: str, pointer: str) -> Bundle:
    content = _read(where, f"{name}.tar")
    bundle = None if content is None else Bundle(content)
    if bundle is None or not name.endswith(bundle.sha256):
        raise SetupError(
            f"`s3://{where.input_bucket}/{_key(name)}.tar` is {'not there' if bundle is None else 'damaged'}: remove "
            f"`s3://{where.input_bucket}/{_key(pointer)}`, and the next deployment begins anew."
        )
    return bundle


def _read(where: Site, name: str) -> bytes | None:
    """None when there is no such object, or no bucket yet."""
    s3: Any = where.account.client("s3")
    with where.account.explained(f"read `s3://{where.input_bucket}/{_key(name)}`"):
        try:
            content: bytes = s3.get_object(Bucket=where.input_bucket, Key=_key(name))["Body"].read()
        except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
            return None
    return content


def _write(where: Site, name: str, content: bytes) -> None:
    """Unless it is there already: a bucket keeps versions of what is overwritten."""
    if _read(where, name) == content:
        return
    with where.account.explained(f"write `s3://{where.input_bucket}/{_key(name)}`"):
        where.account.client("s3").put_object(Bucket=where.input_bucket, Key=_key(name), Body=content)


def _key(name: str) -> str:
    return f"{FOLDER}/{name}"


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    return "" if stream is None else stream.read().decode()
