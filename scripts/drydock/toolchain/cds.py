"""An archive of the Spark driver's classes, ready to be mapped into memory (AppCDS): a step starts sooner.

It is made by letting a small Spark program (`cds_workload.py`) load what the jobs will, and belongs to one JVM and one
class path. A driver uses it when

- its `SPARK_HOME` is the one in `DRYDOCK_HOME`, and its `SPARK_CONF_DIR` is not set or `SPARK_HOME/conf`: that folder,
  which is empty, stands first on the class path, and any other that exists is a mismatch; defaults go by
  `--properties-file`;
- `-XX:SharedArchiveFile=<archive> -Xshare:auto` reaches its JVM, by `SPARK_SUBMIT_OPTS`.

On a mismatch the JVM goes on without the archive and says nothing; with `-Xshare:on` it refuses to start.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import java, programs, spark_home
from drydock.toolchain.stamps import Stamp, fingerprint

WORKLOAD = Path(__file__).with_name("cds_workload.py")
PROPERTIES = WORKLOAD.with_name("cds_workload.conf")


def stamp(paths: settings.Paths) -> Stamp:
    """Remade when the JVM, the jars, their folder or the workload change."""
    spark = str(paths.spark_home), spark_home.stamp(paths).fingerprint
    return Stamp(
        paths.cds_archive.with_suffix(".stamp"),
        fingerprint(*spark, java.SPARK.identity(paths), WORKLOAD, PROPERTIES, str(paths.cds_archive.is_file())),
    )


def make(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Run the workload, and have the JVM write its classes down as it ends. Says how large they are."""
    progress("loading the driver's classes")
    paths.cds_archive.parent.mkdir(parents=True, exist_ok=True)
    partial = paths.cds_archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    # Quick compilation serves a program that runs once. The warnings are thousands of lines: one for every class that
    # cannot be archived, because it was generated or its jar is signed.
    options = f"-XX:ArchiveClassesAtExit={partial} -XX:TieredStopAtLevel=1 -Xlog:disable -Xlog:all=error:stderr"
    _submit(paths, options)
    if not partial.is_file():
        raise SetupError(f"The JVM in `{java.SPARK.home(paths)}` wrote no class archive. Run `make setup` again.")
    partial.replace(paths.cds_archive)
    stamp(paths).write()
    return f"{paths.cds_archive.stat().st_size / 1e6:.0f} MB"


def environment(paths: settings.Paths, options: str) -> dict[str, str]:
    """What `spark-submit` is started with so that its JVM gets `options`: nothing of the caller's but the basics."""
    basics = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **basics,
        "JAVA_HOME": str(java.SPARK.home(paths)),
        "SPARK_HOME": str(spark_home.spark_home(paths)),
        "SPARK_LOCAL_IP": settings.LOOPBACK,
        "SPARK_SUBMIT_OPTS": options,
        "PYSPARK_PYTHON": str(paths.environment("spark") / "bin" / "python"),
    }


def _submit(paths: settings.Paths, options: str) -> None:
    home = spark_home.spark_home(paths)
    with tempfile.TemporaryDirectory(prefix="drydock-") as scratch:
        submit = [str(home / "bin" / "spark-submit"), "--properties-file", str(PROPERTIES), str(WORKLOAD), scratch]
        programs.run(submit, "Making the driver's class archive", environment(paths, options))
