"""carrier_monthly, on a local Spark. `spark` is a session that tests/spark/conftest.py opens once for all tests."""

import datetime as dt

import carrier_monthly
import pytest

NOVEMBER, DECEMBER = dt.date(2026, 11, 1), dt.date(2026, 12, 1)
COLUMNS = (
    "ship_date date, carrier string, service_level string, shipments long, delivered long, on_time long, lost long"
)


@pytest.fixture
def daily(spark):
    return spark.createDataFrame(
        [
            (dt.date(2026, 10, 31), "Alpha", "ground", 500, 500, 500, 0),
            (dt.date(2026, 11, 1), "Alpha", "ground", 10, 8, 6, 1),
            (dt.date(2026, 11, 1), "Alpha", "express", 5, 2, 2, 0),
            (dt.date(2026, 11, 30), "Alpha", "ground", 20, 10, 7, 2),
            (dt.date(2026, 11, 30), "Beta", "ground", 3, 0, 0, 3),
            (dt.date(2026, 12, 1), "Beta", "ground", 9, 9, 9, 0),
        ],
        COLUMNS,
    )


def test_the_days_of_a_month_are_added_up(daily):
    rows = [tuple(row) for row in carrier_monthly.carrier_monthly(daily, NOVEMBER).orderBy("carrier").collect()]
    assert rows == [
        ("2026-11", "Alpha", 2, 35, 20, 15, 3, 0.75),
        ("2026-11", "Beta", 1, 3, 0, 0, 3, None),
    ]


def test_a_month_is_replaced_and_no_other(spark, daily, tmp_path):
    table = f"file://{tmp_path}/carrier_monthly"
    november = carrier_monthly.carrier_monthly(daily, NOVEMBER)
    carrier_monthly.replace_month(november, table, NOVEMBER)
    carrier_monthly.replace_month(carrier_monthly.carrier_monthly(daily, DECEMBER), table, DECEMBER)
    carrier_monthly.replace_month(november.where("carrier = 'Beta'"), table, NOVEMBER)
    found = spark.read.format("delta").load(table).orderBy("month").select("month", "carrier", "shipments").collect()
    assert [tuple(row) for row in found] == [("2026-11", "Beta", 3), ("2026-12", "Beta", 9)]
