"""What a driver loads: run once by `cds`, so that the JVM can write the classes down. Its results are of no interest.

spark-submit --properties-file cds_workload.conf cds_workload.py SCRATCH_FOLDER
"""

import sys
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as f

# Not reached in one JVM, where nothing is sent to a cluster.
OF_A_CLUSTER = (
    "org.apache.spark.deploy.client.StandaloneAppClient",
    "org.apache.spark.scheduler.cluster.CoarseGrainedSchedulerBackend",
    "org.apache.spark.scheduler.cluster.StandaloneSchedulerBackend",
    "software.amazon.awssdk.services.s3.model.PutObjectRequest",
    "software.amazon.awssdk.services.s3.model.ListObjectsV2Response",
)


def main(scratch: str) -> None:
    builder = SparkSession.builder.config("spark.eventLog.dir", f"file:{scratch}")
    spark = builder.config("spark.sql.warehouse.dir", f"file:{scratch}/warehouse").getOrCreate()
    write_and_read(spark, scratch)
    for name in OF_A_CLUSTER:
        spark._jvm.java.lang.Class.forName(name)
    reach_for_s3(spark)
    spark.stop()


def write_and_read(spark: Any, scratch: str) -> None:
    """Parquet and Delta, expressions, windows, Python workers: the ways of the two jobs."""
    numbers = spark.range(1000).select(
        "id",
        (f.col("id") % 7).alias("key"),
        f.rand(1).alias("value"),
        f.lit("2024-01-01").cast("date").alias("day"),
    )
    numbers.write.parquet(f"{scratch}/raw")
    raw = spark.read.parquet(f"{scratch}/raw").dropDuplicates(["id"])
    table = (
        raw.groupBy("day", "key")
        .agg(f.count("*").alias("n"), f.expr("percentile(value, 0.95)").alias("p95"), f.avg("value").alias("mean"))
        .withColumn("rank", f.dense_rank().over(Window.partitionBy("day").orderBy("p95")))
    )
    for _ in range(2):
        writer = table.write.format("delta").mode("overwrite").partitionBy("day")
        writer.option("replaceWhere", "day = '2024-01-01'").save(f"{scratch}/table")
    spark.read.format("delta").load(f"{scratch}/table").join(raw, ["day", "key"]).collect()
    spark.sparkContext.parallelize(range(2), 2).mapPartitions(list).collect()


def reach_for_s3(spark: Any) -> None:
    """Ask S3A for a file: all of it is loaded on the way to finding that nobody listens."""
    path = spark._jvm.org.apache.hadoop.fs.Path("s3://nobody/nothing")
    try:
        path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path)
    except Py4JJavaError as error:
        if "ConnectException" not in str(error.java_exception):
            raise


if __name__ == "__main__":
    main(sys.argv[1])
