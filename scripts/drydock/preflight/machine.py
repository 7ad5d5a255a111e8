"""The machine: system, programs, processors, and the folder that everything is put into.

Standard library only: it has to work where set-up does not.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from drydock import settings, terraform_mirror
from drydock.errors import SetupError
from drydock.preflight.finding import Finding, failure, ok, warning
from drydock.toolchain import java, plan
from drydock.toolchain import terraform as terraform_program

TESTED = "Linux x86_64"
SECONDS = 3.0  # for a program to say its version
NOT_OURS = "lost+found"  # where DRYDOCK_HOME is a disk of its own


def system() -> Iterator[Finding]:
    """What everything runs on. Only one is tested."""
    found = f"{platform.system()} {platform.machine()}"
    odd = []
    if platform.system() != "Linux":
        odd.append("macOS" if platform.system() == "Darwin" else platform.system())
    else:
        found += f", {_distribution()}"
        if is_wsl():
            odd.append("WSL")
        if not _has_glibc():
            odd.append("a C library that is not glibc")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        odd.append(platform.machine())
    if odd:
        yield warning(
            "system",
            f"{found}. {TESTED} is what is tested; {' and '.join(odd)} may work as far as there are packages for it.",
            "`make setup` shows whether all packages are there, `make test` whether it works.",
        )
    else:
        yield ok("system", found)


def is_wsl() -> bool:
    """Whether this Linux runs under Windows."""
    return "microsoft" in platform.release().lower()


def python() -> Iterator[Finding]:
    """The Python that set-up makes the environments from; it needs a pip, or a venv that brings one."""
    version = platform.python_version()
    wanted = settings.versions()["emr"]["python"]
    if ".".join(version.split(".")[:2]) != wanted:
        yield failure(
            "Python",
            f"{version} in `{sys.executable}`; {wanted} is needed, as EMR's nodes have it.",
            f"Install Python {wanted}; where it is not `python{wanted}` on the PATH, name it: "
            f"`make PYTHON=/path/to/python{wanted} …`.",
        )
    elif not any(map(importlib.util.find_spec, ("pip", "ensurepip"))):
        yield failure(
            "Python",
            f"{version} in `{sys.executable}` has neither pip nor a working venv; one of them is needed.",
            "Debian, Ubuntu: `sudo apt install python3-venv`.",
        )
    else:
        yield ok("Python", f"{version} in `{sys.executable}`")


def make() -> Iterator[Finding]:
    """GNU's, whose functions the Makefile uses."""
    program = shutil.which("make")
    fix = "Install it: `sudo apt install make` on Debian and Ubuntu, `xcode-select --install` on macOS."
    if program is None:
        yield failure("make", "It is not on the PATH.", fix)
        return
    said = _first_line([program, "--version"])
    if said.startswith("GNU Make"):
        yield ok("make", f"{said} in `{program}`")
    else:
        yield failure("make", f"`{program}` says that it is `{said}`; GNU Make is needed.", fix)


def terraform() -> Iterator[Finding]:
    """Terraform itself, run once."""
    try:
        yield ok("Terraform", terraform_program.look())
    except SetupError as error:
        yield failure("Terraform", error.problem, error.fix)


def terraform_noted(paths: settings.Paths) -> Iterator[Finding]:
    """The same in no time: not run when it is the one that set-up has looked at."""
    if terraform_program.stamp(paths).matches:
        yield ok("Terraform", "as set-up has found it")
    else:
        yield from terraform()


def provider(paths: settings.Paths) -> Iterator[Finding]:
    """Where Terraform's AWS provider comes from. Raises SetupError when TF_PLUGIN_DIR does not have it."""
    version = settings.versions()["terraform"]["aws_provider"]
    mirror = terraform_mirror.find(version)
    if mirror is not None:
        where = f"in the mirror `{mirror}`"
    elif terraform_mirror.has(paths.cache / "terraform", version):
        where = f"fetched before, in `{paths.cache / 'terraform'}`"
    else:
        where = "in no mirror on this machine: the first `make local-up` fetches it from Terraform's registry"
    yield ok("AWS provider", f"{version} {where}")


def java_for(needed: java.Java, paths: settings.Paths) -> Iterator[Finding]:
    """A Java: the one that set-up has settled on, else the machine's, else the one that set-up will fetch."""
    subject = f"Java {needed.required}"
    try:
        home: Path | None = needed.home(paths)
    except SetupError:  # nothing has been set up, or it is gone: set-up looks for it again
        home = needed.on_this_machine()
    if home is None:
        yield ok(subject, "none on this machine: `make setup` fetches one")
    else:
        yield ok(subject, f"{java.version(home)} in `{home}`")


