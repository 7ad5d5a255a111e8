"""The jobs' Spark session, and what a job looks like from outside: exit codes and its last line."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import RDD
from pyspark.sql import SparkSession

from shipments.errors import ShipmentsError

TASKS_A_CORE = 4
BLOCKS_A_TASK = 10
"""At least. Each slot that gets a task starts a Python worker, which costs as much as half a million rows."""

SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"


def open_session(name: str) -> SparkSession:
    """A session in UTC that can write Delta tables. Master, endpoint and file systems are spark-submit's business."""
    spark = (
        SparkSession.builder.appName(name)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        # Commits that many writers cannot lose (spark/log_store); its jar is given to spark-submit by --jars.
        .config("spark.delta.logStore.s3.impl", "drydock.delta.ConditionalS3LogStore")
        # The tables have a handful of files a day: Delta's 50 tasks to rebuild a snapshot are mostly idle.
        .config("spark.databricks.delta.snapshotPartitions", "2")
        # What Spark SQL does here is to write and read small tables, and Delta's logs. It is over sooner than plans are
        # compiled to bytecode, or taken apart into stages that are planned anew: a third of a small day's processor
        # time. At ten million rows, when the quarantine has a hundred thousand, it makes no difference.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.adaptive.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("WARN")
    if spark.sparkContext.getConf().get(SHUFFLE_PARTITIONS) is None:
        # What Spark SQL shuffles here are the logs of small tables: 200 partitions would be mostly empty tasks.
        spark.conf.set(SHUFFLE_PARTITIONS, "2")
    return spark


def spread(spark: SparkSession, blocks: int, tasks: int | None = None) -> RDD[int]:
    """The numbers of a day's blocks, in tasks of several blocks: by default a few tasks for each core, if so many are
    worth it."""
    # Enough tasks to even out, and no more: Python's worker collects its garbage after each, for some 70 ms.
    few = min(-(-blocks // BLOCKS_A_TASK), TASKS_A_CORE * spark.sparkContext.defaultParallelism)
    return spark.sparkContext.parallelize(range(blocks), tasks or max(1, few))


def run_job(name: str, job: Callable[[SparkSession], dict[str, Any]]) -> int:
    """Run `job` in a session and print what it did as one line of JSON; return the process's exit code.

    The line is information for whoever reads the log: success is the exit code alone. A failure of the data or the
    storage is a sentence and 1; a defect keeps its traceback. (spark-submit shows a driver's stderr as its own stdout.)
    """
    spark = open_session(name)
    try:
        done = job(spark)
    except (ShipmentsError, Py4JJavaError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)
        return 1
    finally:
        spark.stop()
    print(json.dumps(done), flush=True)
    return 0


def _sentence(error: ShipmentsError | Py4JJavaError) -> str | None:
    """What the error says to a user; None when it is a defect.

    An error of ours that was raised in a Python worker arrives as text at the end of a Java exception's message.
    """
    if isinstance(error, ShipmentsError):
        return str(error)
    from_worker = re.search(r"^shipments\.errors\.\w+: (.+)$", str(error), re.MULTILINE)
    return from_worker and from_worker[1]
