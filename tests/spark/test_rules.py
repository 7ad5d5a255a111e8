"""The rules, on rows written by hand: each alone, several on a row, and values that are not there."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from shipments.raw_block import in_units
from shipments.rules import NEEDED, RULES, broken, names
from shipments.schema import RAW_SCHEMA

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
INTACT = {
    "carrier": "Atlas Parcel", "warehouse_id": "WH-ATL-01",
    "ship_ts": NOON, "delivered_ts": NOON + dt.timedelta(days=2),
    "weight_kg": Decimal("2.000"), "base_cost": Decimal("8.00"), "fuel_surcharge": Decimal("1.00"),
    "insurance_cost": Decimal("0.50"), "total_cost": Decimal("9.50"),
}  # fmt: skip


def broken_rules(*rows, later_copies=()):
    """The rules broken by each of some rows; a row is given by how it differs from `INTACT`."""
    schema = pa.schema([RAW_SCHEMA.field(name) for name in INTACT])
    table = pa.Table.from_pylist([INTACT | row for row in rows], schema)
    found = broken(in_units(table), np.array(later_copies, np.int64))
    return [names(row) for row in found]


@pytest.mark.parametrize(
    ("difference", "rule"),
    [
        ({"carrier": None}, "missing_carrier"),
        ({"carrier": "  "}, "missing_carrier"),
        ({"weight_kg": Decimal("-0.001")}, "negative_weight"),
        ({"weight_kg": None}, "negative_weight"),
        ({"delivered_ts": NOON - dt.timedelta(microseconds=1)}, "delivered_before_shipped"),
        ({"warehouse_id": "WH-XXX-00"}, "unknown_warehouse"),
        ({"warehouse_id": None}, "unknown_warehouse"),
        ({"total_cost": Decimal("9.51")}, "total_mismatch"),
        ({"base_cost": None}, "total_mismatch"),
        ({"total_cost": None}, "total_mismatch"),
    ],
)
def test_a_row_breaks_a_rule(difference, rule):
    assert broken_rules({}, difference) == [[], [rule]]


def test_the_edges_are_intact():
    rows = [{"weight_kg": Decimal(0)}, {"delivered_ts": NOON}, {"delivered_ts": None}, {"ship_ts": None}]
    assert broken_rules(*rows) == [[], [], [], []]


def test_a_later_copy_is_a_duplicate():
    assert broken_rules({}, {}, {}, later_copies=[1]) == [[], ["duplicate_id"], []]


def test_rules_broken_together_are_sorted():
    everything = {
        "carrier": None, "weight_kg": Decimal(-1), "warehouse_id": "nowhere", "total_cost": Decimal(0),
        "delivered_ts": NOON - dt.timedelta(days=1),
    }  # fmt: skip
    assert broken_rules({}, everything, later_copies=[1]) == [
        [],
        ["delivered_before_shipped", "duplicate_id", "missing_carrier", "negative_weight", "total_mismatch",
         "unknown_warehouse"],
    ]  # fmt: skip


def test_no_rows_break_no_rule():
    assert broken_rules() == []


def test_rules_are_declared_in_order():
    assert [rule.name for rule in RULES] == sorted(rule.name for rule in RULES)


def test_they_look_at_no_further_column():
    assert set(NEEDED) == set(INTACT)
