"""Faults while a day is processed: an executor that is killed, a driver that is killed between two tables' commits."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import psutil
import pytest
from deltalake.exceptions import TableNotFoundError

from drydock import processes
from tests import report_page
from tests.platform.platform_rig import Platform, until
from tests.spark import oracle

pytestmark = pytest.mark.full

TABLES = (*sorted(oracle.GRAIN),)


@pytest.fixture(autouse=True)
def whole(platform: Platform) -> Iterator[None]:
    """Each test begins with a platform that is whole, and ends with one that runs nothing."""
    up = platform.drydock("local-up")
    assert up.returncode == 0, up.stdout
    yield
    platform.assert_nothing_runs()


def test_an_executor_killed_in_the_middle_of_a_stage(platform: Platform, tmp_path: Path) -> None:
    day = date(2026, 4, 1)
    run = platform.start("run", f"--date={day}", "--rows=400000")
    run.wait_for(f"Generated {day}")
    # Its Python workers work on blocks when there are some.
    executor = until(lambda: next(iter(_executors_at_work(platform)), None), "an executor at work", pause=0.02)
    host = _hostname(executor)
    for process in [executor, *executor.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert run.end() == 0, run.text
    assert _removed_executors(platform) == [host], run.text
    assert _differences(platform, day, tmp_path) == []


def test_a_driver_killed_between_two_commits(platform: Platform, tmp_path: Path) -> None:
    day = date(2026, 4, 8)
    run = platform.start("run", f"--date={day}", "--rows=20000")
    run.wait_for(f"Generated {day}")
    before = _versions(platform)
    until(lambda: _versions(platform) != before, "the first commit", pause=0.01)
    # Nothing more is written: S3 is silent until the driver is dead.
    gateway = platform.pid_of("gateway")
    os.kill(gateway, signal.SIGSTOP)
    try:
        (driver,) = _processes(platform, "org.apache.spark.deploy.SparkSubmit")
        driver.kill()
        until(lambda: not _processes(platform, "org.apache.spark.deploy.SparkSubmit"), "the driver to be dead")
    finally:
        os.kill(gateway, signal.SIGCONT)
    assert run.end() == 1
    assert "No cluster of this run is alive" in run.text

    expected = oracle.expected_tables({day: platform.raw_files(day, tmp_path)}, day)
    rows = {table: _rows(platform, table, day) for table in TABLES}
    written = {table for table in TABLES if rows[table]}
    assert 0 < len(written) < len(TABLES)
    for table in written:  # a reader sees a day of a table, or none
        assert oracle.differences(table, expected[table], rows[table]) == []
    report = platform.drydock("report", f"--from={day}", f"--to={day}", f"--file={tmp_path / 'report.html'}")
    assert report.returncode == 0, report.stdout
    assert f"{day} is not complete" in report.stdout
    assert "Not complete" in report_page.read((tmp_path / "report.html").read_text()).sections

    again = platform.drydock("run", f"--date={day}", "--rows=20000")
    assert again.returncode == 0, again.stdout
    assert _differences(platform, day, tmp_path) == []


def _executors_at_work(platform: Platform) -> list[psutil.Process]:
    """Executors whose Python workers have used a tenth of a second of processor time since they began."""
    found = []
    for executor in _processes(platform, "CoarseGrainedExecutorBackend"):
        with suppress(psutil.NoSuchProcess):
            workers = [each for each in executor.children(recursive=True) if "pyspark.daemon" in each.cmdline()]
            if sum(worker.cpu_times().user for worker in workers) > 0.1:
                found.append(executor)
    return found


def _processes(platform: Platform, mark: str) -> list[psutil.Process]:
    """The platform's JVMs with this main class."""
    found = []
    for process in processes.running(platform.paths):
        with suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            if command and command[0].endswith("java") and any(mark in word for word in command):
                found.append(process)
    return found


def _hostname(executor: psutil.Process) -> str:
    command = executor.cmdline()
    return command[command.index("--hostname") + 1]


def _removed_executors(platform: Platform) -> list[str]:
    """The hosts of the executors that the last application lost, by its event log."""
    newest = max(platform.paths.event_logs.iterdir(), key=lambda log: log.stat().st_mtime)
    events = [json.loads(line) for line in newest.read_text().splitlines() if "SparkListenerExecutor" in line[:60]]
    hosts = {
        event["Executor ID"]: event["Executor Info"]["Host"]
        for event in events
        if event["Event"] == "SparkListenerExecutorAdded"
    }
    return [hosts[event["Executor ID"]] for event in events if event["Event"] == "SparkListenerExecutorRemoved"]


def _versions(platform: Platform) -> list[str]:
    """The commits of all tables."""
    listed = platform.client("s3").list_objects_v2(Bucket="spark-job-data-output").get("Contents", [])
    return [entry["Key"] for entry in listed if "/_delta_log/" in entry["Key"] and entry["Key"].endswith(".json")]


def _rows(platform: Platform, table: str, day: date) -> list[dict[str, object]]:
    try:
        return platform.rows(table, day)
    except TableNotFoundError:
        return []


def _differences(platform: Platform, day: date, folder: Path) -> list[str]:
    """Between the day's tables and what DuckDB makes of its raw files."""
    expected = oracle.expected_tables({day: platform.raw_files(day, folder)}, day)
    return [
        line for table, rows in expected.items() for line in oracle.differences(table, rows, platform.rows(table, day))
    ]
