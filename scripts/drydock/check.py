"""`drydock check`: what can be said of the code without running it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from drydock import output, settings
from drydock.errors import DrydockError
from drydock.toolchain import terraform

MADE = {".git", ".drydock", ".terraform", "__pycache__"}  # folders that hold nothing of the sources


def check() -> None:
    """Lint, formatting, types, Terraform's formatting, shell syntax. All are run; any that fails is named."""
    failed = [name for name, command in _checks().items() if not _passes(name, command)]
    if failed:
        raise DrydockError(f"{', '.join(failed)} failed; what was found is shown above.")
    output.done("All checks passed")


def _checks() -> dict[str, list[str]]:
    scripts, paths = Path(sys.executable).parent, settings.Paths()
    # The jobs are looked at with the packages they run with; a cache of its own, or each run would undo the other's.
    with_pyspark = [
        *("--python-executable", str(paths.environment("spark") / "bin" / "python")),
        *("--cache-dir", str(paths.cache / "mypy-spark")),
    ]
    checks = {
        "ruff check": [str(scripts / "ruff"), "check", "--quiet"],
        "ruff format": [str(scripts / "ruff"), "format", "--check", "--quiet"],
        "mypy": [str(scripts / "mypy"), "--no-error-summary"],
        "mypy spark": [str(scripts / "mypy"), "--no-error-summary", *with_pyspark, "spark", "bench/spark"],
    }
    if any((settings.REPOSITORY / "terraform").rglob("*.tf")):
        checks["terraform fmt"] = ["terraform", "fmt", "-check", "-recursive", "terraform"]
    for script in _shell_scripts():
        checks[f"bash -n {script}"] = ["bash", "-n", str(script)]
    return checks


def _shell_scripts() -> list[Path]:
    """Every file of the repository that says of itself that a shell runs it, relative to it."""
    return [file.relative_to(settings.REPOSITORY) for file in _sources() if _is_shell(file)]


def _sources() -> Iterator[Path]:
    """All files of the checkout but for what was made there. Git is not asked: an unpacked archive has none."""
    for folder, names, files in os.walk(settings.REPOSITORY):
        kept = (name for name in names if name not in MADE and Path(folder, name).resolve() != settings.home())
        names[:] = sorted(kept)
        yield from (Path(folder, name) for name in sorted(files) if Path(folder, name).is_file())


def _is_shell(file: Path) -> bool:
    with file.open("rb") as stream:
        first = stream.readline(80)
    return first.startswith(b"#!") and first.split()[-1].rsplit(b"/", 1)[-1] in (b"sh", b"bash")


def _passes(name: str, command: list[str]) -> bool:
    with output.stage(name):
        result = subprocess.run(command, cwd=settings.REPOSITORY, env=_environment(), check=False)
    passed = result.returncode == 0
    if passed:
        output.done(name)
    else:
        output.fail(name)
    return passed


def _environment() -> dict[str, str]:
    """The caller's; what the checks remember lies in `DRYDOCK_HOME`."""
    cache = settings.Paths().cache
    return {
        **terraform.environment(),
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
    }
