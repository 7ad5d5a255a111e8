"""The Python environments, each made by uv from a lock with hashes.

- `workspace`: control plane, nodes, driver, command line, tests and checks;
- `services`: of the workspace what control plane, nodes and driver need, in images;
- `gateway`: LocalStack, which pins boto3;
- `spark`: pyspark, and what the jobs import.

Standard library only: `scripts/prepare.py` makes the first of them with this.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import network, programs
from drydock.toolchain.stamps import Stamp, fingerprint, replacing

REQUIREMENTS = settings.REPOSITORY / "requirements"
# The packages of this repository that an environment has installed, editable.
PACKAGES = {
    "workspace": settings.REPOSITORY,
    "services": settings.REPOSITORY,
    "gateway": settings.REPOSITORY / "gateway",
}


def uv_stamp(paths: settings.Paths) -> Stamp:
    return Stamp(paths.tools / "uv" / ".stamp", fingerprint(REQUIREMENTS / "uv.txt"))


def fetch_uv(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Install uv into `paths.tools` with the pip at hand, or that of a venv made for it."""
    progress("fetching uv")
    with replacing(paths.tools / "uv") as folder:
        pip = [sys.executable, "-m", "pip"]
        if not programs.works([*pip, "--version"]):
            venv = paths.tools / ".pip"
            if not programs.works([sys.executable, "-m", "venv", "--clear", str(venv)]):
                raise SetupError(
                    f"`{sys.executable}` has neither pip nor a working venv. Install one of them "
                    f"(Debian, Ubuntu: `apt install python3-venv`), then run `make setup` again."
                )
            pip = [str(venv / "bin" / "python"), "-m", "pip"]
        install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
        install += ["--target", str(folder), "--requirement", str(REQUIREMENTS / "uv.txt")]
        programs.run([*pip, *install], "Fetching uv", advice=programs.CHECK_THE_NETWORK)
    uv_stamp(paths).write()
    return "uv"


def stamp(paths: settings.Paths, name: str) -> Stamp:
    """Of the environment `name`. It does not match either when the Python it was made from has gone."""
    environment = paths.environment(name)
    present = "present" if (environment / "bin" / "python").exists() else "gone"
    inputs: list[str | Path] = [present, REQUIREMENTS / f"{name}.txt"]
    if name in PACKAGES:
        inputs.append(PACKAGES[name] / "pyproject.toml")
    return Stamp(environment / ".stamp", fingerprint(*inputs))


def create(paths: settings.Paths, name: str, progress: Callable[[str], None]) -> str:
    """Bring the environment `name` to its lock, exactly. Says what it holds.

    A Python environment cannot be moved, so it is changed in place; uv takes up again what was interrupted.
    """
    # By its real path, which its programs begin with: a home may borrow it by a link, and be gone before it is.
    uv, environment = str(_uv(paths)), paths.environment(name).resolve()
    python = environment / "bin" / "python"
    stamp(paths, name).forget()
    variables = {**network.environment(), "UV_CACHE_DIR": str(paths.cache / "uv"), "UV_PYTHON_DOWNLOADS": "never"}
    if not python.exists():
        progress("creating")
        base = str(getattr(sys, "_base_executable", sys.executable))
        venv = [uv, "venv", "--quiet", "--clear", "--python", base, str(environment)]
        programs.run(venv, f"Creating the environment `{name}`", variables)
    progress("fetching and linking packages")
    pip = [uv, "pip"]
    at = ["--quiet", "--python", str(python)]
    sync = ["sync", *at, "--require-hashes", "--build-constraints", str(REQUIREMENTS / "build.txt")]
    sync.append(str(REQUIREMENTS / f"{name}.txt"))
    programs.run([*pip, *sync], f"Filling the environment `{name}`", variables, programs.CHECK_THE_NETWORK)
    if name == "spark":
        # pyspark comes as source; its unpacked and built copies would stay as 1 GB that nobody needs again.
        programs.run([uv, "cache", "clean", "--quiet", "pyspark"], "Tidying uv's cache", variables)
    if name == "workspace":
        # Each node of each cluster has a copy of its pip, and would compile that anew.
        programs.run([str(python), "-m", "compileall", "-q", *map(str, _packages(environment, "pip"))], "Compiling pip")
    if name in PACKAGES:
        progress("installing our packages")
        editable = ["install", *at, "--no-deps", "--no-build-isolation", "--editable", str(PACKAGES[name])]
        programs.run([*pip, *editable], f"Installing our packages into the environment `{name}`", variables)
    stamp(paths, name).write()
    return f"{len(_packages(environment, '*.dist-info'))} packages"


def _packages(environment: Path, pattern: str) -> list[Path]:
    """What is installed there and whose name in `site-packages` matches."""
    return list(environment.glob(f"lib/python3*/site-packages/{pattern}"))


def _uv(paths: settings.Paths) -> Path:
    return paths.tools / "uv" / "bin" / "uv"
