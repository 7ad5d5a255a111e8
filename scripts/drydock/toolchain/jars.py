"""Jars from Maven's repository: fetched, verified, cached.

Of each set, `requirements/jars/<set>.lock` has a line for each jar: `group:artifact:version sha256`. It is made from
`<set>.pom.xml` by `drydock lock-jars` when versions change, so that no Maven is needed here.

Behind a network of your own: `REQUESTS_CA_BUNDLE` (or `SSL_CERT_FILE`) names the authorities to trust, and
`DRYDOCK_MAVEN_REPOSITORY` the URL of a mirror.
"""

import hashlib
import importlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain.stamps import Stamp, fingerprint

if TYPE_CHECKING:
    import requests

FOLDER = settings.REPOSITORY / "requirements" / "jars"
ATTEMPTS = 3
BACKOFF_SECONDS = 2.0  # after the first failure; twice that after the second
PARALLEL_DOWNLOADS = 8
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Jar:
    """A line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where it is in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True)
class JarSet:
    """Jars that belong together: what is wanted, as a pom, and the flat list that came of it."""

    name: str
    folder: Path = FOLDER

    @property
    def pom(self) -> Path:
        return self.folder / f"{self.name}.pom.xml"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.name}.lock"

    def locked(self) -> list[Jar]:
        """The lock's jars, in its order."""
        jars = []
        for number, line in enumerate(self.lock.read_text().splitlines(), start=1):
            text = line.split("#", 1)[0].strip()
            if not text:
                continue
            coordinate, _, sha256 = text.partition(" ")
            parts = coordinate.split(":")
            if len(parts) != 3 or len(sha256) != 64:
                raise SetupError(
                    f"`{self.lock}` line {number}: expected `group:artifact:version sha256`, found `{line}`."
                )
            group, artifact, version = parts
            jars.append(Jar(group, artifact, version, sha256))
        return jars

    def stamp(self, paths: settings.Paths) -> Stamp:
        return Stamp(paths.jar_cache / f".{self.name}.stamp", fingerprint(self.lock))

    def fetch(self, paths: settings.Paths, progress: Callable[[str], None]) -> str:
        """Bring every jar of the set into `paths.jar_cache`, in parallel; those that are there and right are kept.

        Says in a few words what it did. Raises SetupError when a jar cannot be had or is not what was locked.
        """
        jars = self.locked()
        paths.jar_cache.mkdir(parents=True, exist_ok=True)
        missing = [jar for jar in jars if not _is_right(paths.jar_cache / jar.file_name, jar)]
        # Of this set alone: sets are fetched side by side, and some jars are in two.
        downloads = paths.jar_cache / f".downloads-{self.name}"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir()
        fetched = 0
        # One connection for each of those at work: what TLS takes to trust another one is more than most jars take.
        with _session() as session, ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            try:
                for _ in pool.map(lambda jar: _fetch_one(session, jar, downloads, paths.jar_cache), missing):
                    fetched += 1
                    progress(f"{fetched} of {len(missing)} jars")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            finally:
                shutil.rmtree(downloads, ignore_errors=True)
        self.stamp(paths).write()
        megabytes = sum((paths.jar_cache / jar.file_name).stat().st_size for jar in jars) / 1e6
        return f"{len(jars)} jars, {megabytes:.0f} MB"


SPARK = JarSet("spark")
"""Those of the EMR release that the pyspark wheel does not bring."""

ENGINE = JarSet("engine")
"""Kestra's engine, and all that it needs."""

ENGINE_COMPILER = JarSet("engine-compiler")
"""What our own part of the engine is compiled with, beside the engine's jars."""

SETS = (SPARK, ENGINE, ENGINE_COMPILER)


def _is_right(file: Path, jar: Jar) -> bool:
    return file.is_file() and sha256(file) == jar.sha256


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def repository() -> str:
    """The URL that jars come from: a mirror, or Maven's own.

    Raises ModuleNotFoundError where there is no mirror, and no workspace yet, whose jgo knows Maven's own.
    """
    mirror = os.environ.get("DRYDOCK_MAVEN_REPOSITORY")
    return mirror or str(importlib.import_module("jgo.constants").MAVEN_CENTRAL_URL)


def _session() -> "requests.Session":
    import requests  # which takes 0.2 s, and is needed only here
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=PARALLEL_DOWNLOADS))
    return session


def _fetch_one(session: "requests.Session", jar: Jar, downloads: Path, cache: Path) -> None:
    """What is verified moves into the cache by a rename."""
    fetched = downloads / jar.file_name
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download(session, jar, fetched)
            break
        except OSError as error:  # of which all errors of requests' are
            if attempt == ATTEMPTS:
                raise SetupError(
                    f"`{jar}` could not be fetched, tried {ATTEMPTS} times: {_first_line(error)}. Check the network; "
                    f"behind a proxy set HTTPS_PROXY, and REQUESTS_CA_BUNDLE when it inspects TLS; "
                    f"DRYDOCK_MAVEN_REPOSITORY names a mirror. Then run `make setup` again: what is there is kept."
                ) from error
            time.sleep(BACKOFF_SECONDS * attempt)
    actual = sha256(fetched)
    if actual != jar.sha256:
        raise SetupError(
            f"`{jar}` is not what was locked: sha256 {actual}, expected {jar.sha256}. Nothing was installed. "
            f"If the versions were changed, run `drydock lock-jars`; otherwise something on the network alters files."
        )
    fetched.replace(cache / jar.file_name)


def _download(session: "requests.Session", jar: Jar, file: Path) -> None:
    """Raises OSError when it did not come whole."""
    with (
        session.get(f"{repository().rstrip('/')}/{jar.path}", timeout=TIMEOUT_SECONDS, stream=True) as response,
        file.open("wb") as stream,
    ):
        response.raise_for_status()
        for part in response.iter_content(1 << 16):
            stream.write(part)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
