"""The report's charts: SVG that takes its colours from the page, in light and in dark.

Text is `currentColor`, marks are the page's variables; an SVG that is part of the page sees both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import altair as alt
import vl_convert

from drydock.days import Day
from drydock.read_back import Row
from drydock.shipments_report.figures import Cost, Demand, Punctuality, route_name, rule_in_words

# Between a phone's width, to which a chart is scaled down, and that of a wide page's column, to which it is scaled up.
WIDTH, HEIGHT = 340, 160
LEFT = 12  # the page's font may be wider than the one that the labels are measured with
BAR = 20
STEPS: dict[str, int] = {"step": BAR}  # as high as its bars need
PLAIN, STRONG, LOUD = "var(--plain)", "var(--strong)", "var(--loud)"
INK = "currentColor"

DAYS_NAMED = 6
HALF_A_DAY_MS = 12 * 3600 * 1000
BAR_OF_A_DAY = (1, 60)  # the least and the most

# Formats of D3's; a billion, which is its G, is written B.
PERCENT, COUNT, MONEY = ".1~%", "~s", "$~s"


def rows_of_days(days: Sequence[Day]) -> str:
    """Accepted and quarantined rows of each day, stacked."""
    rows = [
        {"day": _noon(day.date), "of": kind, "rows": count}
        for day in days
        for kind, count in (("accepted", day.accepted or 0), ("quarantined", day.quarantined))
    ]
    dates = [day.date for day in days]
    least, most = BAR_OF_A_DAY
    bars = _of(rows).mark_bar(size=max(least, min(most, 0.85 * (WIDTH - 50) / _span(dates))))
    kinds = {"accepted": PLAIN, "quarantined": LOUD}
    return _svg(
        bars.encode(x=_day(dates), y=_value("rows", COUNT), color=_kind(kinds), order=alt.Order("of:N")),
        "Rows of each day, accepted and quarantined",
    )


def trend(rows: Sequence[Row], of_day: str, of_week: str, axis: str, what: str) -> str:
    """A measure of `daily_trends` as points, a day each, and its mean of seven days as a line."""
    values = [
        {"day": _noon(row["ship_date"]), "of": kind, "value": float(row[name])}
        for row in rows
        for kind, name in (("day", of_day), ("7 days", of_week))
        if row[name] is not None
    ]
    base = _of(values).encode(
        x=_day([row["ship_date"] for row in rows]),
        y=_value("value", axis, zero=axis != PERCENT),
        color=_kind({"day": PLAIN, "7 days": STRONG}),
    )
    points = base.transform_filter("datum.of == 'day'").mark_point(filled=True, size=28, opacity=1)
    line = base.transform_filter("datum.of == '7 days'").mark_line(strokeWidth=2.5, point=len(rows) == 1)
    return _svg(alt.layer(points, line), what)


def quarantined(by_rule: Mapping[str, int]) -> str:
    """The quarantined rows of each rule."""
    rows = [{"name": rule_in_words(rule), "value": count, "label": f"{count:,}"} for rule, count in by_rule.items()]
    return _bars(rows, LOUD, "Quarantined rows by rule")


def punctuality(carriers: Iterable[Punctuality]) -> str:
    """Each carrier's share of deliveries that were on time."""
    rows = [
        {"name": each.carrier, "value": each.on_time_rate, "label": f"{each.on_time_rate:.1%}"}
        for each in carriers
        if each.on_time_rate is not None
    ]
    return _bars(rows, PLAIN, "Share of each carrier's deliveries that were on time")


def slowest(routes: Iterable[Row]) -> str:
    """The hours in transit that one delivery in twenty exceeds, on each route."""
    rows = [
        {
            "name": route_name(route),
            "value": route["p95_transit_hours"],
            "label": f"{route['p95_transit_hours']:,.0f} h",
        }
        for route in routes
    ]
    return _bars(rows, PLAIN, "Hours in which 95 % were delivered, of the slowest routes")


def components(costs: Sequence[Cost]) -> str:
    """What each carrier's shipments cost, by component, stacked."""
    parts = {"base": "base_cost", "fuel": "fuel_surcharge", "insurance": "insurance_cost"}
    rows = [
        {"name": cost.carrier, "of": part, "value": float(getattr(cost, column)), "order": order}
        for cost in costs
        for order, (part, column) in enumerate(parts.items())
    ]
    bars = _of(rows).mark_bar(height=BAR - 6)
    colors = dict(zip(parts, (PLAIN, STRONG, LOUD), strict=True))
    return _svg(
        bars.encode(
            y=_names([cost.carrier for cost in costs]),
            x=alt.X("value:Q", title=None, axis=_axis(MONEY)),
            color=_kind(colors),
            order=alt.Order("order:Q"),
        ),
        "Cost of each carrier's shipments by component, in US dollars",
        height=STEPS,
    )


