"""A day through the whole platform, held against what DuckDB makes of the same raw files; and a day that is damaged."""

import json
import math
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

from drydock import read_back
from tests import report_page
from tests.platform.platform_rig import Platform
from tests.spark import oracle

DAY = date(2026, 3, 7)
ROWS = 5000


def test_a_demo_day_is_what_duckdb_makes_of_its_raw_files(platform: Platform, tmp_path: Path) -> None:
    demo = platform.drydock("demo", f"--date={DAY}", f"--rows={ROWS}")

    assert demo.returncode == 0, demo.stdout
    assert "Demo done" in demo.stdout
    assert "`make local-down` stops everything" in demo.stdout
    platform.assert_nothing_runs()
    expected = oracle.expected_tables({DAY: platform.raw_files(DAY, tmp_path)}, DAY)
    assert oracle.all_differences(expected, {table: platform.rows(table, DAY) for table in expected}) == []
    quarantined = len(expected[read_back.QUARANTINE])
    shown = [line.split() for line in demo.stdout.splitlines()]
    assert ["raw", "5,000"] in shown
    assert ["accepted", f"{ROWS - quarantined:,}"] in shown
    assert ["quarantined", str(quarantined), "0"] in shown


def test_the_summary_fits_80_columns_but_for_addresses(platform: Platform) -> None:
    shown = platform.drydock("summary", f"--date={DAY}")
    assert shown.returncode == 0
    assert [line for line in shown.stdout.splitlines() if len(line) > 80 and "s3://" not in line] == []
    hosts = {node.host for node in platform.paths.nodes()[1:]}
    assert any(host in shown.stdout for host in hosts)


def test_the_report_shows_what_duckdb_makes_of_the_raw_files(platform: Platform, tmp_path: Path) -> None:
    expected = oracle.expected_tables({DAY: platform.raw_files(DAY, tmp_path)}, DAY)
    written = platform.drydock("report", f"--file={tmp_path / 'report.html'}", f"--from={DAY}", f"--to={DAY}")
    assert written.returncode == 0, written.stdout
    assert f"A report of 1 day: file://{tmp_path}/report.html" in written.stdout
    shown = report_page.read((tmp_path / "report.html").read_text())
    assert "Not complete" not in shown.sections

    quarantined = expected[read_back.QUARANTINE]
    by_rule = Counter(rule.replace("_", " ") for row in quarantined for rule in row["broken_rules"])
    assert {rule: int(rows) for rule, rows, _ in shown.values("Quarantined by rule")} == by_rule
    [[_, raw, accepted, broken, _]] = shown.values("Days")
    assert [int(raw), int(accepted), int(broken)] == [ROWS, ROWS - len(quarantined), len(quarantined)]
    [[_, shipments, _, _, rate, _, cost, _]] = shown.values("Daily trends")
    [trend] = expected["daily_trends"]
    assert (int(shipments), Decimal(cost)) == (trend["shipments"], trend["total_cost"])
    assert math.isclose(float(rate), trend["on_time_rate"])
    services = {(row["carrier"], row["service_level"]): row["on_time"] for row in expected["carrier_performance"]}
    on_time = [(row[0], int(row[4])) for row in shown.values("Carriers' punctuality")]
    assert sum(count for name, count in on_time if not name.startswith("·")) == sum(services.values())
    assert sorted(count for name, count in on_time if name.startswith("·")) == sorted(services.values())
    surcharges = Counter[str]()
    for row in expected["cost_analysis"]:
        surcharges[row["carrier"]] += row["fuel_surcharge"]
    assert {row[0]: Decimal(row[3]) for row in shown.values("Cost by component")} == surcharges
    hours = {(row["warehouse_id"], row["hour"]): row["shipments"] for row in expected["warehouse_demand"]}
    in_page = {(row[0], hour): float(row[3 + hour]) for row in shown.values("Warehouse hours") for hour in range(24)}
    assert in_page == hours


def test_a_report_of_days_that_are_not_there_is_refused(platform: Platform, tmp_path: Path) -> None:
    refused = platform.drydock("report", f"--file={tmp_path / 'report.html'}", "--from=2020-01-01", "--to=2020-02-01")
    assert refused.returncode == 1
    assert "There is no day from 2020-01-01 to 2020-02-01." in refused.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_missing_fails_the_summary(platform: Platform) -> None:
    s3 = platform.client("s3")
    bucket, prefix = "spark-job-data-output", "route_efficiency/_delta_log/"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    kept = {entry["Key"]: s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in listed}
    for key in kept:
        s3.delete_object(Bucket=bucket, Key=key)
    try:
        shown = platform.drydock("summary", f"--date={DAY}")
    finally:
        for key, body in kept.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert shown.returncode == 1
    assert "route_efficiency: there is no Delta table at s3://spark-job-data-output/route_efficiency" in shown.stdout


def test_rows_that_do_not_add_up_fail_the_summary(platform: Platform) -> None:
    s3 = platform.client("s3")
    place = {"Bucket": "spark-job-data-source-1", "Key": f"data_source/shipment/ship_date={DAY}/manifest.json"}
    body = s3.get_object(**place)["Body"].read()
    s3.put_object(**place, Body=json.dumps(json.loads(body) | {"rows": ROWS + 1}))
    try:
        shown = platform.drydock("summary", f"--date={DAY}")
    finally:
        s3.put_object(**place, Body=body)
    assert shown.returncode == 1
    assert "5001 raw rows are not" in shown.stdout


def test_a_day_that_never_ran_is_not_complete(platform: Platform) -> None:
    shown = platform.drydock("summary", "--date=2020-01-01")
    assert shown.returncode == 1
    assert "There is no run of 2020-01-01" in shown.stdout
    assert "make run DATE=2020-01-01" in shown.stdout
