"""A processed day: every value is what DuckDB makes of the raw files, and other days stay as they are."""

import datetime as dt
import hashlib
import json

import oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shipments.errors import RawDataDamaged, RawDataMissing, RowsUnaccounted, TooManyBroken
from shipments.processing import QUARANTINE, check_accounted, process
from shipments.rules import RULES

TABLE_NAMES = (*sorted(oracle.GRAIN),)
# In order, with a gap: of the days before it, the last one of seed 42 sees one.
DAYS = {
    42: [dt.date(2026, 2, 26), dt.date(2026, 2, 27), dt.date(2026, 3, 5)],
    7: [dt.date(2026, 12, 6)],
}
CASES = [(seed, date) for seed, dates in DAYS.items() for date in dates]
DATE = DAYS[42][0]


def files(source, date):
    return [str(file) for file in sorted((source / f"ship_date={date}").glob("block-*.parquet"))]


def stored(spark, target, date=None):
    """Table name → rows as dictionaries, of one date or of all."""
    tables = {}
    for name in TABLE_NAMES:
        table = spark.read.format("delta").load(f"{target.as_uri()}/{name}")
        rows = table.collect() if date is None else table.where(table.ship_date == date).collect()
        tables[name] = [row.asDict() for row in rows]
    return tables


@pytest.fixture(scope="module")
def platforms(spark, make_day, tmp_path_factory):
    """Seed → (source, target, manifests, results) of its days, processed in order; the last day has two blocks."""
    made = {}
    for seed, dates in DAYS.items():
        root = tmp_path_factory.mktemp(f"seed-{seed}")
        source, target = root / "raw", root / "tables"
        manifests, results = {}, {}
        for number, date in enumerate(dates):
            rows = 52_000 if date == dates[-1] else 2_000 + 500 * number
            manifests[date] = make_day(source.as_uri(), date, rows, seed=seed)
            results[date] = process(spark, date, source.as_uri(), target.as_uri())
        made[seed] = source, target, manifests, results
    return made


@pytest.mark.parametrize(("seed", "date"), CASES)
def test_every_value_is_the_oracles(spark, platforms, seed, date):
    source, target, _, _ = platforms[seed]
    expected = oracle.expected_tables({day: files(source, day) for day in DAYS[seed] if day <= date}, date)
    actual = stored(spark, target, date)
    assert oracle.all_differences(expected, actual) == []
    assert all(expected[name] for name in TABLE_NAMES)


@pytest.mark.parametrize(("seed", "date"), CASES)
def test_what_was_injected_is_what_is_quarantined(platforms, seed, date):
    _, _, manifests, results = platforms[seed]
    assert results[date].quarantined_by_rule == manifests[date].injected
    assert results[date].rows == manifests[date].rows == results[date].accepted + results[date].quarantined


def test_running_a_day_again_changes_no_row(spark, platforms):
    source, target, _, results = platforms[42]
    before = stored(spark, target)
    assert process(spark, DATE, source.as_uri(), target.as_uri()) == results[DATE]
    for name, rows in stored(spark, target).items():
        key = oracle.GRAIN[name]
        by_grain = [{tuple(row[column] for column in key): row for row in table} for table in (rows, before[name])]
        assert by_grain[0] == by_grain[1]


def test_an_earlier_day_that_changes_makes_later_ones_stale(spark, make_day, tmp_path):
    source, target = (tmp_path / "raw").as_uri(), (tmp_path / "tables").as_uri()
    days = [dt.date(2026, 5, 1), dt.date(2026, 5, 7)]
    for date in days:
        make_day(source, date, rows=300)
        assert process(spark, date, source, target).stale_days == []
    others = {
        name: [r for r in rows if r["ship_date"] != days[0]]
        for name, rows in stored(spark, tmp_path / "tables").items()
    }

    make_day(source, days[0], rows=400)
    assert process(spark, days[0], source, target).stale_days == [days[1]]
    after = stored(spark, tmp_path / "tables")
    for name in TABLE_NAMES:
        assert oracle.differences(name, others[name], [r for r in after[name] if r["ship_date"] != days[0]]) == []
    assert process(spark, days[1], source, target).stale_days == []


@pytest.mark.parametrize(("rows", "broken_share"), [(0, 0.0), (1, 0.0), (40, 1.0)])
def test_a_day_of_next_to_nothing(spark, make_day, tmp_path, rows, broken_share):
    manifest = make_day((tmp_path / "raw").as_uri(), DATE, rows=rows, broken_share=broken_share)
    done = process(spark, DATE, (tmp_path / "raw").as_uri(), (tmp_path / "tables").as_uri(), max_broken_share=1.0)
    assert done.quarantined_by_rule == manifest.injected
    expected = oracle.expected_tables({DATE: files(tmp_path / "raw", DATE)}, DATE)
    actual = stored(spark, tmp_path / "tables")
    assert oracle.all_differences(expected, actual) == []


