"""The wheels that the bootstrap action installs on every node: the jobs' lock, downloaded for EMR's machines.

The folder is uploaded as it is, beside the jobs: the wheels, and as `requirements.txt` the lock with its hashes.
"""

import shutil
from collections.abc import Callable

from drydock import settings
from drydock.toolchain import network, programs
from drydock.toolchain.stamps import Stamp, fingerprint, replacing

FORMAT = "1"  # raised when the choice of wheels below changes
LOCK = settings.REPOSITORY / "requirements" / "jobs.txt"
# EMR 7 runs on Amazon Linux 2023, which has glibc 2.34: any wheel built for that version or an older one will do.
NEWEST_GLIBC = 34
PLATFORMS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, 4, -1)),
    *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
]


def stamp(paths: settings.Paths) -> Stamp:
    return Stamp(paths.wheels.with_name(".wheels.stamp"), fingerprint(FORMAT, LOCK, *_present(paths)))


def download(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Make `paths.wheels`. Says what it holds."""
    python = str(settings.versions()["emr"]["python"])
    target = ["--python-version", python, "--implementation", "cp", "--abi", f"cp{python.replace('.', '')}"]
    for platform in PLATFORMS:
        target += ["--platform", platform]
    progress("downloading")
    with replacing(paths.wheels) as folder:
        pip = [str(paths.environment("workspace") / "bin" / "python"), "-m", "pip", "download", "--quiet"]
        pip += ["--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        variables = {**network.environment(), "PIP_CACHE_DIR": str(paths.cache / "pip")}
        programs.run(
            [*pip, *target, "--dest", str(folder), "--requirement", str(LOCK)],
            "Downloading the jobs' wheels",
            variables,
            programs.CHECK_THE_NETWORK,
        )
        shutil.copyfile(LOCK, folder / "requirements.txt")
    stamp(paths).write()
    files = list(paths.wheels.glob("*.whl"))
    return f"{len(files)} wheels, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB"


def _present(paths: settings.Paths) -> list[str]:
    """The folder is uploaded whole, so its stamp lies beside it, and a wheel that has gone must be missed."""
    return sorted(file.name for file in paths.wheels.glob("*"))
