"""The processor's work: a day's raw files in, the quarantine and five tables out.

Nothing is written before the raw data has been found to be what its manifest says and every row is accounted for.
Each table is replaced in a commit of its own: a run that ends between two of them is mended by running the day again.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from shipments.delta import read_table, replace_day
from shipments.errors import RowsUnaccounted
from shipments.look_back import look_back_of, looking_back, stale_days
from shipments.raw_day import Manifest, damaged, day_uri, has_content, read_manifest
from shipments.rules import RULES, with_broken_rules
from shipments.schema import RAW_DDL, RAW_NAMES
from shipments.tables import TABLES, Table, measured

QUARANTINE = "_quarantine/shipment"

_ACCEPTED = "size(broken_rules) = 0"
_QUARANTINED = "size(broken_rules) > 0"


@dataclass(frozen=True)
class Processed:
    """What a run did: raw rows, how they fell out, rows a table, and the later days that now need a run."""

    rows: int
    accepted: int
    quarantined: int
    quarantined_by_rule: Mapping[str, int]
    table_rows: Mapping[str, int]
    stale_days: Sequence[dt.date]


def process(spark: SparkSession, date: dt.date, source: str, target: str) -> Processed:
    """Replace the date's rows of all tables under the `target` URI by those of the raw day under `source`.

    Raises `RawDataMissing`, `RawDataDamaged`, `RowsUnaccounted`, before anything is written, or `StorageError`.
    """
    manifest = read_manifest(source, date)
    _check_contents(spark, source, manifest)
    raw = read_raw(spark, source, manifest)
    with _kept(measured(with_broken_rules(raw), "block", "row", "broken_rules")) as rows:
        counts = _counts(rows)
        check_accounted(manifest.rows, counts["accepted"], counts["quarantined"])
        replace_day(quarantine(raw, rows, date), f"{target}/{QUARANTINE}", date)
        shipments = rows.where(_ACCEPTED)
        written = [_write_table(spark, table, shipments, date, f"{target}/{table.name}") for table in TABLES]
    return Processed(
        rows=manifest.rows,
        accepted=counts["accepted"],
        quarantined=counts["quarantined"],
        quarantined_by_rule={rule.name: counts[rule.name] for rule in RULES},
        table_rows={table.name: count for table, (count, _) in zip(TABLES, written, strict=True)},
        stale_days=sorted({day for _, stale in written for day in stale}),
    )


def read_raw(spark: SparkSession, source: str, manifest: Manifest) -> DataFrame:
    """The day's raw rows: `RAW_COLUMNS`, and where each comes from, `block` and `row` (both from 0)."""
    folder = day_uri(source, manifest.date)
    files = [f"{folder}/{block.name}" for block in manifest.blocks]
    if not files:
        return spark.createDataFrame([], f"{RAW_DDL}, block int, row long")
    block = F.regexp_extract("_metadata.file_name", r"^block-(\d+)\.parquet$", 1).cast("int")
    return (
        spark.read.schema(RAW_DDL)
        .parquet(*files)
        .select(*RAW_NAMES, block.alias("block"), F.col("_metadata.row_index").alias("row"))
    )


def quarantine(raw: DataFrame, checked: DataFrame, date: dt.date) -> DataFrame:
    """The raw rows that broke a rule: the date, where each comes from, the rules, and the row as it is."""
    broken = checked.where(_QUARANTINED).select("block", "row", "broken_rules")
    rows = raw.join(F.broadcast(broken), ["block", "row"])
    return rows.select(F.lit(date).alias("ship_date"), "block", "row", "broken_rules", *RAW_NAMES)


def check_accounted(raw: int, accepted: int, quarantined: int) -> None:
    """Raise `RowsUnaccounted` unless raw = accepted + quarantined."""
    if raw != accepted + quarantined:
        raise RowsUnaccounted(
            f"The manifest counts {raw} raw rows, but {accepted} were accepted and {quarantined} quarantined, "
            f"{accepted + quarantined} together. Nothing was written."
        )


def _check_contents(spark: SparkSession, source: str, manifest: Manifest) -> None:
    blocks = spark.sparkContext.parallelize(manifest.blocks, max(1, len(manifest.blocks)))
    others = blocks.filter(lambda block: not has_content(source, manifest.date, block)).collect()
    if others:
        names = ", ".join(block.name for block in others)
        raise damaged(source, manifest.date, f"the SHA-256 of {names} is not the manifest's")


def _counts(checked: DataFrame) -> dict[str, int]:
    """`accepted`, `quarantined`, and under each rule's name the rows that broke it."""
    (row,) = checked.agg(
        F.count_if(F.expr(_ACCEPTED)).alias("accepted"),
        F.count_if(F.expr(_QUARANTINED)).alias("quarantined"),
        *(F.count_if(F.array_contains("broken_rules", rule.name)).alias(rule.name) for rule in RULES),
    ).collect()
    counts: dict[str, int] = row.asDict()
    return counts


def _write_table(
    spark: SparkSession, table: Table, shipments: DataFrame, date: dt.date, uri: str
) -> tuple[int, list[dt.date]]:
    """Replace the table's day; return its rows, and the later days whose look-back measures are stale now."""
    look_back = look_back_of(table)
    with _kept(table.build(shipments, date)) as today:
        if look_back is None:
            replace_day(today, uri, date)
            return today.count(), []
        stored = read_table(spark, uri)
        stale = [] if stored is None else stale_days(look_back, today, stored, date)
        replace_day(looking_back(look_back, today, stored, date), uri, date)
        return today.count(), stale


@contextmanager
def _kept(rows: DataFrame) -> Iterator[DataFrame]:
    """Keep the rows while they are used. Kept any longer, they would answer for files that have changed since."""
    rows = rows.persist()
    try:
        yield rows
    finally:
        rows.unpersist()
