"""Which days there are, and whether each is as a finished run leaves it: raw data, quarantine and tables, counted."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from drydock.day import run_command
from drydock.read_back import QUARANTINE, TABLES, Row, reading, rows_of, rows_of_raw_days
from drydock.site import Site

_COUNTED = "SELECT ship_date, sum(shipments) AS count FROM {table} WHERE {days} GROUP BY ship_date"
_QUARANTINED = "SELECT ship_date, count(*) AS count FROM quarantine WHERE {days} GROUP BY ship_date"
_TRENDS = """
SELECT ship_date, shipments, total_cost, days_7d, shipments_7d_mean, total_cost_7d_mean FROM daily_trends WHERE {days}
"""
REACH = timedelta(days=6)
"""How far a day's measures look back (docs/data.md)."""


@dataclass(frozen=True)
class Day:
    """A day of which there is anything: raw rows (None without raw data), the quarantine's rows, and the shipments that
    each table counts that has a row of the day."""

    date: date
    raw: int | None
    quarantined: int
    shipments: Mapping[str, int]
    is_stale: bool = False  # its measures that look back do not say what the days before it are now

    @property
    def accepted(self) -> int | None:
        """The shipments that the tables count, the most of them if they disagree; None when none has the day."""
        return max(self.shipments.values(), default=None)

    @property
    def processed(self) -> int:
        """The rows that were accepted or quarantined."""
        return (self.accepted or 0) + self.quarantined

    @property
    def problem(self) -> str | None:
        """What is not as a finished run leaves it, as a phrase; None when all is well."""
        if not self.quarantined and not self.shipments:
            return "generated, not processed yet"
        if len({self.shipments.get(name, 0) for name in TABLES}) > 1:
            told = ", ".join(f"{name} {self.shipments.get(name, 'none')}" for name in TABLES)
            return f"the tables count different numbers of shipments: {told}"
        if self.raw not in (None, self.processed):
            return f"of {self.raw:,} raw rows {self.processed:,} were processed"
        if self.is_stale:
            return "its measures that look back are stale: a day before it has changed since"
        return None

    @property
    def is_incomplete(self) -> bool:
        """Whether more is wrong with it than that it looks back at what is different now."""
        return replace(self, is_stale=False).problem is not None

    @property
    def run_again(self) -> str:
        """The command that runs the day as it was run."""
        return run_command(self.date, self.raw)


class Tables:
    """The Delta tables under a URI, each at the version that it had when this was made."""

    def __init__(self, uri: str, storage_options: Mapping[str, str]) -> None:
        self._query, self._missing = QueryBuilder(), set[str]()
        for name in (*TABLES, QUARANTINE):
            try:
                table = DeltaTable(f"{uri}/{name}", storage_options=dict(storage_options))
            except TableNotFoundError:
                self._missing.add(name)
            else:
                self._query.register("quarantine" if name == QUARANTINE else name, table)

    def rows(self, table: str, sql: str) -> list[Row]:
        """What the query answers, which is of that table; nothing without the table."""
        if table in self._missing:
            return []
        return rows_of(self._query, sql)


def read(where: Site, first: date, last: date) -> dict[date, Day]:
    """The days from `first` to `last`, both included, of which the platform holds anything.

    Raises RunFailed or ServiceFailed when nobody answers.
    """
    platform = where.platform_config()
    with reading(where, "The days"):
        tables = Tables(platform["output_uri"], where.account.storage_options())
        raw_rows = rows_of_raw_days(where.account.client("s3"), platform["source_uri"], first, last)
        return {day.date: day for day in read_days(tables, raw_rows, first, last)}


def between(first: date, last: date) -> str:
    """The condition, for days of the command line or the calendar's ends."""
    return f"ship_date BETWEEN DATE '{first}' AND DATE '{last}'"


def read_days(tables: Tables, raw_rows: Mapping[date, int], first: date = date.min, last: date = date.max) -> list[Day]:
    """The days from `first` to `last`, both included, of which there is anything. `raw_rows`: of each raw day."""
    days = between(first, last)
    counted = {name: _by_day(tables.rows(name, _COUNTED.format(table=name, days=days))) for name in TABLES}
    quarantined = _by_day(tables.rows(QUARANTINE, _QUARANTINED.format(days=days)))
    raw = {day: rows for day, rows in raw_rows.items() if first <= day <= last}
    stale = _stale(tables, first, last)
    known = {*raw, *quarantined, *(day for counts in counted.values() for day in counts)}
    return [
        Day(
            date=day,
            raw=raw.get(day),
            quarantined=quarantined.get(day, 0),
            shipments={name: counts[day] for name, counts in counted.items() if day in counts},
            is_stale=day in stale,
        )
        for day in sorted(known)
    ]


def _stale(tables: Tables, first: date, last: date) -> set[date]:
    """The days whose 7-day means are not those of the days that there are now."""
    reached = date.fromordinal(max(1, first.toordinal() - REACH.days))
    rows = {row["ship_date"]: row for row in tables.rows("daily_trends", _TRENDS.format(days=between(reached, last)))}
    stale = set()
    for day, row in rows.items():
        if day < first:
            continue
        week = [rows[each] for each in rows if day - REACH <= each <= day]
        means = [sum(each[name] for each in week) / len(week) for name in ("shipments", "total_cost")]
        stored = [row["shipments_7d_mean"], row["total_cost_7d_mean"]]
        if row["days_7d"] != len(week) or not all(map(_is_close, means, stored)):
            stale.add(day)
    return stale


def _is_close(one: Any, other: Any) -> bool:
    return math.isclose(float(one), float(other), rel_tol=1e-9)


def _by_day(counts: Iterable[Row]) -> dict[date, int]:
    return {row["ship_date"]: row["count"] for row in counts}
