"""Changes, 7-day means and stale days, against figures worked out by hand."""

import datetime as dt
from decimal import Decimal

import pytest

from shipments.look_back import LOOK_BACKS, looking_back, stale_days

DAY = dt.date(2026, 3, 10)
DAILY, DEMAND = LOOK_BACKS
DAILY_DDL = """ship_date date, shipments long, delivered long, on_time long, weight_kg decimal(18,3),
               total_cost decimal(18,2), on_time_rate double"""


def before(days):
    return DAY - dt.timedelta(days=days)


def daily(spark, *days):
    """Base rows of `daily_trends`: (date, shipments, delivered, on_time)."""
    made = [
        (date, n, delivered, on_time, Decimal(2 * n), Decimal(10 * n), on_time / delivered if delivered else None)
        for date, n, delivered, on_time in days
    ]
    return spark.createDataFrame(made, DAILY_DDL)


def trend_of(spark, *days):
    (row,) = looking_back(DAILY, daily(spark, (DAY, 120, 100, 90)), DAILY.add(daily(spark, *days)), DAY).collect()
    return row.asDict()


def test_the_change_is_against_the_day_before(spark):
    row = trend_of(spark, (before(1), 100, 80, 60), (before(2), 7, 7, 7))
    assert row["shipments_change"] == 20
    assert row["weight_kg_change"] == Decimal(40)
    assert row["total_cost_change"] == Decimal(200)
    assert row["on_time_rate_change"] == pytest.approx(0.15)
    assert row["shipments_change_rate"] == pytest.approx(0.2)
    assert row["total_cost_change_rate"] == pytest.approx(0.2)


def test_without_a_day_before_there_is_no_change(spark):
    row = trend_of(spark, (before(2), 100, 80, 60))
    assert {name: row[name] for name in row if "change" in name} == dict.fromkeys(
        ["shipments_change", "weight_kg_change", "total_cost_change", "on_time_rate_change",
         "shipments_change_rate", "total_cost_change_rate"]
    )  # fmt: skip


def test_means_are_of_the_days_that_exist_among_seven(spark):
    row = trend_of(spark, (before(7), 9_999, 9, 9), (before(6), 60, 50, 30), (before(2), 0, 0, 0))
    assert row["days_7d"] == 3
    assert row["shipments_7d_mean"] == 60.0  # (120 + 60 + 0) / 3
    assert row["weight_kg_7d_mean"] == 120.0
    assert row["total_cost_7d_mean"] == 600.0
    assert row["on_time_rate_7d"] == pytest.approx(120 / 150)


def test_the_first_day_of_all_looks_back_at_itself(spark):
    (row,) = looking_back(DAILY, daily(spark, (DAY, 120, 100, 90)), None, DAY).collect()
    assert (row.days_7d, row.shipments_7d_mean, row.shipments_change) == (1, 120.0, None)


def test_the_mean_of_an_hour_is_of_the_same_warehouse_and_hour(spark):
    ddl = "ship_date date, warehouse_id string, hour int, shipments long"
    stored = spark.createDataFrame([(before(1), "A", 8, 10), (before(1), "A", 9, 99), (before(1), "B", 8, 99)], ddl)
    today = spark.createDataFrame([(DAY, "A", 8, 20)], ddl)
    (row,) = looking_back(DEMAND, today, DEMAND.add(stored), DAY).collect()
    assert (row.days_7d, row.shipments_7d_mean) == (2, 15.0)


def test_later_days_are_stale_when_their_measures_would_change(spark):
    after = [before(-days) for days in range(1, 9)]
    stored = DAILY.add(daily(spark, *((date, 50, 40, 30) for date in after))).persist()
    assert stale_days(DAILY, daily(spark, (DAY, 120, 100, 90)), stored, DAY) == after[:6]


def test_no_day_is_stale_when_nothing_changed(spark):
    days = [(before(-offset), 50, 40, 30) for offset in range(-3, 4)]
    stored = DAILY.add(daily(spark, *days)).persist()
    assert stale_days(DAILY, daily(spark, (DAY, 50, 40, 30)), stored, DAY) == []
