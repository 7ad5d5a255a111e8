"""The jar of Delta's log store for many writers on S3 (`spark/log_store`), compiled by the Scala that Spark brings.

It is uploaded beside the jobs. No compiler has to be installed: Spark's shell has one among Spark's jars.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from drydock import reproducible_zip, settings
from drydock.toolchain import java, programs, spark_home
from drydock.toolchain.stamps import Stamp, fingerprint

SOURCE = settings.REPOSITORY / "spark" / "log_store" / "ConditionalS3LogStore.scala"
# What Spark 3.5 itself is compiled for.
OPTIONS = ("-deprecation", "-feature", "-Xlint", "-Xfatal-warnings", "-target:jvm-1.8")


def stamp(paths: settings.Paths) -> Stamp:
    jars = spark_home.stamp(paths).fingerprint
    return Stamp(
        paths.log_store.with_suffix(".stamp"), fingerprint(*OPTIONS, SOURCE, jars, str(paths.log_store.is_file()))
    )


def compile_jar(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Make `paths.log_store`. Says how large it is."""
    progress("compiling")
    jars = ":".join(str(jar) for jar in sorted((paths.spark_home / "jars").glob("*.jar")))
    paths.log_store.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="drydock-") as scratch:
        compiler = [java.SPARK.program(paths), "-XX:TieredStopAtLevel=1", "-cp", jars]
        compiler += ["scala.tools.nsc.Main", "-usejavacp", *OPTIONS, "-d", scratch, str(SOURCE)]
        programs.run(compiler, f"Compiling {SOURCE.relative_to(settings.REPOSITORY)}")
        classes = Path(scratch).rglob("*.class")
        reproducible_zip.write(paths.log_store, Path(scratch), classes)
    stamp(paths).write()
    return f"{paths.log_store.stat().st_size / 1e3:.0f} kB"
