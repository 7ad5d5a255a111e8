"""The tables of a handful of shipments, against figures worked out by hand."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from shipments import tables
from shipments.grouping import grouped, measured, percentile
from shipments.processing import day_total
from shipments.raw_block import in_units
from shipments.schema import RAW_SCHEMA

DAY = dt.date(2026, 3, 10)
EIGHT = dt.datetime(2026, 3, 10, 8, 30, tzinfo=dt.UTC)
PROMISED = EIGHT + dt.timedelta(hours=48)


def shipment(number, *, carrier="Atlas Parcel", status="delivered", hours=None, total, kg="2.000", km="100.0",
             warehouse="WH-ATL-01", to="FL", shipped=EIGHT, base="8.00", fuel="1.00", items=1):  # fmt: skip
    """A row of `RAW_COLUMNS`, delivered after `hours`."""
    delivered = None if hours is None else shipped + dt.timedelta(hours=hours)
    insurance = Decimal(total) - Decimal(base) - Decimal(fuel)
    return (
        f"S{number}", "O", "C", "Ann", carrier, "ground", status, warehouse, "Atlanta", "GA", "Miami", to, "33101",
        shipped, PROMISED, delivered, Decimal(km), Decimal(kg), Decimal("0.0100"), items,
        Decimal(base), Decimal(fuel), insurance, Decimal(total), "USD",
    )  # fmt: skip


SHIPMENTS = [
    shipment(1, hours=10, total="10.00", km="100.0"),
    shipment(2, hours=20, total="20.00", km="300.0", shipped=EIGHT + dt.timedelta(hours=3)),
    shipment(3, hours=60, total="30.00", km="200.0", kg="4.000"),  # late
    shipment(4, status="delayed", total="40.00", km="400.0"),
    shipment(5, status="lost", total="9.00", km="100.0"),
    shipment(6, carrier="Swift Courier", status="in_transit", total="12.00", km="120.0", to="NY", items=5),
    shipment(7, carrier="Swift Courier", status="returned", total="50.00", km="500.0", to="NY", warehouse="WH-SEA-01"),
]


def rows(table, *key, of=SHIPMENTS):
    """The table's rows of these shipments, which come in two blocks, by the key columns."""
    groups = {}
    for part in (of[:3], of[3:]):
        block = in_units(
            pa.Table.from_pylist([dict(zip(RAW_SCHEMA.names, row, strict=True)) for row in part], RAW_SCHEMA)
        )
        for place, group in grouped(measured(block), table.grouping):
            groups[place] = groups[place] + group if place in groups else group
    made = table.rows({place: day_total(table, group) for place, group in groups.items()}, DAY)
    return {tuple(row[name] for name in key): row for row in made}


def test_carrier_performance():
    table = rows(tables.CARRIER_PERFORMANCE, "carrier")
    atlas, swift = table[("Atlas Parcel",)], table[("Swift Courier",)]
    assert atlas == {
        "ship_date": DAY, "carrier": "Atlas Parcel", "service_level": "ground",
        "shipments": 5, "delivered": 3, "on_time": 2, "delayed": 1, "lost": 1, "returned": 0, "in_transit": 0,
        "on_time_rate": pytest.approx(2 / 3),
        "mean_transit_hours": 30.0,  # of 10, 20, 60
        "p50_transit_hours": 20.0,
        "p95_transit_hours": pytest.approx(56.0),  # nine tenths of the way from 20 to 60
        "weight_kg": Decimal("12.000"), "total_cost": Decimal("109.00"),
        "cost_per_kg": pytest.approx(109 / 12),
    }  # fmt: skip
    assert (swift["shipments"], swift["delivered"], swift["returned"], swift["in_transit"]) == (2, 0, 1, 1)
    assert swift["on_time_rate"] is None
    assert swift["mean_transit_hours"] is None
    assert swift["p50_transit_hours"] is None


def test_cost_analysis():
    table = rows(tables.COST_ANALYSIS, "carrier", "origin_state")
    assert table["Atlas Parcel", "GA"] == {
        "ship_date": DAY, "carrier": "Atlas Parcel", "service_level": "ground", "origin_state": "GA",
        "shipments": 5,
        "base_cost": Decimal("40.00"), "fuel_surcharge": Decimal("5.00"), "insurance_cost": Decimal("64.00"),
        "total_cost": Decimal("109.00"),
        "mean_cost": pytest.approx(21.8),
        "p95_cost": pytest.approx(38.0),  # of 9, 10, 20, 30, 40: eight tenths of the way from 30 to 40
        "cost_per_kg": pytest.approx(109 / 12),
        "cost_per_km": pytest.approx(109 / 1100),
        "surcharge_share": pytest.approx(5 / 109),
    }  # fmt: skip


