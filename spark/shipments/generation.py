"""The generator's work: Spark hands out block numbers, each becomes a file in a Python worker, the manifest comes last.

A run replaces its date: the old manifest goes first, blocks are overwritten, blocks of a larger earlier run are
deleted. Interrupted at any point it leaves no manifest, and so nothing that a processor would take for a day.
"""

import datetime as dt
from collections import Counter
from dataclasses import dataclass

from pyspark.sql import SparkSession

from shipments.block import BLOCK_ROWS, make_block
from shipments.raw_day import MANIFEST_NAME, BlockFile, Manifest, block_name, day_uri, is_block_name, manifest_to_json
from shipments.rules import RULES
from shipments.session import spread
from shipments.storage import open_folder


@dataclass(frozen=True)
class Order:
    """What is to be generated. `target` is the URI under which the dates lie."""

    date: dt.date
    rows: int
    target: str
    seed: int
    broken_share: float


def generate(spark: SparkSession, order: Order, partitions: int | None = None) -> Manifest:
    """Write the day and return its manifest. The files do not depend on the number of partitions (default: a few for
    each core)."""
    folder = open_folder(day_uri(order.target, order.date))
    folder.delete(MANIFEST_NAME)
    blocks = -(-order.rows // BLOCK_ROWS)
    numbers = spread(spark, blocks, partitions)
    written = sorted(numbers.map(lambda block: _write_block(order, block)).collect(), key=lambda done: done[0].name)

    current = {file.name for file, _ in written}
    for name in folder.sizes():
        if is_block_name(name) and name not in current:
            folder.delete(name)
    manifest = _manifest(order, written)
    folder.write(MANIFEST_NAME, manifest_to_json(manifest))
    return manifest


def _write_block(order: Order, block: int) -> tuple[BlockFile, dict[str, int]]:
    rows = min(BLOCK_ROWS, order.rows - block * BLOCK_ROWS)
    made = make_block(order.seed, order.date, block, rows, order.broken_share)
    name = block_name(block)
    open_folder(day_uri(order.target, order.date)).write(name, made.content)
    return BlockFile(name=name, rows=rows, bytes=len(made.content), sha256=made.sha256), made.injected


def _manifest(order: Order, written: list[tuple[BlockFile, dict[str, int]]]) -> Manifest:
    injected = Counter({rule.name: 0 for rule in RULES})
    for _, of_block in written:
        injected.update(of_block)
    return Manifest(
        date=order.date,
        seed=order.seed,
        broken_share=order.broken_share,
        rows=order.rows,
        bytes=sum(file.bytes for file, _ in written),
        injected=dict(injected),
        blocks=[file for file, _ in written],
    )
