"""The report: its figures against the tables' rows, written by hand or summed by DuckDB; its page; its refusals."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from deltalake import write_deltalake

from drydock import report
from drydock.days import Tables, read_days
from drydock.errors import UsageError
from drydock.read_back import QUARANTINE, TABLES
from drydock.shipments_report.figures import SHIPMENTS_OF_A_ROUTE, Figures, read_figures
from drydock.shipments_report.page import page
from tests.report_page import read

MADE_AT = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)
FIRST, SECOND, FOURTH = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 4)

# Two days, the first of 60 accepted shipments, the second of 90.
ROWS = {
    "daily_trends": """
        SELECT DATE '2026-03-01' AS ship_date, 60::BIGINT AS shipments, 50::BIGINT AS delivered, 40::BIGINT AS on_time,
            120.500::DECIMAL(18,3) AS weight_kg, 600.10::DECIMAL(18,2) AS total_cost, 0.8::DOUBLE AS on_time_rate,
            NULL::DOUBLE AS shipments_change_rate, 60.0::DOUBLE AS shipments_7d_mean,
            600.10::DOUBLE AS total_cost_7d_mean, 0.8::DOUBLE AS on_time_rate_7d, 1 AS days_7d
        UNION ALL SELECT DATE '2026-03-02', 90, 80, 72, 200, 1000.40, 0.9, 0.5, 75.0, 800.25, 0.8615384615384616, 2""",
    "carrier_performance": """
        SELECT * FROM (VALUES
            (DATE '2026-03-01', 'Kestrel <&> Co', 'ground', 40, 33, 25, 4, 1, 2),
            (DATE '2026-03-01', 'Atlas', 'express', 20, 17, 15, 1, 0, 2),
            (DATE '2026-03-02', 'Kestrel <&> Co', 'ground', 30, 27, 20, 2, 0, 1),
            (DATE '2026-03-02', 'Kestrel <&> Co', 'express', 20, 20, 19, 0, 0, 0),
            (DATE '2026-03-02', 'Atlas', 'express', 40, 33, 33, 3, 3, 1)
        ) rows(ship_date, carrier, service_level, shipments, delivered, on_time, delayed, lost, returned)""",
    "cost_analysis": """
        SELECT ship_date, carrier, 'ground' AS service_level, origin_state, shipments::BIGINT AS shipments,
            base::DECIMAL(18,2) AS base_cost, fuel::DECIMAL(18,2) AS fuel_surcharge,
            insurance::DECIMAL(18,2) AS insurance_cost, (base + fuel + insurance)::DECIMAL(18,2) AS total_cost
        FROM (VALUES
            (DATE '2026-03-01', 'Kestrel <&> Co', 'CA', 40, 300.05, 30.01, 10.04),
            (DATE '2026-03-01', 'Atlas', 'CA', 20, 200.00, 50.00, 10.00),
            (DATE '2026-03-02', 'Kestrel <&> Co', 'NY', 50, 400.10, 40.10, 20.20),
            (DATE '2026-03-02', 'Atlas', 'NY', 40, 500.00, 30.00, 10.00)
        ) rows(ship_date, carrier, origin_state, shipments, base, fuel, insurance)""",
    "route_efficiency": f"""
        SELECT * FROM (VALUES
            (DATE '2026-03-01', 'CA', 'ME', 60::BIGINT, 5000::DOUBLE, 50::DOUBLE, 400::DOUBLE, 0.5::DOUBLE),
            (DATE '2026-03-02', 'CA', 'NY', 41::BIGINT, 4500.0, 47.5, 120.5, 0.25),
            (DATE '2026-03-02', 'NY', 'ME', {SHIPMENTS_OF_A_ROUTE}::BIGINT, 480.5, 9.5, 150.25, 0.125),
            (DATE '2026-03-02', 'TX', 'WA', {SHIPMENTS_OF_A_ROUTE - 1}::BIGINT, 3500.0, 30.0, 300.0, 0.5),
            (DATE '2026-03-02', 'TX', 'OR', 10::BIGINT, 3500.0, NULL, NULL, 0.5)
        ) rows(ship_date, origin_state, destination_state, shipments, mean_distance_km, km_per_hour,
               p95_transit_hours, delay_rate)""",
    "warehouse_demand": """
        SELECT ship_date, warehouse_id, hour::INT AS hour,
            CASE WHEN hour = peak THEN busiest WHEN hour = 3 THEN 10 ELSE 0 END::BIGINT AS shipments
        FROM (VALUES (DATE '2026-03-01', 'WH-ATL-01', 15, 50), (DATE '2026-03-02', 'WH-ATL-01', 15, 60),
                     (DATE '2026-03-02', 'WH-SEA-01', 20, 10)) rows(ship_date, warehouse_id, peak, busiest),
             range(24) hours(hour)""",
    QUARANTINE: """
        SELECT DATE '2026-03-01' AS ship_date, 0 AS block, 1::BIGINT AS row, ['missing_carrier'] AS broken_rules
        UNION ALL SELECT DATE '2026-03-02', 0, 2, ['missing_carrier', 'negative_weight']
        UNION ALL SELECT DATE '2026-03-02', 1, 3, ['duplicate_id']""",
}
RAW = {FIRST: 61, SECOND: 92}


@pytest.fixture
def make_tables(tmp_path: Path) -> Callable[..., Tables]:
    """`make_tables(name="SELECT …")`: the Delta tables, each of these rows; None leaves a table out."""

    def make(**others: str | None) -> Tables:
        for name, sql in {**ROWS, **others}.items():
            if sql is not None:
                write_deltalake(str(tmp_path / name), duckdb.sql(sql), mode="overwrite", partition_by=["ship_date"])
        return Tables(tmp_path.as_uri(), {})

    return make


def made(figures: Figures) -> str:
    return page(figures, "s3://output", MADE_AT)


def test_every_figure_is_the_tables(make_tables):
    shown = read(made(read_figures(make_tables(), RAW)))

    assert shown.values("Days") == [
        ["2026-03-02", "92", "90", "2", repr(2 / 92)],
        ["2026-03-01", "61", "60", "1", repr(1 / 61)],
    ]
    assert shown.values("Quarantined by rule") == [
        ["missing carrier", "2", repr(2 / 153)],
        ["duplicate id", "1", repr(1 / 153)],
        ["negative weight", "1", repr(1 / 153)],
    ]
    assert shown.values("Daily trends") == [
        ["2026-03-02", "90", "0.5", "75.0", "0.9", "0.8615384615384616", "1000.40", "800.25"],
        ["2026-03-01", "60", "–", "60.0", "0.8", "0.8", "600.10", "600.1"],
    ]
    assert shown.values("Carriers' punctuality") == [
        ["Atlas", "0.96", "60", "50", "48", "4", "3", "3"],
        ["· express", "0.96", "60", "50", "48", "4", "3", "3"],
        ["Kestrel <&> Co", "0.8", "90", "80", "64", "6", "1", "3"],
        ["· express", "0.95", "20", "20", "19", "0", "0", "0"],
        ["· ground", "0.75", "70", "60", "45", "6", "1", "3"],
    ]
    assert shown.values("Cost by component") == [
        ["Kestrel <&> Co", "800.50", "700.15", "70.11", "30.24", repr(800.5 / 90)],
        ["Atlas", "800.00", "700.00", "80.00", "20.00", repr(800 / 60)],
    ]
    assert shown.values("Slowest routes") == [
        ["NY → ME", "150.25", str(SHIPMENTS_OF_A_ROUTE), "0.125", "480.5", "9.5"],
        ["CA → NY", "120.5", "41", "0.25", "4500.0", "47.5"],
    ]
    assert [[*row[:3], row[3 + 3], row[3 + 15]] for row in shown.values("Warehouse hours")] == [
        ["WH-ATL-01", "65.0", "15:00", "10.0", "55.0"],
        ["WH-SEA-01", "20.0", "03:00", "10.0", "0.0"],
    ]
    assert "Not complete" not in shown.sections


def test_a_sentence_says_what_the_figures_say(make_tables):
    sections = read(made(read_figures(make_tables(), RAW))).sections
    assert "2 days of shipments." in sections["Days"]["says"]
    assert "3 of 153 rows, 2.0%, broke a rule" in sections["Quarantined by rule"]["says"]
    assert sections["Daily trends"]["says"] == (
        "On 2 March 2026 90 shipments left, +50.0% against the day before. "
        "90.0% of those delivered were on time, 86.2% over 2 days."
    )
    assert "Atlas is the most punctual: 96.0%" in sections["Carriers' punctuality"]["says"]
    assert "Kestrel <&> Co's 80.0%" in sections["Carriers' punctuality"]["says"]
    assert "$1,600 in all: 87.5% carriers' prices, 9.4% fuel, 3.1%" in sections["Cost by component"]["says"]
    assert "From NY to ME one delivery in twenty took longer than 150 hours" in sections["Slowest routes"]["says"]
    assert "begins at 15:00 UTC, with 55 shipments on a mean day" in sections["Warehouse hours"]["says"]


def test_the_charts_show_the_tables_figures(make_tables):
    html = made(read_figures(make_tables(), RAW))
    sections = read(html).sections
    assert sections["Carriers' punctuality"]["chart"] == ["Atlas", "Kestrel <&> Co", "96.0%", "80.0%"]
    assert sections["Quarantined by rule"]["chart"][-3:] == ["2", "1", "1"]
    assert sections["Slowest routes"]["chart"] == ["NY → ME", "CA → NY", "150 h", "120 h"]
    assert lengths(html, "carrier's deliveries", "--plain") == pytest.approx([1, 0.8 / 0.96], abs=1e-6)
    assert lengths(html, "by component", "--plain") == pytest.approx([1, 700 / 700.15], abs=1e-6)
    assert lengths(html, "by component", "--strong") == pytest.approx([1, 80 / 70.11], abs=1e-6)
    assert lengths(html, "Quarantined rows", "--loud") == pytest.approx([1, 0.5, 0.5], abs=1e-6)


def test_the_charts_by_day_show_the_tables_figures(make_tables):
    html = made(read_figures(make_tables(), RAW))
    accepted, quarantined = (bar_heights(chart(html, "Rows of each day"), color) for color in ("--plain", "--loud"))
    assert accepted[1] / accepted[0] == pytest.approx(90 / 60, abs=1e-6)
    assert quarantined[1] / quarantined[0] == pytest.approx(2 / 1, abs=1e-6)
    assert quarantined[0] / accepted[0] == pytest.approx(1 / 60, abs=1e-6)
    cost = chart(html, "Cost of all shipments")
    (_, first), (_, second) = points(cost)
    zero = float(re.search(r'd="M0,0h[\d.]+v([\d.]+)h', cost)[1])
    assert (zero - second) / (zero - first) == pytest.approx(1000.40 / 600.10, abs=1e-4)
    (left, worse), (right, better) = points(chart(html, "Share of deliveries on time, by day"))
    assert left < right
    assert worse > better  # downwards


def test_the_chart_of_hours_shows_the_tables_figures(make_tables):
    svg = chart(made(read_figures(make_tables(), RAW)), "Mean shipments of each warehouse")
    opacities = [float(found) for found in re.findall(r'fill="var\(--strong\)" opacity="([\d.]+)"', svg)]
    assert len(opacities) == 2 * 24
    assert max(opacities) == opacities[15] == 1
    assert opacities[0] == pytest.approx(0.04)
    assert opacities[3] == pytest.approx(0.04 + 0.96 * 10 / 55)
    assert opacities[24 + 20] == pytest.approx(0.04 + 0.96 * 10 / 55)


def chart(html: str, what: str) -> str:
    """The chart that says it is of this."""
    (svg,) = (svg for svg in re.findall(r"<svg.*?</svg>", html) if what in svg[: svg.index(">")])
    return svg


def bar_heights(svg: str, color: str) -> list[float]:
    return [
        float(height) for height in re.findall(rf'd="M[\d.]+,[\d.]+h[\d.]+v([\d.]+)h[^"]*" fill="var\({color}\)"', svg)
    ]


def points(svg: str) -> list[tuple[float, float]]:
    """Right and down of the points of a trend."""
    marks = svg.split("mark-symbol role-mark", 1)[1].split("</g>", 1)[0]
    return [(float(x), float(y)) for x, y in re.findall(r'transform="translate\(([\d.]+),([\d.]+)\)"', marks)]


def lengths(html: str, what: str, color: str) -> list[float]:
    """How long the bars of a chart are, with the first for a unit."""
    svg = chart(html, what)
    bars = [float(length) for length in re.findall(rf'd="M[\d.]+,[\d.]+h([\d.]+)v[^"]*" fill="var\({color}\)"', svg)]
    return [length / bars[0] for length in bars]


def test_days_can_be_chosen(make_tables):
    shown = read(made(read_figures(make_tables(), RAW, last=FIRST)))
    assert [row[0] for row in shown.values("Days")] == ["2026-03-01"]
    assert shown.values("Quarantined by rule") == [["missing carrier", "1", repr(1 / 61)]]
    assert [row[2] for row in shown.values("Carriers' punctuality")] == ["20", "20", "40", "40"]
    assert [row[0] for row in shown.values("Slowest routes")] == ["CA → ME"]
    assert read_figures(make_tables(), RAW, first=FOURTH).days == []


def test_days_that_are_missing_are_named(make_tables):
    gap = ROWS["daily_trends"].replace("2026-03-02", "2026-03-05")
    raw = {**RAW, date(2026, 3, 7): 10}
    shown = read(made(read_figures(make_tables(daily_trends=gap), raw)))
    assert (
        "4 days of shipments; missing in between: 3 March 2026 to 4 March 2026, 6 March 2026."
        in (shown.sections["Days"]["says"])
    )


@pytest.mark.parametrize(
    ("others", "raw", "problem"),
    [
        ({}, {**RAW, FOURTH: 7}, "2026-03-04: generated, not processed yet."),
        ({"cost_analysis": None}, RAW, "2026-03-01: the tables count different numbers of shipments: carrier_perform"),
        ({}, {**RAW, FIRST: 62}, "2026-03-01: of 62 raw rows 61 were processed."),
    ],
)
def test_what_is_not_complete_is_said_first(make_tables, others, raw, problem):
    shown = read(made(read_figures(make_tables(**others), raw)))
    assert problem in shown.text
    assert next(iter(shown.sections)) == "Not complete"
    assert f"make run DATE={problem[:10]} ROWS={raw[date.fromisoformat(problem[:10])]}" in shown.text


def test_what_other_tables_have_of_a_day_that_daily_trends_lacks_is_shown(make_tables):
    first_only = f"SELECT * FROM ({ROWS['daily_trends']}) WHERE ship_date = DATE '2026-03-01'"
    shown = read(made(read_figures(make_tables(daily_trends=first_only), RAW)))
    assert "2026-03-02: the tables count different numbers of shipments" in shown.text
    assert "daily_trends none, route_efficiency 90" in shown.text
    assert shown.values("Days")[0] == ["2026-03-02", "92", "90", "2", repr(2 / 92)]
    assert "3 of 153 rows, 2.0%, broke a rule" in shown.sections["Quarantined by rule"]["says"]
    assert [row[2] for row in shown.values("Carriers' punctuality")][:1] == ["60"]


def test_sections_without_figures_say_why(make_tables):
    small = f"SELECT * REPLACE (5::BIGINT AS shipments) FROM ({ROWS['route_efficiency']})"
    none = f"SELECT * FROM ({ROWS[QUARANTINE]}) WHERE false"
    sections = read(made(read_figures(make_tables(**{"route_efficiency": small, QUARANTINE: none}), {}))).sections
    assert sections["Slowest routes"]["says"].startswith(f"No route had {SHIPMENTS_OF_A_ROUTE} shipments")
    assert sections["Quarantined by rule"]["says"] == "None of 150 rows broke a rule."
    assert sections["Slowest routes"]["values"] == sections["Quarantined by rule"]["values"] == []


def test_raw_data_that_is_gone_is_no_problem(make_tables):
    figures = read_figures(make_tables(), {})
    assert [day.problem for day in figures.days] == [None, None]
    assert read(made(figures)).values("Days")[0][1] == "–"


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ("ship_date", set()),
        ("CASE WHEN ship_date = DATE '2026-03-01' THEN shipments + 1 ELSE shipments END AS shipments", {FIRST, SECOND}),
        ("CASE WHEN ship_date = DATE '2026-03-02' THEN 1 ELSE days_7d END AS days_7d", {SECOND}),
        (
            "CASE WHEN ship_date = DATE '2026-03-02' THEN 0.01 ELSE 0 END + total_cost_7d_mean AS total_cost_7d_mean",
            {SECOND},
        ),
        ("CASE WHEN ship_date = DATE '2026-03-01' THEN DATE '2026-02-23' ELSE ship_date END AS ship_date", {SECOND}),
    ],
)
def test_a_day_that_looks_back_at_something_else_now_is_not_complete(make_tables, change: str, stale: set[date]):
    """The change of a day's own row makes its means wrong, too; a day a week ago is none of the week's."""
    replaced = "" if change == "ship_date" else f"REPLACE ({change})"
    tables = make_tables(daily_trends=f"SELECT * {replaced} FROM ({ROWS['daily_trends']})")
    found = {day.date: day for day in read_days(tables, {})}
    assert {day for day in found if found[day].is_stale} == stale
    alone = {day.date for day in read_days(tables, {}, SECOND, SECOND) if day.is_stale}
    assert alone == stale & {SECOND}  # a range's first day looks back further than the range does


def test_a_day_without_shipments_has_a_page(make_tables):
    none = {name: f"SELECT * FROM ({sql}) WHERE false" for name, sql in ROWS.items()}
    nothing = "0 AS shipments, 0 AS delivered, 0 AS on_time, 0.0 AS shipments_7d_mean"
    no_rates = "NULL AS on_time_rate, NULL AS on_time_rate_7d"
    trends = f"SELECT * REPLACE ({nothing}, {no_rates}) FROM ({ROWS['daily_trends']}) LIMIT 1"
    demand = f"SELECT * REPLACE (0 AS shipments) FROM ({ROWS['warehouse_demand']}) WHERE ship_date = DATE '2026-03-01'"
    figures = read_figures(make_tables(**none | {"daily_trends": trends, "warehouse_demand": demand}), {FIRST: 0})
    assert [day.problem for day in figures.days] == [None]
    shown = read(made(figures))
    assert shown.values("Days") == [["2026-03-01", "0", "0", "0", "–"]]
    assert shown.sections["Carriers' punctuality"]["says"] == "There is no day in this table yet."
    assert shown.sections["Warehouse hours"]["says"].startswith("Nothing was shipped.")
    assert {row[2] for row in shown.values("Warehouse hours")} == {"–"}


def test_days_that_were_only_generated_have_a_page(tmp_path):
    shown = read(made(read_figures(Tables(tmp_path.as_uri(), {}), {FIRST: 10})))
    assert shown.values("Days") == [["2026-03-01", "10", "–", "0", "–"]]
    assert set(shown.sections) == {"Not complete", "Days"}


def test_sums_over_many_days_are_duckdbs(make_tables, tmp_path):
    many = """
        SELECT DATE '2026-01-01' + (n % 40)::INT AS ship_date, 'carrier ' || (n % 7) AS carrier,
            'level ' || (n % 3) AS service_level, (n * 37 % 101)::BIGINT AS shipments,
            (n * 31 % 97)::BIGINT AS delivered, (n * 29 % 89)::BIGINT AS on_time, (n % 5)::BIGINT AS delayed,
            (n % 4)::BIGINT AS lost, 0::BIGINT AS returned
        FROM range(840) rows(n)"""
    figures = read_figures(make_tables(carrier_performance=many), {})
    files = str(tmp_path / "carrier_performance" / "*" / "*.parquet")
    summed = duckdb.sql(f"SELECT carrier, sum(shipments), sum(delivered), sum(on_time) FROM '{files}' GROUP BY ALL")
    expected = {carrier: tuple(map(int, sums)) for carrier, *sums in summed.fetchall()}
    assert {each.carrier: (each.shipments, each.delivered, each.on_time) for each in figures.carriers} == expected


def test_the_page_needs_nothing_else(make_tables):
    html = made(read_figures(make_tables(), RAW))
    assert re.findall(r"(?i)<(?:script|link|img|iframe|object|use|image)\b|\bsrc=|\burl\(|@import", html) == []
    assert set(re.findall(r"https?://[^\"'\s<]+", html)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)


def test_the_page_fits_a_phone_and_a_wide_window(make_tables, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    html = made(read_figures(make_tables(), RAW))
    frames = "".join(f'<iframe style="width: {width}px" srcdoc="{escape(html)}"></iframe>' for width in (360, 1280))
    measure = """onload = () => document.title = [...document.querySelectorAll("iframe")].map(
        frame => frame.contentDocument.documentElement).map(page => page.scrollWidth - page.clientWidth)"""
    file = tmp_path / "frames.html"
    file.write_text(f"<!doctype html><title></title>{frames}<script>{measure}</script>")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'chromium'}"]
    command = [chromium, *options, "--dump-dom", file.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.search("<title>(.*?)</title>", dom)[1] == "0,0"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first": "2026-02-30"}, "FROM is `2026-02-30`; expected a day"),
        ({"last": "tomorrow"}, "TO is `tomorrow`; expected a day"),
        ({"first": "2026-03-02", "last": "2026-03-01"}, "FROM is 2026-03-02, after TO, which is 2026-03-01."),
    ],
)
def test_days_that_make_no_sense_are_refused(given, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        report.report(**given)


def test_the_tables_names_are_all_there():
    assert set(ROWS) == {*TABLES, QUARANTINE}
