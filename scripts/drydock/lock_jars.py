"""`drydock lock-jars`: make `requirements/jars.lock` from `requirements/pom.xml` and `versions.toml`.

Run by who changes versions, never by users: Maven resolves once, everybody then fetches the flat list.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from drydock import output, settings
from drydock.errors import SetupError
from drydock.toolchain.jars import LOCK, Jar, sha256
from drydock.toolchain.stamps import write_file

POM = settings.REPOSITORY / "requirements" / "pom.xml"
HEADER = "# group:artifact:version sha256. Made by `drydock lock-jars` from pom.xml and versions.toml; not edited.\n"


def lock_jars() -> None:
    """Resolve Spark's additional jars with Maven and lock them with their SHA-256."""
    maven = shutil.which("mvn")
    if maven is None:
        raise SetupError("`mvn` is not on the PATH. Locking the jars anew needs Maven 3; install it and try again.")
    versions = settings.versions()
    wanted = {**versions["jars"], "scala": versions["emr"]["scala"]}
    with tempfile.TemporaryDirectory() as folder, output.stage("Maven resolves requirements/pom.xml"):
        command = [
            *(maven, "--batch-mode", "--quiet", "--file", str(POM), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", "-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={folder}"),
            *(f"-D{name}={version}" for name, version in wanted.items()),
        ]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            raise SetupError(f"Maven could not resolve `{POM}`:\n{result.stdout.strip()}")
        jars = sorted((_described(file, Path(folder)) for file in Path(folder).rglob("*.jar")), key=str)
    write_file(LOCK, HEADER + "".join(f"{jar} {jar.sha256}\n" for jar in jars))
    output.done(f"{len(jars)} jars locked in {LOCK.relative_to(settings.REPOSITORY)}")


def _described(file: Path, repository: Path) -> Jar:
    """The repository's layout is group/with/slashes/artifact/version/file."""
    *group, artifact, version, _ = file.relative_to(repository).parts
    return Jar(".".join(group), artifact, version, sha256(file))
