"""The jobs as a cluster finds them in S3: each revision in a folder of its own, complete or not yet pointed to.

Under the input bucket's folder of applications:

    <revision>/*.py, *.sh       every program of `spark/`, such as data_generator.py and bootstrap.sh
    <revision>/*.zip            every package of `spark/`, for `--py-files`, such as shipments.zip
    <revision>/delta-log-store.jar
    <revision>/revision.json    the names and MD5 sums of all of them, and its wheels' folder; written last
    wheels/<lock>/*.whl, requirements.txt

No object is ever changed into another one: a cluster that was made for one revision never sees a part of the next, and
an older one is gone back to by pointing to it. Wheels, which are large and change seldom, are shared by revisions.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drydock import reproducible_zip, settings
from drydock.errors import SetupError
from drydock.toolchain.stamps import fingerprint

JOBS = settings.REPOSITORY / "spark"
LOCK = settings.REPOSITORY / "requirements" / "jobs.txt"
FOLDER = "spark_app"  # as in terraform/main.tf
SUFFIXES = (".py", ".sh")  # of programs
BOOTSTRAP = "bootstrap.sh"  # as in terraform/modules/emr; no cluster is made without it
DESCRIPTION = "revision.json"
CONNECTIONS = 8
HASH_CHARACTERS = 12
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Revision:
    """The jobs of one state of the sources. `name` is that of their folder, `wheels` that of their wheels'."""

    name: str
    wheels: str
    files: Mapping[str, Path]  # by what stands after FOLDER in the key
    md5s: Mapping[str, str]  # of the same, as they were when the revision was named; S3's ETags of them

    @property
    def description_key(self) -> str:
        return f"{FOLDER}/{self.name}/{DESCRIPTION}"

    @property
    def description(self) -> bytes:
        folder = f"{self.name}/"
        md5s = {name.removeprefix(folder): md5 for name, md5 in self.md5s.items() if name.startswith(folder)}
        document = {"revision": self.name, "wheels": self.wheels, "md5": dict(sorted(md5s.items()))}
        return json.dumps(document, indent=2).encode() + b"\n"


@dataclass(frozen=True)
class Named:
    """A revision that is in S3 already, by its name."""

    name: str
    wheels: str


def revision(paths: settings.Paths, folder: Path, jobs_dir: Path = JOBS) -> Revision:
    """The revision of the sources as they are; packages are packed into `folder`.

    What there is in `jobs_dir` is what belongs to it: a job is added by its file. Its name has the commit in which the
    jobs were changed last, `dirty` if they were changed since, and what tells their content: two that differ never have
    one name. Raises SetupError when a part is missing.
    """
    for made in (paths.wheels / "requirements.txt", paths.log_store):
        if not made.is_file():
            raise SetupError(f"`{made}`, which the jobs need, is not there. `make setup` makes it.")
    wheels = [paths.wheels / "requirements.txt", *sorted(paths.wheels.glob("*.whl"))]
    if len(wheels) == 1:
        raise SetupError(f"`{paths.wheels}` holds no wheel. `make setup` fetches them.")
    if not (jobs_dir / BOOTSTRAP).is_file():
        raise SetupError(f"`{jobs_dir / BOOTSTRAP}`, which every cluster runs, is not there.")
    archives = [_packed(folder / f"{package}.zip", jobs_dir, package) for package in packages(jobs_dir)]
    own = [*programs(jobs_dir), *archives, paths.log_store]
    md5s = {file: _md5(file.read_bytes()).hexdigest() for file in (*own, *wheels)}

    def fingerprint_of(files: list[Path]) -> str:
        return fingerprint(*(f"{file.name} {md5s[file]}" for file in files))[:HASH_CHARACTERS]

    wheels_folder = f"wheels/{fingerprint_of(wheels)}"
    name = "-".join([*_commit(jobs_dir), fingerprint_of([*own, *wheels])])
    files = {
        **{f"{name}/{file.name}": file for file in own},
        **{f"{wheels_folder}/{file.name}": file for file in wheels},
    }
    return Revision(name, wheels_folder, files, {key: md5s[file] for key, file in files.items()})


