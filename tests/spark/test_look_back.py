"""Changes, 7-day means and stale days, against figures worked out by hand."""

import datetime as dt
from decimal import Decimal

import pytest

from shipments.look_back import LOOK_BACKS, looking_back, stale_days

DAY = dt.date(2026, 3, 10)
DAILY, DEMAND = LOOK_BACKS


def before(days):
    return DAY - dt.timedelta(days=days)


def daily(*days):
    """Rows of `daily_trends` without what looks back: (date, shipments, delivered, on_time)."""
    return [
        {
            "ship_date": date, "shipments": n, "delivered": delivered, "on_time": on_time,
            "weight_kg": Decimal(2 * n), "total_cost": Decimal(10 * n),
            "on_time_rate": on_time / delivered if delivered else None,
        }
        for date, n, delivered, on_time in days
    ]  # fmt: skip


def trend_of(*others):
    (row,) = looking_back(DAILY, daily((DAY, 120, 100, 90)), daily(*others))
    return row


def stored(days):
    """The rows as they were stored when they were processed one after the other."""
    rows = []
    for day in days:
        rows += looking_back(DAILY, daily(day), rows)
    return rows


def test_the_change_is_against_the_day_before():
    row = trend_of((before(1), 100, 80, 60), (before(2), 7, 7, 7))
    assert row["shipments_change"] == 20
    assert row["weight_kg_change"] == Decimal(40)
    assert row["total_cost_change"] == Decimal(200)
    assert row["on_time_rate_change"] == pytest.approx(0.15)
    assert row["shipments_change_rate"] == pytest.approx(0.2)
    assert row["total_cost_change_rate"] == pytest.approx(0.2)


def test_without_a_day_before_there_is_no_change():
    row = trend_of((before(2), 100, 80, 60))
    assert {name: row[name] for name in row if "change" in name} == dict.fromkeys(
        ["shipments_change", "weight_kg_change", "total_cost_change", "on_time_rate_change",
         "shipments_change_rate", "total_cost_change_rate"]
    )  # fmt: skip


def test_the_rate_of_a_day_on_which_nothing_was_delivered_changes_nothing():
    row = trend_of((before(1), 0, 0, 0))
    assert row["shipments_change"] == 120
    assert row["on_time_rate_change"] is None
    assert row["shipments_change_rate"] is None


def test_means_are_of_the_days_that_exist_among_seven():
    row = trend_of((before(7), 9_999, 9, 9), (before(6), 60, 50, 30), (before(2), 0, 0, 0))
    assert row["days_7d"] == 3
    assert row["shipments_7d_mean"] == 60.0  # (120 + 60 + 0) / 3
    assert row["weight_kg_7d_mean"] == 120.0
    assert row["total_cost_7d_mean"] == 600.0
    assert row["on_time_rate_7d"] == pytest.approx(120 / 150)


def test_the_first_day_of_all_looks_back_at_itself():
    row = trend_of()
    assert (row["days_7d"], row["shipments_7d_mean"], row["shipments_change"]) == (1, 120.0, None)


@pytest.mark.parametrize(
    ("date", "day_before"),
    [(dt.date(2028, 3, 1), dt.date(2028, 2, 29)), (dt.date(2027, 3, 1), dt.date(2027, 2, 28)),
     (dt.date(2028, 1, 1), dt.date(2027, 12, 31))],
)  # fmt: skip
def test_the_day_before_is_the_calendars(date, day_before):
    (row,) = looking_back(DAILY, daily((date, 120, 100, 90)), daily((day_before, 100, 80, 60)))
    assert (row["shipments_change"], row["days_7d"]) == (20, 2)


def test_later_days_are_not_looked_at():
    assert trend_of((before(-1), 5, 5, 5)) == trend_of()


def test_the_mean_of_an_hour_is_of_the_same_warehouse_and_hour():
    names = ("ship_date", "warehouse_id", "hour", "shipments")
    others = [(before(1), "A", 8, 10), (before(1), "A", 9, 99), (before(1), "B", 8, 99)]
    today = [dict(zip(names, (DAY, "A", 8, 20), strict=True))]
    (row,) = looking_back(DEMAND, today, [dict(zip(names, other, strict=True)) for other in others])
    assert (row["days_7d"], row["shipments_7d_mean"]) == (2, 15.0)


def test_the_columns_are_those_declared():
    for look_back in LOOK_BACKS:
        row = dict.fromkeys(look_back.table.columns, 1) | {"ship_date": DAY}
        own = [name for name in row if name not in look_back.measures([row], None)]
        assert list(looking_back(look_back, [{name: row[name] for name in own}], [])[0]) == list(row)


def test_later_days_are_stale_when_their_measures_would_change():
    after = [before(-days) for days in range(1, 9)]
    assert stale_days(DAILY, daily((DAY, 120, 100, 90)), stored([(date, 50, 40, 30) for date in after])) == after[:6]


def test_no_day_is_stale_when_nothing_changed():
    others = [
        row for row in stored([(before(-offset), 50, 40, 30) for offset in range(-3, 4)]) if row["ship_date"] != DAY
    ]
    assert stale_days(DAILY, daily((DAY, 50, 40, 30)), others) == []
