"""Add up orders by customer: spark-submit orders_by_customer.py --source s3://…/orders --target s3://…/by_customer

Orders are JSON lines with `customer` and `amount`; what was in the target is replaced.
"""

import argparse

from pyspark.sql import SparkSession
from pyspark.sql.functions import count, lit
from pyspark.sql.functions import sum as total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    given = parser.parse_args()

    spark = SparkSession.builder.appName("orders by customer").getOrCreate()
    orders = spark.read.json(given.source, schema="customer string, amount decimal(10, 2)")
    by_customer = orders.groupBy("customer").agg(count(lit(1)).alias("orders"), total("amount").alias("amount"))
    by_customer.coalesce(1).write.mode("overwrite").json(given.target)
    print(f"{by_customer.count()} customers")
    spark.stop()


if __name__ == "__main__":
    main()
