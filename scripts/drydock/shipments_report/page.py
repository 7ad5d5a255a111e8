"""The report's page: one HTML file that needs nothing else, each table's figures under the chart that shows them.

A figure is written for people and, as `<data value="…">`, in full.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from drydock import html_template
from drydock.days import Day
from drydock.read_back import Row
from drydock.shipments_report import charts
from drydock.shipments_report.figures import (
    SHIPMENTS_OF_A_ROUTE,
    Cost,
    Demand,
    Figures,
    Punctuality,
    ratio,
    route_name,
    rule_in_words,
)

NOTHING = "–"
NOT_YET = "There is no day in this table yet."


@dataclass(frozen=True)
class Cell:
    """A figure: what is read, and the value in full (None where there is none, or for words)."""

    text: str
    value: Any = None


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says in a sentence, charts with their captions, and a table under them."""

    title: str
    says: str
    charts: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    note: str = ""


def page(figures: Figures, output_uri: str, made_at: datetime) -> str:
    """The whole page, as HTML. There has to be a day."""
    return html_template.load(Path(__file__).with_name("page.html.j2")).render(
        first=_date(figures.days[0].date),
        last=_date(figures.days[-1].date),
        problems=[day for day in figures.days if day.problem],
        sections=list(_sections(figures)),
        output_uri=output_uri,
        made_at=made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def missing_days(days: Sequence[Day]) -> list[str]:
    """The calendar's days between the first and the last of which there is nothing, as phrases, an interval each."""
    missing = []
    for before, after in pairwise(days):
        first, last = before.date + timedelta(days=1), after.date - timedelta(days=1)
        if first == last:
            missing.append(_date(first))
        elif first < last:
            missing.append(f"{_date(first)} to {_date(last)}")
    return missing


def counted(count: int, thing: str) -> str:
    """`1 day`, `2 days`."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def _sections(figures: Figures) -> Iterable[Section]:
    yield _days(figures.days)
    if any(day.processed for day in figures.days) or figures.trends:
        yield _quarantine(figures)
        yield _trends(figures.trends)
        yield _punctuality(figures)
        yield _costs(figures.costs)
        yield _routes(figures.routes)
        yield _demand(figures.demand)


def _days(days: Sequence[Day]) -> Section:
    says = f"{counted(len(days), 'day')} of shipments"
    if missing := missing_days(days):
        says += f"; missing in between: {', '.join(missing)}"
    return Section(
        title="Days",
        says=f"{says}.",
        charts={"Rows of each day": charts.rows_of_days(days)},
        columns=("Day", "Raw rows", "Accepted", "Quarantined", "Share"),
        rows=[
            (
                Cell(day.date.isoformat()),
                _count(day.raw),
                _count(day.accepted),
                _count(day.quarantined),
                _percent(ratio(day.quarantined, day.processed)),
            )
            for day in reversed(days)
        ],
    )


def _quarantine(figures: Figures) -> Section:
    processed = sum(day.processed for day in figures.days)
    rows = sum(day.quarantined for day in figures.days)
    share = _percent(ratio(rows, processed)).text
    return Section(
        title="Quarantined by rule",
        says=f"{rows:,} of {processed:,} rows, {share}, broke a rule and are not in the figures below."
        if rows
        else f"None of {processed:,} rows broke a rule.",
        charts={"Rows that broke the rule": charts.quarantined(figures.quarantined)} if figures.quarantined else {},
        columns=("Rule", "Rows", "Share of rows"),
        rows=[
            (Cell(rule_in_words(rule)), _count(count), _percent(ratio(count, processed), digits=2))
            for rule, count in figures.quarantined.items()
        ],
    )


def _trends(trends: Sequence[Row]) -> Section:
    if not trends:
        return Section("Daily trends", NOT_YET)
    newest = trends[-1]
    says = f"On {_date(newest['ship_date'])} {counted(newest['shipments'], 'shipment')} left"
    if newest["shipments_change_rate"] is not None:
        says += f", {_change(newest['shipments_change_rate']).text} against the day before"
    if newest["on_time_rate"] is not None:
        says += f". {_percent(newest['on_time_rate']).text} of those delivered were on time"
    if newest["on_time_rate_7d"] is not None and newest["days_7d"] > 1:
        says += f", {_percent(newest['on_time_rate_7d']).text} over {newest['days_7d']} days"
    return Section(
        title="Daily trends",
        says=f"{says}.",
        charts={
            "Delivered on time": charts.trend(
                trends, "on_time_rate", "on_time_rate_7d", charts.PERCENT, "Share of deliveries on time, by day"
            ),
            "Cost": charts.trend(
                trends, "total_cost", "total_cost_7d_mean", charts.MONEY, "Cost of all shipments, by day"
            ),
        },
        columns=("Day", "Shipments", "Change", "7-day mean", "On time", "On time, 7 days", "Cost", "Cost, 7-day mean"),
        rows=[
            (
                Cell(row["ship_date"].isoformat()),
                _count(row["shipments"]),
                _change(row["shipments_change_rate"]),
                _decimal(row["shipments_7d_mean"], 0),
                _percent(row["on_time_rate"]),
                _percent(row["on_time_rate_7d"]),
                _money(row["total_cost"]),
                _money(row["total_cost_7d_mean"]),
            )
            for row in reversed(trends)
        ],
    )


def _punctuality(figures: Figures) -> Section:
    carriers = figures.carriers
    rated = [carrier for carrier in carriers if carrier.on_time_rate is not None]
    says = NOT_YET if not carriers else "Nothing was delivered."
    if rated:
        best, worst = rated[0], rated[-1]
        says = f"{best.carrier} is the most punctual: {_percent(best.on_time_rate).text} of its deliveries were on time"
        says += f", {worst.carrier}'s {_percent(worst.on_time_rate).text}." if worst is not best else "."

    def row(of: Punctuality, name: str) -> tuple[Cell, ...]:
        counts = (of.shipments, of.delivered, of.on_time, of.delayed, of.lost, of.returned)
        return (Cell(name), _percent(of.on_time_rate), *map(_count, counts))

    rows = []
    for carrier in carriers:
        rows.append(row(carrier, carrier.carrier))
        services = (service for service in figures.services if service.carrier == carrier.carrier)
        rows += [row(service, f"· {service.service_level}") for service in services]
    return Section(
        title="Carriers' punctuality",
        says=says,
        charts={"Delivered on time": charts.punctuality(rated)} if rated else {},
        columns=("Carrier", "On-time rate", "Shipments", "Delivered", "On time", "Delayed", "Lost", "Returned"),
        rows=rows,
    )


def _costs(costs: Sequence[Cost]) -> Section:
    if not costs:
        return Section("Cost by component", NOT_YET)
    base, fuel, insurance, total = (
        sum((getattr(cost, part) for cost in costs), Decimal(0))
        for part in ("base_cost", "fuel_surcharge", "insurance_cost", "total_cost")
    )
    return Section(
        title="Cost by component",
        says=f"{_money(total).text} in all: {_percent(ratio(base, total)).text} carriers' prices, "
        f"{_percent(ratio(fuel, total)).text} fuel, {_percent(ratio(insurance, total)).text} insurance.",
        charts={"Cost of each carrier's shipments": charts.components(costs)},
        columns=("Carrier", "Cost", "Base", "Fuel", "Insurance", "A shipment"),
        rows=[
            (
                Cell(cost.carrier),
                *map(_money, (cost.total_cost, cost.base_cost, cost.fuel_surcharge, cost.insurance_cost)),
                _money(cost.mean_cost, digits=2),
            )
            for cost in costs
        ],
    )


def _routes(routes: Sequence[Row]) -> Section:
    says = f"No route had {SHIPMENTS_OF_A_ROUTE} shipments and a delivery on the newest day."
    if routes:
        first = routes[0]
        says = f"From {first['origin_state']} to {first['destination_state']} one delivery in twenty took longer than "
        says += f"{first['p95_transit_hours']:,.0f} hours, on {_date(first['ship_date'])}."
    return Section(
        title="Slowest routes",
        says=says,
        charts={"Hours in which 95 % were delivered": charts.slowest(routes)} if routes else {},
        columns=("Route", "p95 hours", "Shipments", "Late", "Mean km", "km/h"),
        rows=[
            (
                Cell(route_name(route)),
                _decimal(route["p95_transit_hours"], 1),
                _count(route["shipments"]),
                _percent(route["delay_rate"]),
                _decimal(route["mean_distance_km"], 0),
                _decimal(route["km_per_hour"], 1),
            )
            for route in routes
        ],
        note=f"Of the routes with at least {SHIPMENTS_OF_A_ROUTE} shipments that day.",
    )


def _demand(demand: Sequence[Demand]) -> Section:
    if not demand:
        return Section("Warehouse hours", NOT_YET)
    of_warehouse: dict[str, dict[int, float]] = {}
    for each in demand:
        of_warehouse.setdefault(each.warehouse_id, {})[each.hour] = each.shipments
    of_hour = {hour: sum(hours.get(hour, 0.0) for hours in of_warehouse.values()) for hour in range(24)}
    busiest = _busiest(of_hour)
    return Section(
        title="Warehouse hours",
        says=f"The busiest hour of all warehouses together begins at {busiest:02}:00 UTC, with {of_hour[busiest]:,.0f} "
        "shipments on a mean day."
        if busiest is not None
        else "Nothing was shipped.",
        charts={"Shipments by hour of the day: the stronger the colour, the more": charts.hours(demand)},
        columns=("Warehouse", "A day", "Busiest", *(f"{hour:02}" for hour in range(24))),
        rows=[
            (
                Cell(warehouse),
                _decimal(sum(hours.values()), 0),
                Cell(NOTHING if (hour := _busiest(hours)) is None else f"{hour:02}:00"),
                *(_decimal(hours.get(hour), 0) for hour in range(24)),
            )
            for warehouse, hours in of_warehouse.items()
        ],
        note="Mean shipments of the days of this report.",
    )


def _busiest(hours: Mapping[int, float]) -> int | None:
    """The hour with the most shipments, the earliest of equals; None when there were none."""
    hour = max(hours, key=lambda hour: (hours[hour], -hour))
    return hour if hours[hour] else None


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _figure(value: Any, form: str) -> Cell:
    return Cell(NOTHING if value is None else form.format(value), value)


def _count(count: int | None) -> Cell:
    return _figure(count, "{:,}")


def _decimal(number: float | None, digits: int) -> Cell:
    return _figure(number, f"{{:,.{digits}f}}")


def _percent(share: float | None, digits: int = 1) -> Cell:
    return _figure(share, f"{{:.{digits}%}}")


def _change(rate: float | None) -> Cell:
    cell = _figure(rate, "{:+.1%}")
    return Cell(cell.text.replace("-", "−"), rate)


def _money(amount: Decimal | float | None, digits: int = 0) -> Cell:
    return _figure(amount, f"${{:,.{digits}f}}")
