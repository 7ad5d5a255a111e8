"""`drydock test`: where each test runs, and how results are counted."""

import subprocess
import sys
from pathlib import Path

import pytest

from drydock import settings
from drydock import test as verb

SAMPLE = """
import pytest

def test_passes(): pass
def test_fails(): assert 1 == 2
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.fixture
def broken(): raise ValueError
def test_whose_fixture_breaks(broken): pass
@pytest.mark.full
def test_long(): pass
"""


@pytest.mark.parametrize(("full", "passed"), [(False, 1), (True, 2)])
def test_results_are_counted_and_long_tests_run_when_asked_for(tmp_path: Path, full: bool, passed: int):
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = full: long\n")
    report = tmp_path / "report.xml"
    command = verb.pytest(settings.Paths(), verb.SUITES[0], full, report)
    options = [option for option in command[1:] if option not in verb.SUITES[0].folders]
    result = subprocess.run([sys.executable, *options, "."], cwd=tmp_path, capture_output=True)
    assert result.returncode == 1
    assert verb.counted(report) == verb.Count(passed=passed, failed=2, skipped=1)
    assert not (tmp_path / ".pytest_cache").exists()


def test_a_run_that_left_no_report_counts_nothing(tmp_path: Path):
    assert verb.counted(tmp_path / "none.xml") == verb.Count()


def test_the_last_line():
    assert str(verb.Count(3, 0) + verb.Count(2, 1)) == "5 passed, 1 failed"
    assert str(verb.Count(3, 0, 2)) == "3 passed, 0 failed, 2 skipped"


def test_every_folder_of_tests_is_run_once():
    (runs_the_rest,) = [suite for suite in verb.SUITES if suite.folders == ("tests",)]
    suites = (*verb.SUITES, verb.E2E)
    others = [folder for suite in suites if suite is not runs_the_rest for folder in suite.folders]
    assert sorted(runs_the_rest.ignored) == sorted(others)
    assert all((settings.REPOSITORY / folder).is_dir() for folder in others)


def test_no_variable_of_the_caller_decides_a_test(monkeypatch: pytest.MonkeyPatch):
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "DATE",
        "SERVICE",
        "MAKEFLAGS",
        "PYTEST_ADDOPTS",
        "SPARK_CONF_DIR",
    ):
        monkeypatch.setenv(name, "the caller's")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/ours.pem")
    seen = verb.environment(settings.Paths())
    assert [name for name, value in seen.items() if value == "the caller's"] == []
    assert seen["AWS_CA_BUNDLE"] == "/ours.pem"
