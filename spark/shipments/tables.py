"""The five tables of a day, each declared by its columns, by what it groups shipments by, and by how its rows come of
the groups.

Counts and sums are exact, and every ratio or mean is a double that comes of one division of exact sums: the same
shipments give the same figures to the last bit, in whatever order they are added. What a column means stands in
`docs/data.md`. Measures that look at other days are added by `look_back`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shipments.grouping import SECONDS_AN_HOUR, Grouping, Key
from shipments.network import WAREHOUSE_IDS

Row = dict[str, Any]


@dataclass(frozen=True)
class Totals:
    """A group of the whole day: its sums by name, and the percentiles of its spread by share, in the spread's unit."""

    sums: Mapping[str, int]
    percentiles: Mapping[float, float | None]

    def __getitem__(self, measure: str) -> int:
        return self.sums[measure]


@dataclass(frozen=True)
class Table:
    """A table: its name, its columns with their Spark SQL types, its grain beside `ship_date`, and how to make it.

    `rows(totals, date)` gives the rows of a date, with the columns that depend on that date alone. `checks` are the
    Delta constraints that the table is created with: whoever writes it, a row for which one is not true is refused.
    `percentiles` are the shares that it needs of its grouping's spread.
    """

    name: str
    columns: Mapping[str, str]
    grouping: Grouping
    rows: Callable[[Mapping[Key, Totals], dt.date], list[Row]]
    checks: Mapping[str, str]
    percentiles: tuple[float, ...] = ()

    @property
    def grain(self) -> tuple[str, ...]:
        return self.grouping.keys

    @property
    def ddl(self) -> str:
        return ", ".join(f"{name} {sql_type}" for name, sql_type in self.columns.items())


def carrier_performance(totals: Mapping[Key, Totals], date: dt.date) -> list[Row]:
    """How punctual, quick and dear each carrier's service levels were."""
    counts = ("shipments", "delivered", "on_time", "delayed", "lost", "returned", "in_transit")
    return [
        {
            "ship_date": date,
            "carrier": carrier,
            "service_level": service_level,
            **{name: of[name] for name in counts},
            "on_time_rate": ratio(of["on_time"], of["delivered"]),
            "mean_transit_hours": ratio(of["transit_s"], of["timed"] * SECONDS_AN_HOUR),
            "p50_transit_hours": _hours(of.percentiles[0.5]),
            "p95_transit_hours": _hours(of.percentiles[0.95]),
            "weight_kg": decimal(of["grams"], 3),
            "total_cost": decimal(of["total_cents"], 2),
            "cost_per_kg": _cost_per_kg(of),
        }
        for (carrier, service_level), of in totals.items()
    ]


def cost_analysis(totals: Mapping[Key, Totals], date: dt.date) -> list[Row]:
    """What each carrier's service levels cost, by the state they start from."""
    return [
        {
            "ship_date": date,
            "carrier": carrier,
            "service_level": service_level,
            "origin_state": origin_state,
            "shipments": of["shipments"],
            "base_cost": decimal(of["base_cents"], 2),
            "fuel_surcharge": decimal(of["fuel_cents"], 2),
            "insurance_cost": decimal(of["insurance_cents"], 2),
            "total_cost": decimal(of["total_cents"], 2),
            "mean_cost": ratio(of["total_cents"], of["shipments"] * 100),
            "p95_cost": _of(of.percentiles[0.95], 100),
            "cost_per_kg": _cost_per_kg(of),
            "cost_per_km": _cost_per_km(of),
            "surcharge_share": ratio(of["fuel_cents"], of["total_cents"]),
        }
        for (carrier, service_level, origin_state), of in totals.items()
    ]


def daily_trends(totals: Mapping[Key, Totals], date: dt.date) -> list[Row]:
    """The day in one row, which a day without shipments has too."""
    of = totals.get((), _nothing(DAILY_TRENDS))
    row = {
        "ship_date": date,
        "shipments": of["shipments"],
        "delivered": of["delivered"],
        "on_time": of["on_time"],
        "weight_kg": decimal(of["grams"], 3),
        "total_cost": decimal(of["total_cents"], 2),
        "on_time_rate": ratio(of["on_time"], of["delivered"]),
    }
    return [row]


