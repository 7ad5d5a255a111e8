"""What the report tells, read from the Delta tables, each as it is at one moment.

Figures over several days are made of what adds up (counts, sums of money); what does not, such as a percentile of a
route, is told of the newest day alone. Ratios are one division of sums, as in the tables (docs/data.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from drydock.days import Day, Tables, between, read_days
from drydock.read_back import QUARANTINE, Row

SLOWEST_ROUTES = 12
# On a route that hardly anybody ships on, one shipment is the percentile.
SHIPMENTS_OF_A_ROUTE = 20


@dataclass(frozen=True)
class Punctuality:
    """A carrier's service, or all services of a carrier, over the days of the report."""

    carrier: str
    service_level: str | None
    shipments: int
    delivered: int
    on_time: int
    delayed: int
    lost: int
    returned: int

    @property
    def on_time_rate(self) -> float | None:
        return ratio(self.on_time, self.delivered)


@dataclass(frozen=True)
class Cost:
    """What a carrier's shipments cost over the days of the report, in USD."""

    carrier: str
    shipments: int
    base_cost: Decimal
    fuel_surcharge: Decimal
    insurance_cost: Decimal
    total_cost: Decimal

    @property
    def mean_cost(self) -> float | None:
        return ratio(self.total_cost, self.shipments)


@dataclass(frozen=True)
class Demand:
    """The shipments of a warehouse in an hour of the day (UTC), mean of the days of the report."""

    warehouse_id: str
    hour: int
    shipments: float


@dataclass(frozen=True)
class Figures:
    """The days, oldest first, and what is told of them.

    `quarantined` has every rule's rows over all days; `trends` and `routes` are rows of `daily_trends` and of
    `route_efficiency`, the latter of the newest day and its slowest routes first.
    """

    days: Sequence[Day]
    quarantined: Mapping[str, int]
    trends: Sequence[Row]
    services: Sequence[Punctuality]
    costs: Sequence[Cost]
    routes: Sequence[Row]
    demand: Sequence[Demand]

    @property
    def carriers(self) -> list[Punctuality]:
        """All services of each carrier together, the most punctual first."""
        counts = ("shipments", "delivered", "on_time", "delayed", "lost", "returned")
        together: dict[str, dict[str, int]] = {}
        for service in self.services:
            sums = together.setdefault(service.carrier, dict.fromkeys(counts, 0))
            for count in counts:
                sums[count] += getattr(service, count)
        carriers = [Punctuality(carrier, None, **sums) for carrier, sums in together.items()]
        return sorted(carriers, key=lambda carrier: (-(carrier.on_time_rate or 0), carrier.carrier))


def read_figures(
    tables: Tables, raw_rows: Mapping[date, int], first: date = date.min, last: date = date.max
) -> Figures:
    """The figures of the days from `first` to `last`, both included. `raw_rows` are those of each raw day there is."""
    days = between(first, last)
    trends = tables.rows("daily_trends", _TRENDS.format(days=days))
    newest = trends[-1]["ship_date"] if trends else last
    return Figures(
        days=read_days(tables, raw_rows, first, last),
        quarantined={row["rule"]: row["count"] for row in tables.rows(QUARANTINE, _BY_RULE.format(days=days))},
        trends=trends,
        services=[Punctuality(**row) for row in tables.rows("carrier_performance", _PUNCTUALITY.format(days=days))],
        costs=[Cost(**row) for row in tables.rows("cost_analysis", _COSTS.format(days=days))],
        routes=tables.rows(
            "route_efficiency", _ROUTES.format(day=newest, shipments=SHIPMENTS_OF_A_ROUTE, routes=SLOWEST_ROUTES)
        ),
        demand=[Demand(**row) for row in tables.rows("warehouse_demand", _DEMAND.format(days=days))],
    )


def route_name(route: Row) -> str:
    return f"{route['origin_state']} → {route['destination_state']}"


def rule_in_words(rule: str) -> str:
    return rule.replace("_", " ")


def ratio(part: int | Decimal, whole: int | Decimal) -> float | None:
    return float(Decimal(part) / Decimal(whole)) if whole else None


_TRENDS = "SELECT * FROM daily_trends WHERE {days} ORDER BY ship_date"

_PUNCTUALITY = """
SELECT carrier, service_level, sum(shipments) AS shipments, sum(delivered) AS delivered, sum(on_time) AS on_time,
    sum(delayed) AS delayed, sum(lost) AS lost, sum(returned) AS returned
FROM carrier_performance WHERE {days} GROUP BY carrier, service_level ORDER BY carrier, service_level
"""

_COSTS = """
SELECT carrier, sum(shipments) AS shipments, sum(base_cost) AS base_cost, sum(fuel_surcharge) AS fuel_surcharge,
    sum(insurance_cost) AS insurance_cost, sum(total_cost) AS total_cost
FROM cost_analysis WHERE {days} GROUP BY carrier ORDER BY total_cost DESC, carrier
"""

_ROUTES = """
SELECT * FROM route_efficiency
WHERE ship_date = DATE '{day}' AND p95_transit_hours IS NOT NULL AND shipments >= {shipments}
ORDER BY p95_transit_hours DESC, origin_state, destination_state LIMIT {routes}
"""

_DEMAND = """
SELECT warehouse_id, hour, CAST(sum(shipments) AS double) / count(*) AS shipments
FROM warehouse_demand WHERE {days} GROUP BY warehouse_id, hour ORDER BY warehouse_id, hour
"""


_BY_RULE = """
SELECT rule, count(*) AS count FROM (SELECT unnest(broken_rules) AS rule FROM quarantine WHERE {days})
GROUP BY rule ORDER BY count DESC, rule
"""
