"""Count words with Spark: `make submit JOB=examples/word_count.py ARGS="--lines 100000 --top 5"`.

The text is made here, so there is nothing to download: a few sailors' sentences, again and again.
"""

import argparse

from pyspark.sql import SparkSession
from pyspark.sql.functions import array, col, desc, element_at, explode, lit, split

SENTENCES = (
    "the ship is in the dock and the tide is out",
    "a ship that was never in a dock was never a ship",
    "the captain counts the crates and the cook counts the crew",
    "out at sea the wind counts",
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=10_000, help="lines of text to make")
    parser.add_argument("--top", type=int, default=10, help="words to show")
    arguments = parser.parse_args()

    spark = SparkSession.builder.appName("word count").getOrCreate()
    sentences = array(*map(lit, SENTENCES))
    lines = spark.range(arguments.lines).select(
        element_at(sentences, (col("id") % len(SENTENCES) + 1).cast("int")).alias("line")
    )
    words = lines.select(explode(split("line", " ")).alias("word"))
    counted = words.groupBy("word").count().orderBy(desc("count"), "word")

    print(f"Counted by Spark {spark.version}:")
    for row in counted.limit(arguments.top).collect():
        print(f"{row['count']:>10,}  {row['word']}")
    spark.stop()


if __name__ == "__main__":
    main()