def route_efficiency(totals: Mapping[Key, Totals], date: dt.date) -> list[Row]:
    """How quick, dear and reliable each pair of states is, ranked by cost per km."""
    rows = [
        {
            "ship_date": date,
            "origin_state": origin_state,
            "destination_state": destination_state,
            "shipments": of["shipments"],
            "mean_distance_km": ratio(of["tenths_km"], of["shipments"] * 10),
            "km_per_hour": ratio(of["timed_tenths_km"] * (SECONDS_AN_HOUR // 10), of["transit_s"]),
            "cost_per_km": _cost_per_km(of),
            "p95_transit_hours": _hours(of.percentiles[0.95]),
            "delay_rate": ratio(of["late"], of["shipments"]),
        }
        for (origin_state, destination_state), of in totals.items()
    ]

    def cheapest_first(row: Row) -> tuple[Any, ...]:
        cost, route = row["cost_per_km"], (row["origin_state"], row["destination_state"])
        return (cost is None, cost or 0.0, *((state is not None, state or "") for state in route))

    return [{**row, "cost_rank": rank} for rank, row in enumerate(sorted(rows, key=cheapest_first), start=1)]


def warehouse_demand(totals: Mapping[Key, Totals], date: dt.date) -> list[Row]:
    """The hours of each warehouse of the network: 24 rows each, those without shipments too."""
    rows, nothing = [], _nothing(WAREHOUSE_DEMAND)
    for warehouse_id in WAREHOUSE_IDS:
        hours = [totals.get((warehouse_id, hour), nothing) for hour in range(24)]
        shipments = [of["shipments"] for of in hours]
        of_day, peak = sum(shipments), shipments.index(max(shipments))
        rows += [
            {
                "ship_date": date,
                "warehouse_id": warehouse_id,
                "hour": hour,
                "shipments": of["shipments"],
                "items": of["items"],
                "weight_kg": decimal(of["grams"], 3),
                "volume_m3": decimal(of["volume_100_cm3"], 4),
                "day_share": ratio(of["shipments"], of_day),
                "is_peak": of["shipments"] > 0 and hour == peak,
            }
            for hour, of in enumerate(hours)
        ]
    return rows


CARRIER_PERFORMANCE = Table(
    "carrier_performance",
    {
        "ship_date": "date",
        "carrier": "string",
        "service_level": "string",
        "shipments": "bigint",
        "delivered": "bigint",
        "on_time": "bigint",
        "delayed": "bigint",
        "lost": "bigint",
        "returned": "bigint",
        "in_transit": "bigint",
        "on_time_rate": "double",
        "mean_transit_hours": "double",
        "p50_transit_hours": "double",
        "p95_transit_hours": "double",
        "weight_kg": "decimal(18,3)",
        "total_cost": "decimal(18,2)",
        "cost_per_kg": "double",
    },
    Grouping(
        keys=("carrier", "service_level"),
        sums=(
            *("shipments", "delivered", "on_time", "delayed", "lost", "returned", "in_transit"),
            *("timed", "transit_s", "grams", "total_cents"),
        ),
        spread="transit_s",
        spread_of="timed",
    ),
    carrier_performance,
    {
        "has_shipments": "shipments > 0",
        "one_status_at_most": "delivered + delayed + lost + returned + in_transit <= shipments",
        "on_time_is_delivered": "on_time BETWEEN 0 AND delivered",
    },
    percentiles=(0.5, 0.95),
)
COST_ANALYSIS = Table(
    "cost_analysis",
    {
        "ship_date": "date",
        "carrier": "string",
        "service_level": "string",
        "origin_state": "string",
        "shipments": "bigint",
        "base_cost": "decimal(18,2)",
        "fuel_surcharge": "decimal(18,2)",
        "insurance_cost": "decimal(18,2)",
        "total_cost": "decimal(18,2)",
        "mean_cost": "double",
        "p95_cost": "double",
        "cost_per_kg": "double",
        "cost_per_km": "double",
        "surcharge_share": "double",
    },
    Grouping(
        keys=("carrier", "service_level", "origin_state"),
        sums=(
            *("shipments", "base_cents", "fuel_cents", "insurance_cents", "total_cents"),
            *("grams", "tenths_km"),
        ),
        spread="total_cents",
    ),
    cost_analysis,
    {
        "has_shipments": "shipments > 0",
        "total_is_sum": "total_cost = base_cost + fuel_surcharge + insurance_cost",
    },
    percentiles=(0.95,),
)
DAILY_TRENDS = Table(
    "daily_trends",
    {
        "ship_date": "date",
        "shipments": "bigint",
        "delivered": "bigint",
        "on_time": "bigint",
        "weight_kg": "decimal(18,3)",
        "total_cost": "decimal(18,2)",
        "on_time_rate": "double",
        "shipments_change": "bigint",
        "weight_kg_change": "decimal(18,3)",
        "total_cost_change": "decimal(18,2)",
        "on_time_rate_change": "double",
        "shipments_change_rate": "double",
        "total_cost_change_rate": "double",
        "days_7d": "int",
        "shipments_7d_mean": "double",
        "weight_kg_7d_mean": "double",
        "total_cost_7d_mean": "double",
        "on_time_rate_7d": "double",
    },
    Grouping(keys=(), sums=("shipments", "delivered", "on_time", "grams", "total_cents")),
    daily_trends,
    {
        "delivered_was_shipped": "delivered BETWEEN 0 AND shipments",
        "on_time_is_delivered": "on_time BETWEEN 0 AND delivered",
        "week_has_days": "days_7d BETWEEN 1 AND 7",
    },
)
ROUTE_EFFICIENCY = Table(
    "route_efficiency",
    {
        "ship_date": "date",
        "origin_state": "string",
        "destination_state": "string",
        "shipments": "bigint",
        "mean_distance_km": "double",
        "km_per_hour": "double",
        "cost_per_km": "double",
        "p95_transit_hours": "double",
        "delay_rate": "double",
        "cost_rank": "int",
    },
    Grouping(
        keys=("origin_state", "destination_state"),
        sums=("shipments", "late", "tenths_km", "timed_tenths_km", "transit_s", "total_cents"),
        spread="transit_s",
        spread_of="timed",
    ),
    route_efficiency,
    {
        "has_shipments": "shipments > 0",
        "delay_rate_is_share": "delay_rate BETWEEN 0 AND 1",
        "is_ranked": "cost_rank > 0",
    },
    percentiles=(0.95,),
)
WAREHOUSE_DEMAND = Table(
    "warehouse_demand",
    {
        "ship_date": "date",
        "warehouse_id": "string",
        "hour": "int",
        "shipments": "bigint",
        "items": "bigint",
        "weight_kg": "decimal(18,3)",
        "volume_m3": "decimal(18,4)",
        "day_share": "double",
        "is_peak": "boolean",
        "days_7d": "int",
        "shipments_7d_mean": "double",
    },
    Grouping(keys=("warehouse_id", "hour"), sums=("shipments", "items", "grams", "volume_100_cm3")),
    warehouse_demand,
    {
        "hour_of_day": "hour BETWEEN 0 AND 23",
        "shipments_are_counted": "shipments >= 0",
        "week_has_days": "days_7d BETWEEN 1 AND 7",
    },
)

TABLES = (CARRIER_PERFORMANCE, COST_ANALYSIS, DAILY_TRENDS, ROUTE_EFFICIENCY, WAREHOUSE_DEMAND)


def ratio(part: Decimal | float, whole: Decimal | float) -> float | None:
    """One division of exact numbers as doubles; None when the whole is zero."""
    return float(part) / float(whole) if whole else None


def decimal(units: int, scale: int) -> Decimal:
    """A whole number of units of the last digit as a decimal of this scale."""
    return Decimal(units).scaleb(-scale)


def _nothing(table: Table) -> Totals:
    """A group without shipments."""
    return Totals(dict.fromkeys(table.grouping.sums, 0), {})


def _hours(seconds: float | None) -> float | None:
    return _of(seconds, SECONDS_AN_HOUR)


def _of(units: float | None, units_a_whole: int) -> float | None:
    return None if units is None else units / units_a_whole


def _cost_per_kg(of: Totals) -> float | None:
    return ratio(of["total_cents"] * 10, of["grams"])


def _cost_per_km(of: Totals) -> float | None:
    return ratio(of["total_cents"], of["tenths_km"] * 10)
