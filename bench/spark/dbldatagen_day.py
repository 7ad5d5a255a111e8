"""Shipments by dbldatagen, Spark's own expressions: what the generator is measured beside.

    spark-submit bench/spark/dbldatagen_day.py <rows> <file:/// folder> <folder with dbldatagen>

The columns of a raw shipment, of the same types, each drawn by itself: no distance that makes a cost, no waves in the
hours. Written to local disk as Parquet, where the generator's own files go to S3.
"""

import sys

from pyspark.sql import SparkSession

from shipments.network import CARRIERS, CITIES, SERVICE_LEVELS, STATUSES, WAREHOUSE_IDS


def main(rows: int, target: str, packages: str) -> None:
    sys.path.append(packages)
    import dbldatagen

    spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    cities, states = [city.name for city in CITIES], [city.state for city in CITIES]
    whole_day = {"begin": "2026-03-02 00:00:00", "end": "2026-03-02 23:59:00", "interval": "1 minute"}
    week = {**whole_day, "end": "2026-03-09 00:00:00"}
    money = {"minValue": 1.0, "maxValue": 900.0, "step": 0.01, "random": True}
    shipments = (
        dbldatagen.DataGenerator(spark, name="shipments", rows=rows, partitions=8, randomSeed=42)
        .withColumn("shipment_id", "string", expr="format_string('S%09d', id)")
        .withColumn("order_id", "string", expr="format_string('O%09d', id)")
        .withColumn("customer_id", "string", prefix="C-", minValue=0, maxValue=6000, random=True)
        .withColumn("customer_name", "string", prefix="Customer ", minValue=0, maxValue=6000, random=True)
        .withColumn("carrier", "string", values=[c.name for c in CARRIERS], random=True)
        .withColumn("service_level", "string", values=[s.name for s in SERVICE_LEVELS], random=True)
        .withColumn("status", "string", values=list(STATUSES), random=True)
        .withColumn("warehouse_id", "string", values=list(WAREHOUSE_IDS), random=True)
        .withColumn("origin_city", "string", values=cities, random=True)
        .withColumn("origin_state", "string", values=states, random=True)
        .withColumn("destination_city", "string", values=cities, random=True)
        .withColumn("destination_state", "string", values=states, random=True)
        .withColumn("destination_postcode", "string", minValue=10_000, maxValue=99_999, random=True)
        .withColumn("ship_ts", "timestamp", **whole_day, random=True)
        .withColumn("promised_ts", "timestamp", **week, random=True)
        .withColumn("delivered_ts", "timestamp", **week, random=True)
        .withColumn("distance_km", "decimal(7,1)", minValue=10.0, maxValue=4500.0, step=0.1, random=True)
        .withColumn("weight_kg", "decimal(8,3)", minValue=0.05, maxValue=900.0, step=0.001, random=True)
        .withColumn("volume_m3", "decimal(8,4)", minValue=0.001, maxValue=9.0, step=0.0001, random=True)
        .withColumn("items", "int", minValue=1, maxValue=9, random=True)
        .withColumn("base_cost", "decimal(8,2)", **money)
        .withColumn("fuel_surcharge", "decimal(8,2)", **money)
        .withColumn("insurance_cost", "decimal(8,2)", **money)
        .withColumn("total_cost", "decimal(8,2)", expr="base_cost + fuel_surcharge + insurance_cost")
        .withColumn("currency", "string", values=["USD"])
    )
    shipments.build().write.mode("overwrite").option("compression", "zstd").parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
