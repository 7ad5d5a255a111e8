"""Each stage of a day broken in turn: exit code, a sentence, no cluster alive, no process of a step left."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.platform_rig import Platform, Verb, until

DAY = "2026-03-08"


@pytest.fixture
def day(platform: Platform) -> Iterator[Verb]:
    """`drydock demo` of a small day, just started."""
    verb = platform.start("demo", f"--date={DAY}", "--rows=1000")
    yield verb
    if verb.process.poll() is None:
        verb.ctrl_c()
        verb.end()


def _assert_failed(verb: Verb, code: int) -> None:
    assert verb.end() == code, verb.text
    assert "Traceback" not in verb.text
    assert verb.text.splitlines()[-1].startswith("✗ "), verb.text


@pytest.mark.full
def test_a_generator_that_exits_1(platform: Platform, day: Verb) -> None:
    day.wait_for(f"Generating {DAY}")  # until then, the demo mends what is not as it was uploaded
    with platform.job_replaced("data_generator", "import sys\nsys.exit('the harbour is closed')\n"):
        _assert_failed(day, 1)
    assert "the harbour is closed" in day.text
    assert f"Generating {DAY} on cluster j-" in day.text
    assert "is FAILED" in day.text
    assert "The platform stays up" in day.text
    platform.assert_nothing_runs()


@pytest.mark.full
def test_jobs_that_succeed_and_write_nothing(platform: Platform) -> None:
    """No exit code tells: only who reads the day back can."""
    empty_day = "2026-03-09"
    verb = platform.start("demo", f"--date={empty_day}", "--rows=1000")
    verb.wait_for(f"Generating {empty_day}")
    with platform.job_replaced("data_generator", "pass"), platform.job_replaced("data_processor", "pass"):
        _assert_failed(verb, 1)
    assert f"Processed {empty_day}" in verb.text
    why = verb.text[verb.text.index("✗ ") :]
    assert "table route_efficiency" in why
    assert f"there is no s3://spark-job-data-source-1/data_source/shipment/ship_date={empty_day}/manifest.json" in why
    platform.assert_nothing_runs()


@pytest.mark.full
def test_a_termination_that_is_refused(platform: Platform, day: Verb) -> None:
    emr = platform.client("emr")
    cluster_id = platform.running_step()
    emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=True)
    day.ctrl_c()  # while the step runs: it must not go on when its cluster cannot be ended
    _assert_failed(day, 130)
    assert "Clusters of this run may be alive: An error occurred (ValidationException)" in day.text
    assert "termination protected" in day.text
    until(lambda: not platform.step_processes(), "the cancelled step to be gone", seconds=30)
    assert platform.clusters() == [cluster_id]
    emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    until(lambda: not platform.clusters(), "the cluster to end")


@pytest.mark.full
def test_a_termination_that_is_refused_after_a_job_went_well(platform: Platform, day: Verb) -> None:
    emr = platform.client("emr")
    day.wait_for(f"Generating {DAY}")
    protected = "import os, time\nwhile not os.path.exists(os.environ['HOME'] + '/go'): time.sleep(0.1)\n"
    with platform.job_replaced("data_generator", protected):
        cluster_id = platform.running_step()
        emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=True)
        for node in platform.paths.nodes():
            (node.scratch / "tenancy" / "home" / "go").touch()
        _assert_failed(day, 1)
    assert f"Cluster {cluster_id} is still alive: ValidationException" in day.text
    assert platform.clusters() == [cluster_id]
    emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    until(lambda: not platform.clusters(), "the cluster to end")


def test_ctrl_c_while_the_cluster_is_created(platform: Platform, day: Verb) -> None:
    until(platform.clusters, "a cluster")
    day.ctrl_c()
    _assert_failed(day, 130)
    assert f"Stopped while generating {DAY}. No cluster of this run is alive" in day.text
    platform.assert_nothing_runs()


def test_ctrl_c_in_the_generator(platform: Platform, day: Verb) -> None:
    platform.running_step()
    day.ctrl_c()
    _assert_failed(day, 130)
    assert f"Stopped while generating {DAY}." in day.text
    platform.assert_nothing_runs()


@pytest.mark.full
def test_ctrl_c_in_the_processor(platform: Platform, day: Verb) -> None:
    day.wait_for(f"Generated {DAY}")
    platform.running_step()
    day.ctrl_c()
    day.ctrl_c()  # an impatient user
    _assert_failed(day, 130)
    assert f"Stopped while processing {DAY}." in day.text
    platform.assert_nothing_runs()


def test_ctrl_c_in_the_summary(platform: Platform) -> None:
    gateway = platform.pid_of("gateway")
    os.kill(gateway, signal.SIGSTOP)  # the summary waits for it, for as long as the test needs
    try:
        verb = platform.start("summary", f"--date={DAY}")
        verb.wait_for(f"Reading {DAY} back")
        verb.ctrl_c()
        _assert_failed(verb, 130)
    finally:
        os.kill(gateway, signal.SIGCONT)


@pytest.mark.full
def test_a_driver_that_is_killed_leaves_no_cluster(platform: Platform, day: Verb) -> None:
    """The flow ends the cluster: its last task runs whatever becomes of the others."""
    platform.running_step()
    [driver] = until(lambda: platform.drivers("wait"), "the driver")
    driver.kill()
    _assert_failed(day, 1)
    assert "failed: task `wait` of execution" in day.text
    assert "is FAILED (exit code 137)" in day.text
    assert "No cluster of this run is alive. " in day.text
    platform.assert_nothing_runs()


@pytest.mark.full
def test_a_reader_that_is_gone(platform: Platform, day: Verb) -> None:
    """As with `make run | tee log`, whose tee a Ctrl-C ends first."""
    until(platform.clusters, "a cluster")
    day.stop_reading()
    assert day.process.wait(120) == 1
    assert "Traceback" not in day.text
    platform.assert_nothing_runs()


@pytest.mark.full
def test_a_gateway_that_is_gone_for_a_moment(platform: Platform, day: Verb) -> None:
    """It comes back with all that it had, the sessions of driver and nodes among them: the day goes on."""
    platform.running_step()
    os.kill(platform.pid_of("gateway"), signal.SIGKILL)
    assert day.end() == 0, day.text
    platform.assert_nothing_runs()


def test_ctrl_c_while_the_platform_comes_up(place: Platform) -> None:
    verb = place.start("demo", f"--date={DAY}", "--rows=1000")
    verb.wait_for("✓ gateway")
    verb.ctrl_c()
    _assert_failed(verb, 130)
    assert place.everything_running() == []


def test_a_terraform_that_fails(place: Platform, tmp_path: Path) -> None:
    terraform = tmp_path / "terraform"
    real = shutil.which("terraform")
    terraform.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec {real} "$@"\necho \'Error: the provider is seasick\' >&2\nexit 1\n'
    )
    terraform.chmod(0o755)
    verb = place.start("demo", f"--date={DAY}", "--rows=1000", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert verb.end() == 1, verb.text
    assert "✗ `terraform init` failed: Error: the provider is seasick" in verb.text
    assert "Traceback" not in verb.text
    assert place.everything_running() == []
