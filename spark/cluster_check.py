"""Tell what a cluster is made of, and that its executors work: the step by which a deployment is tried.

    spark-submit --py-files shipments.zip --jars delta-log-store.jar cluster_check.py

Reads and writes no data. Prints one line of JSON: the versions in force, of Python on the executors too, Spark's
properties save secret ones, and the names of the step's environment variables. Exit codes: 0 all of it is there; 1
something is not; 2 wrong usage.
"""

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from shipments.session import run_job

TASKS = 2
SECRET = re.compile(r"secret|password|token|credential|access\.?key", re.IGNORECASE)


def main(argv: list[str]) -> int:
    argparse.ArgumentParser(description="Tell what a cluster is made of.").parse_args(argv)
    return run_job("cluster_check", check)


def check(spark: Any) -> dict[str, Any]:
    """What is in force, by asking it."""
    context = spark.sparkContext
    java = context._jvm
    on_executors = context.parallelize(range(TASKS), TASKS).mapPartitions(_executor_python).collect()
    counted = spark.range(1000).selectExpr("sum(id) AS total").first()["total"]
    if counted != sum(range(1000)):
        raise RuntimeError(f"The executors sum 0 to 999 up to {counted}.")
    return {
        "job": "cluster_check",
        "versions": {
            "spark": spark.version,
            "hadoop": java.org.apache.hadoop.util.VersionInfo.getVersion(),
            "delta": java.io.delta.package.VERSION(),
            "java": java.System.getProperty("java.version"),
            "scala": java.scala.util.Properties.versionNumberString(),
            "python": platform.python_version(),
        },
        "executors_python": sorted(set(on_executors)),
        "spark_properties": {name: value for name, value in context.getConf().getAll() if not SECRET.search(name)},
        "environment": sorted(os.environ),  # their values stay here
    }


def _executor_python(_: Iterable[int]) -> Iterator[str]:
    """The Python of an executor, which has what the bootstrap action installed."""
    import faker  # noqa: F401 - that it is there is what is looked at
    import numpy as np
    import pyarrow as pa

    yield f"{platform.python_version()}, numpy {np.__version__}, pyarrow {pa.__version__}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
