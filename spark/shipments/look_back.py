"""Measures that look back: the change against the day before, and 7-day means over the days that exist.

They depend on other days' rows, so an earlier day that is run anew can leave later ones stale. Whether it did is not
remembered but computed: a day is stale when the measures stored with it are not those that the stored days give now.
A day *exists* when the table has rows of it.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shipments.grouping import Key
from shipments.tables import DAILY_TRENDS, WAREHOUSE_DEMAND, Row, Table, ratio

WINDOW_DAYS = 7
REACH = dt.timedelta(days=WINDOW_DAYS - 1)  # how far a day's measures look, and are looked at

_CHANGES = ("shipments", "weight_kg", "total_cost", "on_time_rate")


@dataclass(frozen=True)
class LookBack:
    """How a table looks back: `measures(week, before)` are those of the week's last row, from the week's rows of one
    place of the grain, in order, and the row of the day before (None without it)."""

    table: Table
    measures: Callable[[Sequence[Row], Row | None], Row]


def daily_trend(week: Sequence[Row], before: Row | None) -> Row:
    """Changes against the day before, and the means of the week."""
    today = week[-1]
    change = {name: None if before is None else _less(today[name], before[name]) for name in _CHANGES}
    return {
        **{f"{name}_change": change[name] for name in _CHANGES},
        **{
            f"{name}_change_rate": None if before is None else ratio(today[name] - before[name], before[name])
            for name in ("shipments", "total_cost")
        },
        "days_7d": len(week),
        **{f"{name}_7d_mean": _mean(week, name) for name in ("shipments", "weight_kg", "total_cost")},
        "on_time_rate_7d": ratio(sum(day["on_time"] for day in week), sum(day["delivered"] for day in week)),
    }


def demand_trend(week: Sequence[Row], before: Row | None) -> Row:
    """The mean of the week."""
    return {"days_7d": len(week), "shipments_7d_mean": _mean(week, "shipments")}


LOOK_BACKS = (LookBack(DAILY_TRENDS, daily_trend), LookBack(WAREHOUSE_DEMAND, demand_trend))


def look_back_of(table: Table) -> LookBack | None:
    """How the table looks back, if it does."""
    return next((look_back for look_back in LOOK_BACKS if look_back.table is table), None)


def looking_back(look_back: LookBack, rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """`rows` with their look-back measures, by themselves and the rows of `others`, which are of other days."""
    by_place = _by_place(look_back, [*others, *rows])
    return [{**row, **_measures(look_back, row, by_place)} for row in rows]


def stale_days(look_back: LookBack, today: Sequence[Row], others: Sequence[Row]) -> list[dt.date]:
    """The later days of `others`, in order, whose measures are not those that they get with `today`'s rows (one day's,
    at least one)."""
    by_place = _by_place(look_back, [*others, *today])
    date = today[0]["ship_date"]
    return sorted(
        {
            row["ship_date"]
            for row in others
            if row["ship_date"] > date
            and any(row[name] != value for name, value in _measures(look_back, row, by_place).items())
        }
    )


def _by_place(look_back: LookBack, rows: Iterable[Row]) -> Mapping[Key, Mapping[dt.date, Row]]:
    """Place in the grain → day → row."""
    places: dict[Key, dict[dt.date, Row]] = {}
    for row in rows:
        places.setdefault(_place(look_back, row), {})[row["ship_date"]] = row
    return places


def _measures(look_back: LookBack, row: Row, by_place: Mapping[Key, Mapping[dt.date, Row]]) -> Row:
    days, date = by_place[_place(look_back, row)], row["ship_date"]
    week = [date - dt.timedelta(days=back) for back in range(WINDOW_DAYS - 1, -1, -1)]
    return look_back.measures([days[day] for day in week if day in days], days.get(date - dt.timedelta(days=1)))


def _place(look_back: LookBack, row: Row) -> Key:
    return tuple(row[name] for name in look_back.table.grain)


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _mean(rows: Sequence[Row], name: str) -> float | None:
    return ratio(sum(row[name] for row in rows), len(rows))
