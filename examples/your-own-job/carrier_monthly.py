"""How each carrier did in a month: a second pipeline, on the daily figures of the first.

    spark-submit --jars delta-log-store.jar carrier_monthly.py --month 2026-11 --source s3://… --target s3://…

Reads the Delta table `<source>/carrier_performance` and replaces the month's rows of `<target>/carrier_monthly`; other
months' rows stay. Exit codes: 0 written; 1 not; 2 wrong usage.
"""

import argparse
import datetime as dt
import json
import sys

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, countDistinct, lit, trunc
from pyspark.sql.functions import sum as total


def carrier_monthly(daily: DataFrame, month: dt.date) -> DataFrame:
    """A row for each carrier that shipped in the month which begins with the day `month`."""
    of_month = daily.where(trunc("ship_date", "month") == lit(month))
    counts = [total(name).alias(name) for name in ("shipments", "delivered", "on_time", "lost")]
    totals = of_month.groupBy("carrier").agg(countDistinct("ship_date").alias("days"), *counts)
    return totals.select(
        lit(f"{month:%Y-%m}").alias("month"),
        "carrier",
        "days",
        "shipments",
        "delivered",
        "on_time",
        "lost",
        (col("on_time") / col("delivered")).alias("on_time_rate"),  # null when none was delivered
    )


def replace_month(rows: DataFrame, table: str, month: dt.date) -> None:
    """Make `rows` the month's rows, in one commit; the first one creates the table."""
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"month = '{month:%Y-%m}'")
        .partitionBy("month")
        .save(table)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="How each carrier did in a month.")
    parser.add_argument("--month", type=first_day, required=True, help="YYYY-MM")
    parser.add_argument("--source", required=True, help="URI of the daily tables' folder")
    parser.add_argument("--target", required=True, help="URI of the folder to write the table in")
    given = parser.parse_args()

    # Delta's extension and catalog, UTC and the like are what the platform gives every job (terraform/modules/emr).
    commits = "drydock.delta.ConditionalS3LogStore"  # in delta-log-store.jar: of two writers one is told that it lost
    builder = SparkSession.builder.appName("carrier_monthly").config("spark.delta.logStore.s3.impl", commits)
    spark = builder.getOrCreate()
    daily = spark.read.format("delta").load(f"{given.source}/carrier_performance")
    rows = carrier_monthly(daily, given.month).cache()
    if (carriers := rows.count()) == 0:
        print(f"carrier_monthly: {given.source}/carrier_performance has no day of {given.month:%Y-%m}", file=sys.stderr)
        return 1
    replace_month(rows, f"{given.target}/carrier_monthly", given.month)
    shipments = rows.agg(total("shipments")).first()[0]
    spark.stop()
    told = {"job": "carrier_monthly", "month": f"{given.month:%Y-%m}", "rows": carriers, "shipments": shipments}
    print(json.dumps(told))  # what the flow's output shows: the last line that is a JSON object
    return 0


def first_day(month: str) -> dt.date:
    """The first day of YYYY-MM."""
    try:
        return dt.date.fromisoformat(f"{month}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{month}` is no month; expected YYYY-MM, such as 2026-11") from None


if __name__ == "__main__":
    sys.exit(main())
