"""The fixtures of `examples/ci`, copied into somebody's repository: on a platform that runs, and where none does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drydock import settings
from tests.platform.platform_rig import DRYDOCK, Platform

EXAMPLE = settings.REPOSITORY / "examples" / "ci"
SECONDS = 900
pytestmark = pytest.mark.full
# In the place of a checkout: its Makefile, without the set-up, which these platforms borrow.
MAKEFILE = f"""
$(if $(FORM),$(error No target takes FORM))
env local-up local-down:
\t@"{DRYDOCK}" $@
"""
FAILING = """
def test_it_fails(submit, tmp_path):
    program = tmp_path / "job.py"
    program.write_text("print('at sea'); raise ValueError('the harbour is closed')")
    submit(program)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's tests, and Drydock beside them."""
    shutil.copytree(EXAMPLE, tmp_path / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "drydock").mkdir()
    (tmp_path / "drydock" / "Makefile").write_text(MAKEFILE)
    return tmp_path / "jobs"


def run_tests(platform: Platform, repository: Path) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in platform.environment.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=repository,
        env=inherited | {"MAKEFLAGS": "-- FORM=1"},  # as a make would leave it that was told something
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def test_a_platform_that_runs_is_used_and_left_running(platform: Platform, repository: Path) -> None:
    (repository / "test_failing.py").write_text(FAILING)
    gateway = platform.pid_of("gateway")
    ended = run_tests(platform, repository)
    assert "1 failed, 2 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "StepFailed: job.py (s-" in ended.stdout
    assert "at sea" in ended.stdout
    assert "ValueError: the harbour is closed" in ended.stdout
    assert platform.pid_of("gateway") == gateway
    assert platform.clusters() == []
    listed = platform.client("s3").list_objects_v2(Bucket="spark-job-data-output", Prefix="tests/")
    assert listed["KeyCount"] == 0


def test_where_nothing_runs_the_platform_is_there_for_the_session(place: Platform, repository: Path) -> None:
    ended = run_tests(place, repository)
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr
    assert place.everything_running() == []
