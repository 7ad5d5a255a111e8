"""Several writers of one table: of two days, of one day, of a table that is not there yet; and rows Delta refuses."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException

from shipments import processing
from shipments.delta import read_days, replace_day
from shipments.errors import DayTaken
from shipments.processing import QUARANTINE, QUARANTINE_CHECKS, QUARANTINE_DDL
from shipments.tables import DAILY_TRENDS, TABLES, Totals

FIRST, SECOND = dt.date(2026, 2, 28), dt.date(2026, 3, 1)
DDL = "ship_date date, shipments bigint"
CHECKS = {"counted": "shipments >= 0"}
DEADLINE_SECONDS = 120


def frame(spark, date, shipments):
    return spark.createDataFrame([(date, shipments)], DDL)


def stored(spark, uri):
    return {row["ship_date"]: row["shipments"] for row in read_days(spark, uri, FIRST, SECOND)}


@contextmanager
def held(spark, folder, uri, date, shipments):
    """A writer that has begun its commit and waits, until the block has ended, with the rows that it is to write.
    Yields its end, as a future."""
    begun, go_on = folder / "begun", folder / "go on"

    def rows(_):
        begun.touch()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not go_on.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return [(date, shipments)]

    late = spark.createDataFrame(spark.sparkContext.parallelize([0], 1).flatMap(rows), DDL, verifySchema=False)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(replace_day, late, uri, date, CHECKS)
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not begun.exists():
                assert time.monotonic() < deadline
                assert not writing.done(), writing.exception()
                time.sleep(0.01)
            yield writing
        finally:
            go_on.touch()


def test_two_first_days_at_once_are_both_there(spark, tmp_path):
    uri = (tmp_path / "table").as_uri()
    with held(spark, tmp_path, uri, FIRST, 1) as writing:
        replace_day(frame(spark, SECOND, 2), uri, SECOND, CHECKS)
    writing.result()
    assert stored(spark, uri) == {FIRST: 1, SECOND: 2}


def test_two_days_at_once_do_not_disturb_each_other(spark, tmp_path):
    uri = (tmp_path / "table").as_uri()
    for date in (FIRST, SECOND):
        replace_day(frame(spark, date, 0), uri, date, CHECKS)
    with held(spark, tmp_path, uri, FIRST, 1) as writing:
        replace_day(frame(spark, SECOND, 2), uri, SECOND, CHECKS)
    writing.result()
    assert stored(spark, uri) == {FIRST: 1, SECOND: 2}


@pytest.mark.parametrize("exists", [True, False], ids=["again", "for the first time"])
def test_of_two_runs_of_a_day_the_second_fails_in_a_sentence(spark, tmp_path, exists):
    uri = (tmp_path / "table").as_uri()
    if exists:
        replace_day(frame(spark, FIRST, 0), uri, FIRST, CHECKS)
    with held(spark, tmp_path, uri, FIRST, 1) as writing:
        replace_day(frame(spark, FIRST, 2), uri, FIRST, CHECKS)
    with pytest.raises(DayTaken, match=rf"Another run has written {FIRST} of {uri} while this one was at it"):
        writing.result()
    assert stored(spark, uri) == {FIRST: 2}


@pytest.mark.parametrize("exists", [True, False], ids=["again", "for the first time"])
@pytest.mark.parametrize(("slow", "quick"), [(FIRST, SECOND), (SECOND, FIRST)], ids=["the earlier", "the later"])
def test_a_day_that_is_written_meanwhile_counts(spark, tmp_path, monkeypatch, exists, slow, quick):
    """Of two days run at once, the slower has read the table before the quicker one writes it."""
    uri = (tmp_path / "table").as_uri()
    shipments = {FIRST: 100, SECOND: 150}

    def write(date):
        totals = {(): Totals(dict.fromkeys(DAILY_TRENDS.grouping.sums, shipments[date]), {})}
        return processing.write_table(spark, DAILY_TRENDS, totals, date, uri)

    if exists:
        shipments |= {FIRST - dt.timedelta(days=30): 1}
        write(FIRST - dt.timedelta(days=30))

    def after_the_other(*arguments):
        monkeypatch.setattr(processing, "replace_day", replace_day)
        write(quick)
        replace_day(*arguments)

    monkeypatch.setattr(processing, "replace_day", after_the_other)
    _, stale = write(slow)
    found = {row["ship_date"]: row for row in read_days(spark, uri, FIRST, SECOND)}
    assert {date: row["shipments"] for date, row in found.items()} == {FIRST: 100, SECOND: 150}
    if slow == SECOND:
        assert (found[SECOND]["shipments_change"], found[SECOND]["days_7d"], stale) == (50, 2, [])
    else:  # the later one ended before this one was there, and has to run again
        assert (found[SECOND]["shipments_change"], found[SECOND]["days_7d"], stale) == (None, 1, [SECOND])


def test_a_reader_sees_the_day_as_it_was_until_it_is_replaced(spark, tmp_path):
    uri = (tmp_path / "table").as_uri()
    replace_day(frame(spark, FIRST, 1), uri, FIRST, CHECKS)
    with held(spark, tmp_path, uri, FIRST, 2) as writing:
        assert stored(spark, uri) == {FIRST: 1}
    writing.result()
    assert stored(spark, uri) == {FIRST: 2}


BROKEN = [
    ("carrier_performance", "has_shipments", {"shipments": 0}),
    ("carrier_performance", "one_status_at_most", {"shipments": 2, "delivered": 2, "lost": 1}),
    ("carrier_performance", "on_time_is_delivered", {"shipments": 2, "delivered": 1, "on_time": 2}),
    ("cost_analysis", "has_shipments", {"shipments": 0}),
    ("cost_analysis", "total_is_sum", {"shipments": 1, "base_cost": 1}),
    ("daily_trends", "delivered_was_shipped", {"shipments": 1, "delivered": 2, "days_7d": 1}),
    ("daily_trends", "on_time_is_delivered", {"shipments": 2, "delivered": 1, "on_time": 2, "days_7d": 1}),
    ("daily_trends", "week_has_days", {"days_7d": 8}),
    ("route_efficiency", "has_shipments", {"shipments": 0, "cost_rank": 1}),
    ("route_efficiency", "delay_rate_is_share", {"shipments": 1, "delay_rate": 1.5, "cost_rank": 1}),
    ("route_efficiency", "is_ranked", {"shipments": 1}),
    ("warehouse_demand", "hour_of_day", {"hour": 24, "days_7d": 1}),
    ("warehouse_demand", "shipments_are_counted", {"shipments": None, "days_7d": 1}),
    ("warehouse_demand", "week_has_days", {"days_7d": 0}),
    (QUARANTINE, "breaks_a_rule", {}),
]
DDLS = {**{table.name: table.ddl for table in TABLES}, QUARANTINE: QUARANTINE_DDL}
NOTHING = {
    "date": FIRST,
    "long": 0,
    "integer": 0,
    "decimal": 0,
    "double": 0.0,
    "array": [],
}  # by type; None for all others
CHECKS_OF = {**{table.name: table.checks for table in TABLES}, QUARANTINE: QUARANTINE_CHECKS}


def test_every_constraint_is_broken_once():
    assert [(table, name) for table, name, _ in BROKEN] == [
        (table, name) for table, checks in CHECKS_OF.items() for name in checks
    ]


@pytest.mark.parametrize(("table", "name", "values"), BROKEN)
def test_a_row_breaks_one_constraint(spark, table, name, values):
    checks = row(spark, table, values).selectExpr(
        *(f"{condition} AS {check}" for check, condition in CHECKS_OF[table].items())
    )
    assert {check for check, holds in checks.first().asDict().items() if holds is not True} == {name}


@pytest.mark.parametrize("table", DDLS)
def test_a_row_that_breaks_a_constraint_is_refused(spark, tmp_path, table):
    uri = (tmp_path / "table").as_uri()
    name, values = next((name, values) for broken, name, values in BROKEN if broken == table)
    with pytest.raises((Py4JJavaError, AnalysisException), match=rf"CHECK constraint {name} "):
        replace_day(row(spark, table, values), uri, FIRST, CHECKS_OF[table])
    assert read_days(spark, uri, FIRST, SECOND) == []


def test_a_table_keeps_its_constraints(spark, tmp_path):
    uri = (tmp_path / "table").as_uri()
    replace_day(frame(spark, FIRST, 1), uri, FIRST, CHECKS)
    with pytest.raises((Py4JJavaError, AnalysisException), match="CHECK constraint counted "):
        frame(spark, SECOND, -1).write.format("delta").mode("append").save(uri)
    assert stored(spark, uri) == {FIRST: 1}


def row(spark, table, values):
    """A row of the table with these values, and nothing else that counts."""
    schema = spark.createDataFrame([], DDLS[table]).schema
    given = ((field, values.get(field.name, NOTHING.get(field.dataType.typeName()))) for field in schema)
    of_type = (Decimal(value) if field.dataType.typeName() == "decimal" else value for field, value in given)
    return spark.createDataFrame([tuple(of_type)], schema)
