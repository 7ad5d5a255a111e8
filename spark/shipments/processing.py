"""The processor's work: a day's raw files in, the quarantine and five tables out.

Spark spreads the day's blocks and brings together what belongs together; what is done with a block is done in its
Python worker, by Arrow and NumPy, on whole columns. Three times each block is read: for its ids, since a copy can lie
in any other block; for its groups; and for its broken rows. The groups of a day are few, so the tables are made of
them on the driver.

Nothing is written before the raw data has been found to be what its manifest says and every row is accounted for.
Each table is replaced in a commit of its own: a run that ends between two of them is mended by running the day again.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import RDD
from pyspark.sql import SparkSession

from shipments import duplicates, grouping, rules
from shipments.delta import read_days, replace_day, version
from shipments.errors import RawDataDamaged, RowsUnaccounted, TooManyBroken
from shipments.grouping import Group, Key
from shipments.look_back import REACH, look_back_of, looking_back, stale_days
from shipments.raw_block import in_units, read_block
from shipments.raw_day import Manifest, read_manifest
from shipments.rules import RULES
from shipments.schema import RAW_DDL, RAW_NAMES
from shipments.session import spread
from shipments.tables import TABLES, Row, Table, Totals

QUARANTINE = "_quarantine/shipment"
QUARANTINE_DDL = f"ship_date date, block int, row bigint, broken_rules array<string>, {RAW_DDL}"
QUARANTINE_CHECKS = {"breaks_a_rule": "size(broken_rules) > 0"}

MAX_BROKEN_SHARE = 0.2

_FELL_OUT = "fell out"  # beside the tables' names
_DAMAGED = -1  # beside the numbers of buckets and blocks
_TABLES = {table.name: table for table in TABLES}


@dataclass(frozen=True)
class Processed:
    """What a run did: raw rows, how they fell out, rows a table, and the later days that now need a run."""

    rows: int
    accepted: int
    quarantined: int
    quarantined_by_rule: Mapping[str, int]
    table_rows: Mapping[str, int]
    stale_days: Sequence[dt.date]


@dataclass(frozen=True)
class Day:
    """A raw day whose blocks are looked at in Spark's Python workers, and what all of them have to know."""

    source: str
    manifest: Manifest
    later_copies: Mapping[int, duplicates.Rows] = field(default_factory=dict)  # by block

    def ids(self, block: int) -> Iterator[tuple[int, duplicates.Ids | RawDataDamaged]]:
        """The block's ids by bucket; or, by `_DAMAGED`, what is wrong with its file."""
        try:
            column = self._read(block, ("shipment_id",))["shipment_id"].combine_chunks()
        except RawDataDamaged as damage:
            # An answer rather than an error: Spark would try again, and log a traceback each time.
            yield _DAMAGED, damage
        else:
            yield from duplicates.dealt_out(block, column, duplicates.buckets_for(self.manifest.rows))

    def groups(self, block: int) -> Iterator[tuple[tuple[str, Key], Group]]:
        """The groups of the block's accepted shipments by table and key, and how its rows fell out."""
        columns = in_units(self._read(block, {*grouping.NEEDED, *rules.NEEDED}))
        broken = self._broken(block, columns)
        is_broken = broken.any(axis=1)
        fell_out = [np.count_nonzero(~is_broken), np.count_nonzero(is_broken), *np.count_nonzero(broken, axis=0)]
        yield (_FELL_OUT, ()), Group(np.array(fell_out, np.int64))
        shipments = grouping.measured(columns.filter(pa.array(~is_broken)))
        for table in TABLES:
            for key, group in grouping.grouped(shipments, table.grouping):
                yield (table.name, key), group

    def quarantined(self, block: int) -> Iterator[tuple[Any, ...]]:
        """The block's broken rows as they are, with where they come from and the rules they break."""
        raw = self._read(block, RAW_NAMES)
        broken = self._broken(block, in_units(raw.select(rules.NEEDED)))
        rows = np.flatnonzero(broken.any(axis=1))
        columns = [column.to_pylist() for column in raw.take(pa.array(rows)).columns]
        names = map(rules.names, broken[rows].tolist())
        return zip(repeat(self.manifest.date), repeat(block), rows.tolist(), names, *columns)

    def _read(self, block: int, columns: Iterable[str]) -> pa.Table:
        return read_block(self.source, self.manifest.date, self.manifest.blocks[block], columns)

    def _broken(self, block: int, columns: pa.Table) -> npt.NDArray[np.bool_]:
        return rules.broken(columns, self.later_copies.get(block, np.array([], np.int64)))


