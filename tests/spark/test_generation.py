"""A generated day: the same for any number of partitions, replaced as a whole, and without a manifest until done."""

import datetime as dt
import hashlib
import itertools
import json

import pytest
from py4j.protocol import Py4JJavaError

from shipments.block import BLOCK_ROWS
from shipments.generation import Order, generate
from shipments.rules import RULES

DAY = dt.date(2026, 3, 10)
ROWS = 2 * BLOCK_ROWS + 777


def order(folder, rows=ROWS, seed=42, date=DAY):
    return Order(date, rows, folder.as_uri(), seed, 0.01)


def checksums(folder, date=DAY):
    day = folder / f"ship_date={date}"
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in day.iterdir()}


def test_files_depend_on_seed_and_date_and_not_on_partitions(spark, tmp_path):
    found = {}
    for seed, date in itertools.product((42, 7), (DAY, DAY + dt.timedelta(days=1))):
        made = []
        for partitions in (1, 2, 7):
            folder = tmp_path / f"{seed}-{partitions}"
            generate(spark, order(folder, seed=seed, date=date), partitions)
            made.append(checksums(folder, date))
        assert made[0] == made[1] == made[2]
        found[seed, date] = made[0]
    names = ["block-00000.parquet", "block-00001.parquet", "block-00002.parquet", "manifest.json"]
    assert all(sorted(files) == names for files in found.values())
    assert len({checksum for files in found.values() for checksum in files.values()}) == len(names) * len(found)


def test_manifest_describes_the_files(spark, tmp_path):
    generate(spark, order(tmp_path, seed=5))
    day = tmp_path / f"ship_date={DAY}"
    manifest = json.loads((day / "manifest.json").read_text())
    files = sorted(day.glob("block-*.parquet"))
    assert manifest["format"] == 1
    assert manifest["date"] == "2026-03-10"
    assert manifest["seed"] == 5
    assert manifest["rows"] == ROWS
    assert manifest["bytes"] == sum(file.stat().st_size for file in files)
    assert [block["rows"] for block in manifest["blocks"]] == [BLOCK_ROWS, BLOCK_ROWS, 777]
    assert {b["name"]: b["sha256"] for b in manifest["blocks"]} == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    assert set(manifest["injected"]) == {rule.name for rule in RULES}
    assert 800 < sum(manifest["injected"].values()) < 1200


def test_a_smaller_run_leaves_nothing_of_a_larger_one(spark, tmp_path):
    generate(spark, order(tmp_path))
    generate(spark, order(tmp_path, rows=10))
    generate(spark, order(tmp_path / "alone", rows=10))
    assert checksums(tmp_path) == checksums(tmp_path / "alone")


def test_a_failed_run_leaves_no_manifest(spark, tmp_path):
    generate(spark, order(tmp_path))
    day = tmp_path / f"ship_date={DAY}"
    (day / "block-00001.parquet").unlink()
    (day / "block-00001.parquet").mkdir()  # a file cannot take its place
    with pytest.raises(Py4JJavaError, match=r"Could not write .*block-00001"):
        generate(spark, order(tmp_path, seed=43))
    assert not (day / "manifest.json").exists()


def test_no_rows_are_a_day_too(spark, tmp_path):
    manifest = generate(spark, order(tmp_path, rows=0))
    assert (manifest.rows, manifest.bytes, manifest.blocks) == (0, 0, [])
    assert set(checksums(tmp_path)) == {"manifest.json"}