def processors() -> Iterator[Finding]:
    """Those that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < settings.UP_PROCESSORS:
        yield warning(
            "processors",
            f"{count}; {settings.UP_PROCESSORS} are needed for a day to take minutes and no more.",
            "Give the machine another one, or run small days: `make demo ROWS=10000`.",
        )
    else:
        yield ok("processors", str(count))


def home(paths: settings.Paths) -> Iterator[Finding]:
    """Whether `DRYDOCK_HOME`, there or not, is a folder in which everything can be made."""
    if any(character.isspace() for character in str(paths.home)):
        yield failure(
            "DRYDOCK_HOME",
            f"`{paths.home}` has a space in it, which Spark's own scripts do not survive.",
            "Set DRYDOCK_HOME to a folder without one, or move the checkout.",
        )
    else:
        yield from writable_home(paths)


def writable_home(paths: settings.Paths) -> Iterator[Finding]:
    """Whether `DRYDOCK_HOME`, there or not, can be written to: all that matters to a toolchain that lies elsewhere."""
    folder, existing = paths.home, _existing(paths.home)
    elsewhere = "Set DRYDOCK_HOME to a folder of your own."
    if not existing.is_dir():
        yield failure("DRYDOCK_HOME", f"`{folder}` cannot be made: `{existing}` is no folder.", elsewhere)
    elif not os.access(existing, os.W_OK | os.X_OK):
        found = "is not writable" if existing == folder else f"cannot be made: `{existing}` is not writable"
        yield failure("DRYDOCK_HOME", f"`{folder}` {found}.", elsewhere)
    elif others := _of_others(folder):
        # What can be written to all the same works for now: as root, or where a network's disk has owners of its own.
        closed = [path for path in others if not os.access(path, os.W_OK)]
        shown = ", ".join(f"`{path}`" for path in (closed or others)[:3])
        yield (failure if closed else warning)(
            "DRYDOCK_HOME",
            f"Another user owns {shown}: an earlier command was run as somebody else, such as by `sudo`.",
            f'`sudo chown -R "$USER" {folder}` gives all of it to you; or set DRYDOCK_HOME to a folder of your own.',
        )
    else:
        yield ok("DRYDOCK_HOME", f"`{folder}`" + ("" if folder.exists() else ", which is not there yet"))


def disk(paths: settings.Paths, needed_megabytes: int) -> Iterator[Finding]:
    """Whether `DRYDOCK_HOME` has room for what is to be put there."""
    free_megabytes = shutil.disk_usage(_existing(paths.home)).free / 1e6
    found = f"`{paths.home}` has {free_megabytes / 1e3:.2f} GB left; {needed_megabytes / 1e3:.2f} GB are needed."
    if free_megabytes < needed_megabytes:
        yield failure("disk", found, "Make room, or set DRYDOCK_HOME to a folder on another disk.")
    else:
        yield ok("disk", found.removesuffix("."))


def set_up(todo: Iterable[plan.Step]) -> Iterator[Finding]:
    """Whether all is in place that the platform runs on."""
    titles = [step.title for step in todo]
    if titles:
        shown = ", ".join(titles[:4]) + (f" and {len(titles) - 4} more" if len(titles) > 4 else "")
        yield warning(
            "set-up", f"To be fetched or made: {shown}.", "`make setup`, which every other target calls by itself."
        )
    else:
        yield ok("set-up", "all is in place")


def programs(paths: settings.Paths) -> Iterator[Finding]:
    """The programs that the services are, in a glance: whether they are there at all."""
    for program in (
        paths.environment("gateway") / "bin" / "python",
        paths.environment("workspace") / "bin" / "drydock-emr",
        paths.environment("workspace") / "bin" / "drydock-node",
        paths.spark_home / "bin" / "spark-class",
    ):
        if not program.exists():
            yield failure("set-up", f"`{program}` is not there.", "Run `make setup`.")


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "of no known distribution"


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False


def _first_line(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    said = re.sub(r"[`\s]+", " ", (result.stdout or result.stderr).strip().partition("\n")[0])
    return said or f"nothing (exit code {result.returncode})"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _of_others(folder: Path) -> list[Path]:
    """The folder, and what lies right in it, as far as it is not the user's."""
    paths = [folder, *sorted(folder.iterdir())] if folder.exists() else []
    return [path for path in paths if path.name != NOT_OURS and path.lstat().st_uid != os.getuid()]
