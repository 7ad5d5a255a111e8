"""`DRYDOCK_HOME/spark`: a SPARK_HOME with the jars of the EMR release.

The programs and most jars are those of the pyspark wheel in `envs/spark`. Its Hadoop client (3.3.4) makes way for the
release's, and Delta, S3A and the AWS SDK's modules are added. Files are hard links wherever the file system allows it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import jars
from drydock.toolchain.stamps import Stamp, fingerprint, replacing

FORMAT = "1"  # raised when what is assembled here changes
REPLACED = ("hadoop-client-api", "hadoop-client-runtime")
FOLDERS = ("bin", "sbin", "jars", "python", "licenses")


def spark_home(paths: settings.Paths | None = None) -> Path:
    """The SPARK_HOME to run with. Raises SetupError when set-up has not made it."""
    home = (paths or settings.Paths()).spark_home
    if not (home / "bin" / "spark-class").is_file():
        raise SetupError(f"There is no Spark in `{home}`. Run `make setup`.")
    return home


def stamp(paths: settings.Paths) -> Stamp:
    requirements = settings.REPOSITORY / "requirements"
    return Stamp(paths.spark_home / ".stamp", fingerprint(FORMAT, requirements / "spark.txt", jars.SPARK.lock))


def assemble(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Make `paths.spark_home` from `envs/spark` and the jar cache. Says what it made."""
    wheel = _pyspark(paths)
    with replacing(paths.spark_home) as home:
        for folder in FOLDERS:
            progress(folder)
            shutil.copytree(wheel / folder, home / folder, copy_function=_link_or_copy)
        for artifact in REPLACED:
            for file in (home / "jars").glob(f"{artifact}-*.jar"):
                file.unlink()
        for jar in jars.SPARK.locked():
            _link_or_copy(str(paths.jar_cache / jar.file_name), str(home / "jars" / jar.file_name))
        # An AppCDS archive is only taken up when every folder on the class path is empty, and this one always is there.
        (home / "conf").mkdir()
    stamp(paths).write()
    files = list((paths.spark_home / "jars").iterdir())
    return f"{len(files)} jars, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB"


def _pyspark(paths: settings.Paths) -> Path:
    environment = paths.environment("spark")
    for package in environment.glob("lib/python3*/site-packages/pyspark"):
        return package
    raise SetupError(f"There is no pyspark in `{environment}`. Run `make setup`.")


def _link_or_copy(source: str, target: str) -> None:
    """A copy keeps its times: the JVM compares those of a jar with what an AppCDS archive remembers."""
    try:
        os.link(source, target)
    except OSError:  # across file systems, or one without hard links
        shutil.copy2(source, target)