def process(
    spark: SparkSession, date: dt.date, source: str, target: str, max_broken_share: float = MAX_BROKEN_SHARE
) -> Processed:
    """Replace the date's rows of all tables under the `target` URI by those of the raw day under `source`.

    Raises `RawDataMissing`, `RawDataDamaged`, `RowsUnaccounted` and `TooManyBroken` before anything is written;
    `DayTaken` or `StorageError`.
    """
    manifest = read_manifest(source, date)
    blocks = spread(spark, len(manifest.blocks))
    day = Day(source, manifest, _later_copies(blocks, Day(source, manifest)))
    totals, (accepted, quarantined, *by_rule) = _totals(blocks, day)
    check_accounted(manifest.rows, accepted, quarantined)
    by_name = {rule.name: count for rule, count in zip(RULES, by_rule, strict=True)}
    if quarantined > max_broken_share * manifest.rows:
        raise _too_many(manifest, quarantined, by_name, max_broken_share)

    def quarantine() -> None:
        broken = spark.createDataFrame(blocks.flatMap(day.quarantined), QUARANTINE_DDL, verifySchema=False)
        # Found in parallel, written as one file.
        replace_day(broken.repartition(1), f"{target}/{QUARANTINE}", date, QUARANTINE_CHECKS)

    def write(table: Table) -> tuple[int, list[dt.date]]:
        return write_table(spark, table, totals[table.name], date, f"{target}/{table.name}")

    # All at once: a commit is many small steps of driver, executor and S3, of which each waits for the others.
    with ThreadPoolExecutor(1 + len(TABLES)) as writers:
        quarantining = writers.submit(quarantine)
        written = list(writers.map(write, TABLES))
        quarantining.result()
    return Processed(
        rows=manifest.rows,
        accepted=accepted,
        quarantined=quarantined,
        quarantined_by_rule=by_name,
        table_rows={table.name: count for table, (count, _) in zip(TABLES, written, strict=True)},
        stale_days=sorted({day for _, stale in written for day in stale}),
    )


def check_accounted(raw: int, accepted: int, quarantined: int) -> None:
    """Raise `RowsUnaccounted` unless raw = accepted + quarantined."""
    if raw != accepted + quarantined:
        raise RowsUnaccounted(
            f"The manifest counts {raw} raw rows, but {accepted} were accepted and {quarantined} quarantined, "
            f"{accepted + quarantined} together. Nothing was written."
        )


def _too_many(manifest: Manifest, quarantined: int, by_rule: Mapping[str, int], allowed: float) -> TooManyBroken:
    by_count = sorted(by_rule.items(), key=lambda rule: -rule[1])
    return TooManyBroken(
        f"{quarantined} of the {manifest.rows} raw rows of {manifest.date} break a rule, "
        f"{quarantined / manifest.rows:.1%}, and at most {allowed:.1%} may "
        f"({', '.join(f'{name}: {count}' for name, count in by_count if count)}). Nothing was written. If the rows are "
        f"to be left out all the same, allow more with --max-broken-share."
    )


def _later_copies(blocks: RDD[int], day: Day) -> dict[int, duplicates.Rows]:
    """By block, the rows that bear an id that a lower block or row bears too."""
    met = blocks.flatMap(day.ids).groupByKey(duplicates.buckets_for(day.manifest.rows))
    found: dict[int, list[Any]] = {}
    for block, rows in met.flatMap(_later_copies_of_bucket).collect():
        found.setdefault(block, []).append(rows)
    if _DAMAGED in found:
        raise min(found[_DAMAGED], key=str)
    return {block: np.concatenate(rows) for block, rows in found.items()}


def _later_copies_of_bucket(bucket: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, Any]]:
    number, met = bucket
    return ((_DAMAGED, damage) for damage in met) if number == _DAMAGED else duplicates.later_copies(met)


def _totals(blocks: RDD[int], day: Day) -> tuple[dict[str, dict[Key, Totals]], list[int]]:
    """The day's groups by table, and how its rows fell out: accepted, quarantined, and by rule."""
    groups = blocks.flatMap(day.groups).reduceByKey(Group.__add__)
    totals: dict[str, dict[Key, Totals]] = {table.name: {} for table in TABLES}
    fell_out = [0] * (2 + len(RULES))
    for (name, key), total in groups.map(_total).collect():
        if name == _FELL_OUT:
            fell_out = total
        else:
            totals[name][key] = total
    return totals, fell_out


def _total(keyed: tuple[tuple[str, Key], Group]) -> tuple[tuple[str, Key], Any]:
    (name, key), group = keyed
    return (name, key), group.sums.tolist() if name == _FELL_OUT else day_total(_TABLES[name], group)


def day_total(table: Table, group: Group) -> Totals:
    """What the table needs to know of one of its groups, when all of the day's shipments are in it."""
    values = np.sort(np.concatenate(group.values)) if group.values else np.array([], np.int64)
    percentiles = {share: grouping.percentile(values, share) for share in table.percentiles}
    return Totals(dict(zip(table.grouping.sums, group.sums.tolist(), strict=True)), percentiles)


def write_table(
    spark: SparkSession, table: Table, totals: Mapping[Key, Totals], date: dt.date, uri: str
) -> tuple[int, list[dt.date]]:
    """Replace the table's day; return its rows, and the later days whose look-back measures are stale now.

    Raises `DayTaken`.
    """

    def write(rows: Sequence[Row]) -> None:
        values = [tuple(row[name] for name in table.columns) for row in rows]
        replace_day(spark.createDataFrame(values, table.ddl).coalesce(1), uri, date, table.checks)

    today = table.rows(totals, date)
    look_back = look_back_of(table)
    if look_back is None:
        write(today)
        return len(today), []
    rows: list[Row] = []
    while True:
        others = [row for row in read_days(spark, uri, date - REACH, date + REACH) if row["ship_date"] != date]
        seen = version(spark, uri)
        looked_back = looking_back(look_back, today, others)
        if looked_back == rows:
            break  # what others wrote meanwhile is nothing that this day looks at
        rows = looked_back
        write(rows)
        if version(spark, uri) == seen + 1:
            break  # nobody has written between the reading and this commit
    return len(today), stale_days(look_back, today, others)