def test_daily_trends():
    assert rows(tables.DAILY_TRENDS) == {
        (): {
            "ship_date": DAY, "shipments": 7, "delivered": 3, "on_time": 2,
            "weight_kg": Decimal("16.000"), "total_cost": Decimal("171.00"), "on_time_rate": pytest.approx(2 / 3),
        }
    }  # fmt: skip


def test_a_day_without_shipments_has_a_row():
    assert rows(tables.DAILY_TRENDS, of=[]) == {
        (): {
            "ship_date": DAY, "shipments": 0, "delivered": 0, "on_time": 0,
            "weight_kg": Decimal(0), "total_cost": Decimal(0), "on_time_rate": None,
        }
    }  # fmt: skip
    demand = rows(tables.WAREHOUSE_DEMAND, "warehouse_id", "hour", of=[])
    assert len(demand) == 12 * 24
    assert {(row["shipments"], row["day_share"], row["is_peak"]) for row in demand.values()} == {(0, None, False)}


def test_route_efficiency():
    table = rows(tables.ROUTE_EFFICIENCY, "origin_state", "destination_state")
    assert table["GA", "FL"] == {
        "ship_date": DAY, "origin_state": "GA", "destination_state": "FL", "shipments": 5,
        "mean_distance_km": 220.0,
        "km_per_hour": pytest.approx(600 / 90),  # of the three that were delivered
        "cost_per_km": pytest.approx(109 / 1100),
        "p95_transit_hours": pytest.approx(56.0),
        "delay_rate": pytest.approx(2 / 5),
        "cost_rank": 1,
    }  # fmt: skip
    assert table["GA", "NY"]["km_per_hour"] is None
    assert table["GA", "NY"]["cost_rank"] == 2


def test_routes_that_cost_the_same_are_ranked_by_name():
    same = [shipment(n, total="10.00", km="100.0", to=state, hours=1) for n, state in enumerate(("TX", "AZ", "NY"))]
    table = rows(tables.ROUTE_EFFICIENCY, "destination_state", of=same)
    assert {key: row["cost_rank"] for (key,), row in table.items()} == {"AZ": 1, "NY": 2, "TX": 3}


def test_warehouse_demand():
    table = rows(tables.WAREHOUSE_DEMAND, "warehouse_id", "hour")
    assert len(table) == 12 * 24
    assert table["WH-ATL-01", 8] == {
        "ship_date": DAY, "warehouse_id": "WH-ATL-01", "hour": 8, "shipments": 5, "items": 9,
        "weight_kg": Decimal("12.000"), "volume_m3": Decimal("0.0500"),
        "day_share": pytest.approx(5 / 6), "is_peak": True,
    }  # fmt: skip
    assert table["WH-ATL-01", 11]["shipments"] == 1
    assert table["WH-ATL-01", 11]["is_peak"] is False
    assert table["WH-ATL-01", 0]["shipments"] == 0
    assert table["WH-SEA-01", 8]["is_peak"] is True
    assert not any(table["WH-CHI-01", hour]["is_peak"] for hour in range(24))


def test_of_equal_hours_the_earliest_is_the_peak():
    equal = [shipment(n, total="10.00", shipped=EIGHT + dt.timedelta(hours=h)) for n, h in enumerate((5, 2, 5, 2))]
    table = rows(tables.WAREHOUSE_DEMAND, "warehouse_id", "hour", of=equal)
    assert [place for place, row in table.items() if row["is_peak"]] == [("WH-ATL-01", 10)]


def test_columns_are_those_declared():
    for table in tables.TABLES:
        made = rows(table).popitem()[1]
        assert list(made) == list(table.columns)[: len(made)]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.95, 7.0), ([10, 20], 0.5, 15.0), ([1, 2, 3, 4, 5], 0.5, 3.0), ([0, 100], 1.0, 100.0)],
)
def test_percentiles_lie_between_two_values_in_proportion(values, share, expected):
    assert percentile(np.array(values, np.int64), share) == expected


def test_what_is_missing_is_a_group_of_its_own():
    """Of the keys that no rule asks for, any can be missing."""
    nowhere = shipment(1, total="10.00", to=None, hours=1)
    assert rows(tables.ROUTE_EFFICIENCY, "destination_state", of=[nowhere])[(None,)]["shipments"] == 1