def hours(demand: Sequence[Demand]) -> str:
    """A field for each warehouse and hour, the fuller the more shipments."""
    rows = [{"name": each.warehouse_id, "hour": each.hour, "value": each.shipments} for each in demand]
    warehouses = list(dict.fromkeys(each.warehouse_id for each in demand))
    most = max(each.shipments for each in demand) or 1  # hours without shipments are faint, if all of them are
    fields = _of(rows).mark_rect(fill=STRONG)
    return _svg(
        fields.encode(
            y=_names(warehouses),
            x=alt.X("hour:O", title="hour, UTC", axis=alt.Axis(labelAngle=0, values=[0, 6, 12, 18])),
            opacity=alt.Opacity("value:Q", legend=None, scale=alt.Scale(range=[0.04, 1], domain=[0, most])),
        ),
        "Mean shipments of each warehouse by hour of the day",
        height=STEPS,
    )


def _bars(rows: Sequence[dict[str, Any]], color: str, what: str) -> str:
    """A bar for each name, in the order given, with its label at its end."""
    room = max(row["value"] for row in rows) * 1.25 or 1  # for the longest bar's label
    base = _of(rows).encode(
        y=_names([row["name"] for row in rows]),
        x=alt.X("value:Q", title=None, axis=None, scale=alt.Scale(domain=[0, room])),
    )
    labels = base.mark_text(align="left", dx=4, fill=INK).encode(text="label:N")
    return _svg(alt.layer(base.mark_bar(height=BAR - 6, fill=color), labels), what, height=STEPS)


def _of(rows: Iterable[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=list(rows)))


def _day(days: Sequence[date]) -> alt.X:
    """An axis from the first to the last of these days, whole days both, with some of its days named."""
    span = _span(days)
    ends = [_noon(days[0]) - HALF_A_DAY_MS, _noon(days[-1]) + HALF_A_DAY_MS]
    every = -(-span // DAYS_NAMED)
    named = [_noon(days[0] + timedelta(days=number)) for number in range(0, span, every)]
    years = days[0].year != days[-1].year
    axis = alt.Axis(format="%b %Y" if years else "%-d %b", grid=False, values=named, labelOverlap=True)
    return alt.X("day:T", title=None, axis=axis, scale=alt.Scale(type="utc", domain=ends))


def _span(days: Sequence[date]) -> int:
    return (days[-1] - days[0]).days + 1


def _noon(day: date) -> int:
    """The middle of the day as Vega knows time: in milliseconds since 1970, UTC."""
    return int(datetime.combine(day, time(12), UTC).timestamp() * 1000)


def _value(name: str, axis: str, *, zero: bool = True) -> alt.Y:
    return alt.Y(f"{name}:Q", title=None, axis=_axis(axis), scale=alt.Scale(zero=zero))


def _axis(text: str) -> alt.Axis:
    if text == PERCENT:
        return alt.Axis(format=text, tickCount=4)
    return alt.Axis(labelExpr=f"replace(format(datum.value, '{text}'), 'G', 'B')", tickCount=4, tickMinStep=1)


def _names(names: Sequence[str]) -> alt.Y:
    return alt.Y("name:N", title=None, sort=list(names), axis=alt.Axis(labelLimit=150, grid=False))


def _kind(colors: Mapping[str, str]) -> alt.Color:
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return alt.Color("of:N", scale=scale, legend=alt.Legend(title=None, orient="top", offset=4))


def _svg(chart: alt.TopLevelMixin, what: str, height: int | dict[str, int] = HEIGHT) -> str:
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    specification = chart.to_dict() | {
        "width": WIDTH,
        "height": height,
        "padding": {"left": LEFT, "top": 4, "right": 4, "bottom": 4},
        "background": "transparent",
        "autosize": {"type": "fit-x" if height is STEPS else "fit", "contains": "padding"},
        "config": {
            "aria": False,  # the figures stand in the table below, the chart is one picture
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "axis": {**text, "domain": False, "ticks": False, "gridColor": INK, "gridOpacity": 0.15, "labelPadding": 6},
            "legend": {**text, "symbolType": "square", "symbolStrokeWidth": 0},
            "text": {"fontSize": 12},
        },
    }
    drawn = vl_convert.vegalite_to_svg(specification)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{what}" ', 1)
