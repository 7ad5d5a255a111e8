"""Delta tables by URI, partitioned by `ship_date`: read, and one day replaced."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from shipments.errors import DayTaken
from shipments.tables import Row

_NO_TABLE = ("DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "PATH_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")
# Delta's answers to a writer that lost: the table came into being, or the partition's files changed.
_CREATED_MEANWHILE = "io.delta.exceptions.ProtocolChangedException"
_WRITTEN_MEANWHILE = "io.delta.exceptions.Concurrent"


def read_days(spark: SparkSession, uri: str, first: dt.date, last: dt.date) -> list[Row]:
    """The table's rows of these days, both included; none when there is no table at this URI yet."""
    try:
        table = spark.read.format("delta").load(uri)
    except AnalysisException as error:
        if error.getErrorClass() in _NO_TABLE:
            return []
        raise
    return [row.asDict() for row in table.where(F.col("ship_date").between(first, last)).collect()]


def version(spark: SparkSession, uri: str) -> int:
    """The newest version that this JVM has read or written of the table; -1 before there is a table."""
    # By the JVM, since Spark SQL's way to it, the table's history, runs a job.
    jvm: Any = spark._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, uri)
    return int(log.unsafeVolatileSnapshot().version())


def replace_day(rows: DataFrame, uri: str, date: dt.date, checks: Mapping[str, str]) -> None:
    """Make `rows`, all of `date`, the table's rows of that date, in one commit; the other dates are not touched.

    A table that is not there yet is created in the same commit, with `checks` (name → condition) as its constraints.
    Raises `DayTaken` when another run has written the date meanwhile.
    """
    try:
        _replace_day(rows, uri, date, checks)
    except Py4JJavaError as error:
        conflict = error.java_exception.getClass().getName()
        created = conflict == _CREATED_MEANWHILE
        if created and not read_days(rows.sparkSession, uri, date, date):
            _replace_day(rows, uri, date, checks)  # it was for another day, and now there is a table
        elif created or conflict.startswith(_WRITTEN_MEANWHILE):
            raise DayTaken(
                f"Another run has written {date} of {uri} while this one was at it. The table has the other's rows; "
                f"run the day again when no other run of it is under way, so that all tables come from one run."
            ) from error
        else:
            raise


def _replace_day(rows: DataFrame, uri: str, date: dt.date, checks: Mapping[str, str]) -> None:
    constraints = {f"delta.constraints.{name}": condition for name, condition in checks.items()}
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"ship_date = '{date.isoformat()}'")
        .options(**constraints)
        .partitionBy("ship_date")
        .save(uri)
    )
