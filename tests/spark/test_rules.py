"""The rules, on rows written by hand: each alone, several on a row, and values that are not there."""

import datetime as dt
from decimal import Decimal

import pytest

from shipments.rules import RULES, with_broken_rules
from shipments.schema import RAW_DDL

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
INTACT = {
    "shipment_id": "S1", "order_id": "O1", "customer_id": "C1", "customer_name": "Ann", "carrier": "Atlas Parcel",
    "service_level": "ground", "status": "delivered", "warehouse_id": "WH-ATL-01", "origin_city": "Atlanta",
    "origin_state": "GA", "destination_city": "Miami", "destination_state": "FL", "destination_postcode": "33101",
    "ship_ts": NOON, "promised_ts": NOON + dt.timedelta(days=3), "delivered_ts": NOON + dt.timedelta(days=2),
    "distance_km": Decimal("1000.0"), "weight_kg": Decimal("2.000"), "volume_m3": Decimal("0.0100"), "items": 1,
    "base_cost": Decimal("8.00"), "fuel_surcharge": Decimal("1.00"), "insurance_cost": Decimal("0.50"),
    "total_cost": Decimal("9.50"), "currency": "USD", "block": 0, "row": 0,
}  # fmt: skip


@pytest.fixture
def broken_rules(spark):
    """The rules broken by each of some rows, in the rows' order; a row is given by how it differs from `INTACT`."""

    def check(*rows):
        numbered = [INTACT | {"shipment_id": f"S{number}", "row": number} | row for number, row in enumerate(rows)]
        raw = spark.createDataFrame([tuple(row.values()) for row in numbered], f"{RAW_DDL}, block int, row long")
        found = {(row.block, row.row): row.broken_rules for row in with_broken_rules(raw).collect()}
        assert len(found) == len(rows)
        return [found[row["block"], row["row"]] for row in numbered]

    return check


@pytest.mark.parametrize(
    ("difference", "rule"),
    [
        ({"carrier": None}, "missing_carrier"),
        ({"carrier": "  "}, "missing_carrier"),
        ({"weight_kg": Decimal("-0.001")}, "negative_weight"),
        ({"weight_kg": None}, "negative_weight"),
        ({"delivered_ts": NOON - dt.timedelta(seconds=1)}, "delivered_before_shipped"),
        ({"warehouse_id": "WH-XXX-00"}, "unknown_warehouse"),
        ({"warehouse_id": None}, "unknown_warehouse"),
        ({"total_cost": Decimal("9.51")}, "total_mismatch"),
        ({"base_cost": None}, "total_mismatch"),
        ({"total_cost": None}, "total_mismatch"),
    ],
)
def test_a_row_breaks_a_rule(broken_rules, difference, rule):
    assert broken_rules({}, difference) == [[], [rule]]


def test_the_edges_are_intact(broken_rules):
    rows = [{"weight_kg": Decimal(0)}, {"delivered_ts": NOON}, {"delivered_ts": None}]
    assert broken_rules(*rows) == [[], [], []]


def test_of_one_id_the_lowest_block_and_row_is_kept(broken_rules):
    rows = [
        {"shipment_id": "twice", "block": 2, "row": 0},
        {"shipment_id": "twice", "block": 1, "row": 9},
        {"shipment_id": "twice", "block": 1, "row": 7},
        {"shipment_id": None, "row": 1},
        {"shipment_id": None, "row": 2},
    ]
    assert broken_rules(*rows) == [["duplicate_id"], ["duplicate_id"], [], [], []]


def test_rules_broken_together_are_sorted(broken_rules):
    everything = {
        "shipment_id": "S0", "carrier": None, "weight_kg": Decimal(-1), "warehouse_id": "nowhere",
        "delivered_ts": NOON - dt.timedelta(days=1), "total_cost": Decimal(0),
    }  # fmt: skip
    assert broken_rules({}, everything) == [
        [],
        ["delivered_before_shipped", "duplicate_id", "missing_carrier", "negative_weight", "total_mismatch",
         "unknown_warehouse"],
    ]  # fmt: skip


def test_rules_are_declared_in_order():
    assert [rule.name for rule in RULES] == sorted(rule.name for rule in RULES)
