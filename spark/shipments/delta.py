"""Delta tables by URI, partitioned by `ship_date`: read, and one day replaced."""

import datetime as dt

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from shipments.tables import Row

_NO_TABLE = ("DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "PATH_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")


def read_days(spark: SparkSession, uri: str, first: dt.date, last: dt.date) -> list[Row]:
    """The table's rows of these days, both included; none when there is no table at this URI yet."""
    try:
        table = spark.read.format("delta").load(uri)
    except AnalysisException as error:
        if error.getErrorClass() in _NO_TABLE:
            return []
        raise
    return [row.asDict() for row in table.where(F.col("ship_date").between(first, last)).collect()]


def replace_day(rows: DataFrame, uri: str, date: dt.date) -> None:
    """Make `rows`, all of `date`, the table's rows of that date, in one commit; the other dates are not touched."""
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"ship_date = '{date.isoformat()}'")
        .partitionBy("ship_date")
        .save(uri)
    )
