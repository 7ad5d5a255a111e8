"""`drydock lock-jars`: make each `requirements/jars/<set>.lock` from `<set>.pom.xml` and `versions.toml`.

Run by who changes versions, never by users: Maven resolves once, everybody then fetches the flat list.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from drydock import output, settings
from drydock.errors import SetupError
from drydock.toolchain.jars import SETS, Jar, JarSet, sha256
from drydock.toolchain.stamps import write_file

HEADER = "# group:artifact:version sha256. Made by `drydock lock-jars` from {} and versions.toml; not edited.\n"


def lock_jars() -> None:
    """Resolve the sets of jars with Maven and lock them with their SHA-256."""
    maven = shutil.which("mvn")
    if maven is None:
        raise SetupError("`mvn` is not on the PATH. Locking the jars anew needs Maven 3; install it and try again.")
    for wanted in SETS:
        jars = _resolved(maven, wanted)
        write_file(wanted.lock, HEADER.format(wanted.pom.name) + "".join(f"{jar} {jar.sha256}\n" for jar in jars))
        output.done(f"{len(jars)} jars locked in {wanted.lock.relative_to(settings.REPOSITORY)}")


def _resolved(maven: str, wanted: JarSet) -> list[Jar]:
    with tempfile.TemporaryDirectory() as folder, output.stage(f"Maven resolves {wanted.pom.name}"):
        command = [
            *(maven, "--batch-mode", "--quiet", "--file", str(wanted.pom), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", "-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={folder}"),
            *(f"-D{name}={version}" for name, version in _versions().items()),
        ]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            raise SetupError(f"Maven could not resolve `{wanted.pom}`:\n{result.stdout.strip()}")
        return sorted((_described(file, Path(folder)) for file in Path(folder).rglob("*.jar")), key=str)


def _versions() -> dict[str, str]:
    """What the poms' placeholders stand for."""
    versions = settings.versions()
    named = {"scala": versions["emr"]["scala"], "kestra": versions["kestra"]["version"]}
    return {**versions["jars"], **versions["engine"], **named}


def _described(file: Path, repository: Path) -> Jar:
    """The repository's layout is group/with/slashes/artifact/version/file."""
    *group, artifact, version, _ = file.relative_to(repository).parts
    return Jar(".".join(group), artifact, version, sha256(file))
