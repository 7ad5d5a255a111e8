"""An executor that is killed while a day is processed. (What ends a driver is in tests/spark/test_jobs.py.)"""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import psutil
import pytest

from drydock import processes
from tests.platform.platform_rig import Platform, until
from tests.spark import oracle

pytestmark = pytest.mark.full


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
    for process in [*executor.children(recursive=True), executor]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert run.end() == 0, run.text
    assert _tasks_lost_with_their_executor(platform) > 0
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


def _tasks_lost_with_their_executor(platform: Platform) -> int:
    """How many tasks of the last application ended that way, by its event log."""
    newest = max(platform.paths.event_logs.iterdir(), key=lambda log: log.stat().st_mtime)
    ends = (json.loads(line) for line in newest.read_text().splitlines() if "SparkListenerTaskEnd" in line[:60])
    return sum(end["Task End Reason"]["Reason"] == "ExecutorLostFailure" for end in ends)


def _differences(platform: Platform, day: date, folder: Path) -> list[str]:
    """Between the day's tables and what DuckDB makes of its raw files."""
    expected = oracle.expected_tables({day: platform.raw_files(day, folder)}, day)
    return oracle.all_differences(expected, {table: platform.rows(table, day) for table in expected})