def assert_refused(spark, folder, error, message):
    """The day in `raw` is refused before anything is written."""
    with pytest.raises(error, match=message):
        process(spark, DATE, (folder / "raw").as_uri(), (folder / "tables").as_uri())
    assert not (folder / "tables").exists()


def test_a_day_without_a_manifest_is_missing(spark, make_day, tmp_path):
    make_day((tmp_path / "raw").as_uri(), DATE, rows=10)
    (tmp_path / "raw" / f"ship_date={DATE}" / "manifest.json").unlink()
    assert_refused(spark, tmp_path, RawDataMissing, r"Run data_generator.py --date 2026-02-26 first")


def _longer(day):
    with (day / "block-00000.parquet").open("ab") as file:
        file.write(b"!")


def _other_manifest(change):
    def damage(day):
        manifest = json.loads((day / "manifest.json").read_text())
        change(manifest)
        (day / "manifest.json").write_text(json.dumps(manifest))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda day: (day / "block-00000.parquet").unlink(), "block-00000.parquet is missing"),
        (lambda day: (day / "block-00007.parquet").write_bytes(b""), "does not name block-00007.parquet"),
        (_longer, "its manifest says"),
        (lambda day: (day / "manifest.json").write_text("{"), "cannot be read"),
        (lambda day: (day / "manifest.json").write_text("[]"), "cannot be read"),
        (_other_manifest(lambda manifest: manifest.update(format=2)), "its format is not 1"),
        (_other_manifest(lambda manifest: manifest.update(date="2026-02-27")), "its manifest is of 2026-02-27"),
        (_other_manifest(lambda manifest: manifest.update(rows=11)), "do not add up"),
    ],
)
def test_damage_is_found_before_anything_is_written(spark, make_day, tmp_path, damage, message):
    make_day((tmp_path / "raw").as_uri(), DATE, rows=10)
    damage(tmp_path / "raw" / f"ship_date={DATE}")
    assert_refused(spark, tmp_path, RawDataDamaged, message)


def test_other_bytes_of_the_same_length_are_found(spark, make_day, tmp_path):
    make_day((tmp_path / "raw").as_uri(), DATE, rows=10)
    file = tmp_path / "raw" / f"ship_date={DATE}" / "block-00000.parquet"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert_refused(spark, tmp_path, RawDataDamaged, r"SHA-256 of block-00000\.parquet is not the manifest's")


def _written_anew(change):
    """Another Parquet file of the block, and a manifest that describes it as it is."""

    def damage(day):
        block = day / "block-00000.parquet"
        pq.write_table(change(pq.read_table(block)), block, store_decimal_as_integer=True)
        _described(day)

    return damage


def _cut_off(day):
    block = day / "block-00000.parquet"
    block.write_bytes(block.read_bytes()[:-100])
    _described(day)


def _described(day):
    manifest = json.loads((day / "manifest.json").read_text())
    content = (day / manifest["blocks"][0]["name"]).read_bytes()
    manifest["blocks"][0] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (day / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut_off, r"block-00000\.parquet cannot be read as Parquet"),
        (_written_anew(lambda table: table.drop_columns("items")), r"block-00000\.parquet has no column items"),
        (
            _written_anew(lambda table: table.append_column("colour", table["carrier"])),
            "has a column that no raw day has: colour",
        ),
        (
            _written_anew(lambda table: table.set_column(19, "items", table["items"].cast(pa.int64()))),
            "has items as int64, not as int32",
        ),
        (_written_anew(lambda table: table.slice(1)), "has 9 rows, its manifest says 10"),
    ],
)
def test_a_file_that_is_no_block_is_found_whatever_its_manifest_says(spark, make_day, tmp_path, damage, message):
    make_day((tmp_path / "raw").as_uri(), DATE, rows=10)
    damage(tmp_path / "raw" / f"ship_date={DATE}")
    assert_refused(spark, tmp_path, RawDataDamaged, message)


def test_a_day_of_which_half_is_broken_is_refused(spark, make_day, tmp_path):
    manifest = make_day((tmp_path / "raw").as_uri(), DATE, rows=400, broken_share=0.5)
    broken = sum(manifest.injected.values())
    message = rf"{broken} of the 400 raw rows .* at most 20\.0% may .*--max-broken-share"
    assert_refused(spark, tmp_path, TooManyBroken, message)


def test_rows_that_went_astray_end_the_run():
    check_accounted(100, 98, 2)
    with pytest.raises(RowsUnaccounted, match="100 raw rows, but 98 were accepted and 1 quarantined, 99 together"):
        check_accounted(100, 98, 1)


def test_the_quarantine_is_the_raw_row_as_it_is(spark, platforms):
    _, target, manifests, _ = platforms[42]
    rows = stored(spark, target, DATE)[QUARANTINE]
    assert len(rows) == sum(manifests[DATE].injected.values())
    assert {rule for row in rows for rule in row["broken_rules"]} == {rule.name for rule in RULES}
    assert all(row["weight_kg"] < 0 for row in rows if "negative_weight" in row["broken_rules"])
    assert all(row["carrier"] is None for row in rows if "missing_carrier" in row["broken_rules"])
