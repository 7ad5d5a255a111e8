"""Delta tables by URI, partitioned by `ship_date`: read, and one day replaced."""

import datetime as dt

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

_NO_TABLE = ("DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "PATH_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")


def read_table(spark: SparkSession, uri: str) -> DataFrame | None:
    """The table as it is now, or None when there is none at this URI yet. Later writes do not change what was read."""
    try:
        return spark.read.format("delta").load(uri)
    except AnalysisException as error:
        if error.getErrorClass() in _NO_TABLE:
            return None
        raise


def replace_day(rows: DataFrame, uri: str, date: dt.date) -> None:
    """Make `rows`, all of `date`, the table's rows of that date, in one commit; the other dates are not touched."""
    (
        # One file a day: the tables are small. The shuffle keeps the work before it in parallel.
        rows.repartition(1)
        .write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"ship_date = '{date.isoformat()}'")
        .partitionBy("ship_date")
        .save(uri)
    )