def programs(jobs_dir: Path = JOBS) -> list[Path]:
    """What clusters can be told to run, by name. Raises SetupError for a name that cannot stand in an S3 URI."""
    found = sorted(file for file in _visible(jobs_dir) if file.suffix in SUFFIXES and file.is_file())
    if wrong := next((file for file in found if not _PLAIN.fullmatch(file.name)), None):
        raise SetupError(
            f"`{wrong}` is no name for a job: Hadoop reads S3 URIs of letters, digits, `.`, `_` and `-`. Rename it."
        )
    return found


def packages(jobs_dir: Path = JOBS) -> list[str]:
    """The Python packages that programs share, by name."""
    return sorted(folder.name for folder in _visible(jobs_dir) if (folder / "__init__.py").is_file())


def upload(s3: Any, bucket: str, of: Revision) -> int:
    """Store what is not there as it should be; how many objects that was.

    A file that has changed since the revision was named is refused by S3. botocore's exceptions are let through.
    """
    deviating = missing(s3, bucket, of)
    own = [key for key in deviating if key != of.description_key]

    def store(key: str) -> None:
        name = key.removeprefix(f"{FOLDER}/")
        md5 = base64.b64encode(bytes.fromhex(of.md5s[name])).decode()
        with of.files[name].open("rb") as stream:
            s3.put_object(Bucket=bucket, Key=key, Body=stream, ContentMD5=md5)

    with ThreadPoolExecutor(CONNECTIONS) as connections:
        list(connections.map(store, own))
    if deviating:
        s3.put_object(Bucket=bucket, Key=of.description_key, Body=of.description, ContentType="application/json")
    return len(deviating)


def missing(s3: Any, bucket: str, of: Revision) -> list[str]:
    """The keys of the revision that are not there, or are something else."""
    expected = {f"{FOLDER}/{name}": md5 for name, md5 in of.md5s.items()}
    expected[of.description_key] = _md5(of.description).hexdigest()
    found: dict[str, str] = {}
    for folder in (of.name, of.wheels):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{FOLDER}/{folder}/")
        found |= {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", ())}
    return [key for key, md5 in expected.items() if found.get(key) != md5]


def uploaded(s3: Any, bucket: str, name: str) -> Named | None:
    """The complete revision of that name, None when there is none. botocore's exceptions are let through."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=f"{FOLDER}/{name}/{DESCRIPTION}")
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None
    return Named(name, json.loads(answer["Body"].read())["wheels"])


def deployed(platform_config: Mapping[str, Any]) -> str:
    """The name of the revision that a platform's description points to."""
    return str(platform_config["application_uri"]).rpartition("/")[2]


def names(s3: Any, bucket: str) -> list[str]:
    """The complete revisions' names, the newest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{FOLDER}/")
    described = [
        (entry["LastModified"], entry["Key"].split("/")[1])
        for page in pages
        for entry in page.get("Contents", ())
        if entry["Key"].endswith(f"/{DESCRIPTION}") and entry["Key"].count("/") == 2
    ]
    return [name for _, name in sorted(described, reverse=True)]


def _visible(jobs_dir: Path) -> list[Path]:
    """What editors leave beside a file that is being changed begins with a dot."""
    return [entry for entry in jobs_dir.iterdir() if not entry.name.startswith(".")]


def _packed(archive: Path, folder: Path, package: str) -> Path:
    """A Python package as a zip file for `--py-files`."""
    sources = [path for path in (folder / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    archive.parent.mkdir(parents=True, exist_ok=True)
    reproducible_zip.write(archive, folder, sources)
    return archive


def _commit(jobs_dir: Path) -> list[str]:
    """The commit in which the jobs were changed last, and `dirty`; nothing where there is no git to ask."""
    if shutil.which("git") is None:
        return []
    asked = [str(jobs_dir), str(LOCK)]
    try:
        commit = _git("log", "-1", "--format=%H", "--", *asked)[:HASH_CHARACTERS]
        is_dirty = bool(_git("status", "--porcelain", "--", *asked))
    except subprocess.CalledProcessError:  # no checkout, or jobs outside of it
        return []
    return [commit, *(["dirty"] if is_dirty else [])] if commit else []


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(settings.REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _md5(content: bytes) -> Any:
    return hashlib.md5(content, usedforsecurity=False)
