"""Faults while the whole platform works: right states, right logs, nothing twice, and nothing left running."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drydock import processes
from drydock.supervision import Supervisor
from tests.platform.platform_rig import Platform, until
from tests.running import small_file_system

pytestmark = pytest.mark.full

# Longer than the control plane waits for a node that says nothing (30 s).
LOST_SECONDS = 90
AWAY_SECONDS = 30
BOTH_CORES = """
import sys, time
from pyspark.sql import SparkSession
context = SparkSession.builder.getOrCreate().sparkContext
open(sys.argv[1], "a").write("begun\\n")
while open(sys.argv[1]).read().count("go on") == 0:
    context.parallelize(range(8), 8).map(lambda number: number).count()
    time.sleep(0.5)
print("counted", context.parallelize(range(1000), 8).count())
"""


@pytest.fixture(autouse=True)
def whole(platform: Platform) -> Iterator[None]:
    """Each test begins and ends with a platform that is whole and empty."""
    up = platform.drydock("local-up")  # what was given up is started, and restarts are counted anew
    assert up.returncode == 0, up.stdout
    _end_all(platform)
    yield
    _end_all(platform)
    platform.assert_nothing_runs()


@pytest.fixture
def small_scratch(place: Platform) -> Iterator[Platform]:
    """A platform that is up, whose first node has a scratch of 48 MiB: a file system of its own."""
    with small_file_system(place.paths.nodes()[0].scratch):
        up = place.drydock("local-up")
        assert up.returncode == 0, up.stdout
        yield place


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    """A file that steps write to, so that it is known how often they ran."""
    return tmp_path / "witness"


def test_a_control_plane_killed_at_every_stage(platform: Platform, witness: Path) -> None:
    cluster_id = platform.run_job_flow("killed")
    _kill(platform, "emr")
    platform.await_cluster(cluster_id, "WAITING")
    step_id = _slow_step(platform, cluster_id, witness)
    _kill(platform, "emr")
    _let_go_on(witness)
    assert platform.await_step(cluster_id, step_id)["Status"]["State"] == "COMPLETED"
    assert witness.read_text().count("begun") == 1
    platform.await_log(cluster_id, f"steps/{step_id}/stdout", "the end")
    platform.client("emr").terminate_job_flows(JobFlowIds=[cluster_id])
    _kill(platform, "emr")
    reason = platform.await_cluster(cluster_id, "TERMINATED")["StateChangeReason"]
    assert reason["Code"] == "USER_REQUEST"


def test_a_step_that_ends_while_the_control_plane_is_away(platform: Platform, witness: Path) -> None:
    cluster_id = _waiting(platform)
    step_id = _slow_step(platform, cluster_id, witness)
    with _stopped(platform.pid_of("emr")):
        _let_go_on(witness)
        until(lambda: not _said(platform, "sleep 0.1"), "the step to end")
    assert platform.await_step(cluster_id, step_id)["Status"]["State"] == "COMPLETED"
    assert witness.read_text().count("begun") == 1


def test_a_node_killed_in_the_middle_of_a_step(platform: Platform, witness: Path) -> None:
    """The step goes on; the node that comes back takes it over."""
    cluster_id = _waiting(platform)
    step_id = _slow_step(platform, cluster_id, witness)
    _kill(platform, _service_of(platform, cluster_id, "MASTER"))
    _let_go_on(witness)
    assert platform.await_step(cluster_id, step_id)["Status"]["State"] == "COMPLETED"
    assert witness.read_text().count("begun") == 1
    platform.await_log(cluster_id, f"steps/{step_id}/stdout", "the end")


def test_a_master_that_says_nothing_for_a_minute_is_lost(platform: Platform, witness: Path) -> None:
    cluster_id = _waiting(platform)
    step_id = _slow_step(platform, cluster_id, witness)
    with _stopped(platform.pid_of(_service_of(platform, cluster_id, "MASTER"))):
        status = platform.await_cluster(cluster_id, "TERMINATED_WITH_ERRORS")
        assert status["StateChangeReason"] == {
            "Code": "INSTANCE_FAILURE",
            "Message": "The master node was terminated.",
        }
        assert platform.step(cluster_id, step_id)["Status"]["State"] in {"FAILED", "CANCELLED"}
    until(lambda: not _said(platform, "sleep 0.1"), "the lost node to end its step", seconds=LOST_SECONDS)
    assert witness.read_text().count("begun") == 1
    assert platform.cluster_state(_waiting(platform))  # a new cluster gets all three nodes


def test_a_core_that_is_lost_and_spark_goes_on(platform: Platform, witness: Path) -> None:
    platform.client("s3").put_object(
        Bucket="spark-job-data-input", Key="spark_app/both_cores.py", Body=BOTH_CORES.encode()
    )
    cluster_id = _waiting(platform)
    program = "s3://spark-job-data-input/spark_app/both_cores.py"
    step_id = platform.add_step(cluster_id, "spark-submit", program, str(witness))
    until(witness.exists, "the step's program to begin")
    lost = _instance(platform, cluster_id, "CORE")
    address = str(lost["PrivateIpAddress"])
    with _stopped(platform.pid_of(_service_at(platform, address))):
        for process in processes.running(platform.paths):
            if {"--host", "--hostname"} & set(process.cmdline()) and address in process.cmdline():
                process.kill()  # worker and executors
        until(
            lambda: _instance(platform, cluster_id, "CORE", lost["Id"])["Status"]["State"] == "TERMINATED",
            "the core to be missed",
            seconds=LOST_SECONDS,
        )
        _let_go_on(witness)
        assert platform.await_step(cluster_id, step_id)["Status"]["State"] == "COMPLETED"
        platform.await_log(cluster_id, f"steps/{step_id}/stdout", "counted 1000")
        assert platform.cluster_state(cluster_id) in {"RUNNING", "WAITING"}
    assert witness.read_text().count("begun") == 1


def test_a_gateway_that_is_away_for_half_a_minute(platform: Platform, witness: Path) -> None:
    cluster_id = _waiting(platform)
    step_id = _slow_step(platform, cluster_id, witness)
    with _stopped(platform.pid_of("gateway")):
        _let_go_on(witness)
        stopped_at = time.monotonic()
        until(lambda: not _said(platform, "sleep 0.1"), "the step to end")
        until(lambda: time.monotonic() - stopped_at > AWAY_SECONDS, "time to pass")
    assert platform.await_step(cluster_id, step_id)["Status"]["State"] == "COMPLETED"
    platform.await_log(cluster_id, f"steps/{step_id}/stdout", "the end")
    assert witness.read_text().count("begun") == 1


def test_two_clusters_wanted_on_three_nodes(platform: Platform) -> None:
    first = _waiting(platform)
    second = platform.run_job_flow("second")
    step_id = platform.add_step(first, "bash", "-c", "echo still here")
    assert platform.await_step(first, step_id)["Status"]["State"] == "COMPLETED"
    assert platform.cluster_state(second) == "STARTING"
    platform.client("emr").terminate_job_flows(JobFlowIds=[first])
    platform.await_cluster(second, "WAITING")
    assert platform.cluster_state(first) == "TERMINATED"


def test_a_step_that_will_not_go_ends_with_its_cluster(platform: Platform, witness: Path) -> None:
    cluster_id = _waiting(platform)
    child = "setsid bash -c 'trap \"\" TERM; while :; do sleep 0.1; done'"
    platform.add_step(cluster_id, "bash", "-c", f"trap '' TERM INT HUP; {child} & echo begun >> {witness}; wait")
    until(witness.exists, "the step to begin")
    platform.client("emr").terminate_job_flows(JobFlowIds=[cluster_id])
    platform.await_cluster(cluster_id, "TERMINATED")
    assert not _said(platform, "sleep 0.1")


@pytest.mark.parametrize(
    ("script", "log", "text"),
    [
        ("echo 'the pump is broken' >&2; exit 3", "stderr", "the pump is broken"),
        ("sudo python3.11 -m pip install --no-index not-there", "stderr", "No matching distribution found"),
    ],
)
def test_a_bootstrap_action_that_fails(platform: Platform, script: str, log: str, text: str) -> None:
    cluster_id = _bootstrapping(platform, script)
    status = platform.await_cluster(cluster_id, "TERMINATED_WITH_ERRORS")
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    failed = status["StateChangeReason"]["Message"]
    instances = platform.client("emr").list_instances(ClusterId=cluster_id)["Instances"]
    (instance,) = [instance for instance in instances if instance["Ec2InstanceId"] in failed]
    platform.await_log(cluster_id, f"node/{instance['Ec2InstanceId']}/bootstrap-actions/1/{log}", text)


def test_a_bootstrap_action_that_hangs_ends_with_its_cluster(platform: Platform) -> None:
    cluster_id = _bootstrapping(platform, "while :; do sleep 0.1; done")
    platform.await_cluster(cluster_id, "BOOTSTRAPPING")
    until(lambda: _said(platform, "hang.sh") or _said(platform, "sleep 0.1"), "the action to begin")
    platform.client("emr").terminate_job_flows(JobFlowIds=[cluster_id])
    platform.await_cluster(cluster_id, "TERMINATED")
    assert not _said(platform, "sleep 0.1")


def test_a_full_scratch_fails_its_steps_and_is_clean_for_the_next_cluster(small_scratch: Platform) -> None:
    platform = small_scratch
    cluster_id = _waiting(platform)
    fills = platform.add_step(cluster_id, "bash", "-c", "echo filling; cat /dev/zero > ~/filling; exit 5")
    comes_too_late = platform.add_step(cluster_id, "bash", "-c", "echo never")
    assert platform.await_step(cluster_id, fills)["Status"]["State"] == "FAILED"
    status = platform.await_step(cluster_id, comes_too_late)["Status"]
    assert status["State"] == "FAILED"
    assert "No space left on device" in status["FailureDetails"]["Message"]
    platform.await_log(cluster_id, f"steps/{fills}/stdout", "filling")
    platform.client("emr").terminate_job_flows(JobFlowIds=[cluster_id])
    platform.await_cluster(cluster_id, "TERMINATED")
    following = _waiting(platform)
    step_id = platform.add_step(following, "bash", "-c", "echo clean")
    assert platform.await_step(following, step_id)["Status"]["State"] == "COMPLETED"
    platform.await_log(following, f"steps/{step_id}/stdout", "clean")
    _end_all(platform)


def _waiting(platform: Platform) -> str:
    """A cluster that waits for steps; its id."""
    cluster_id = platform.run_job_flow("faults")
    platform.await_cluster(cluster_id, "WAITING")
    return cluster_id


def _bootstrapping(platform: Platform, script: str) -> str:
    platform.client("s3").put_object(
        Bucket="spark-job-data-input", Key="spark_app/action.sh", Body=f"#!/bin/bash\n{script}\n".encode()
    )
    action = {"Name": "action", "ScriptBootstrapAction": {"Path": "s3://spark-job-data-input/spark_app/action.sh"}}
    return platform.run_job_flow("bootstrap", BootstrapActions=[action])


def _slow_step(platform: Platform, cluster_id: str, witness: Path) -> str:
    """A step that has begun, and goes on until `_let_go_on`; its id."""
    script = f"echo begun >> {witness}; while ! grep -q 'go on' {witness}; do sleep 0.1; done; echo the end"
    step_id = platform.add_step(cluster_id, "bash", "-c", script)
    until(witness.exists, "the step to begin")
    return step_id


def _let_go_on(witness: Path) -> None:
    with witness.open("a") as file:
        file.write("go on\n")


def _said(platform: Platform, text: str) -> list[str]:
    """Command lines of the platform's processes that hold the text."""
    return [command for command in platform.everything_running() if text in command]


def _instance(platform: Platform, cluster_id: str, group: str, instance_id: str = "") -> dict[str, Any]:
    """The first instance of a group, or the one with that id."""
    listed = platform.client("emr").list_instances(ClusterId=cluster_id, InstanceGroupTypes=[group])["Instances"]
    return next(instance for instance in listed if instance_id in ("", instance["Id"]))


def _service_of(platform: Platform, cluster_id: str, group: str) -> str:
    return _service_at(platform, _instance(platform, cluster_id, group)["PrivateIpAddress"])


def _service_at(platform: Platform, address: str) -> str:
    return next(node.name for node in platform.paths.nodes() if node.host == address)


def _kill(platform: Platform, service: str) -> None:
    """kill -9, and wait until the supervisor has started it again."""
    killed = platform.pid_of(service)
    os.kill(killed, signal.SIGKILL)
    until(lambda: Supervisor(platform.paths).service_pids().get(service, killed) != killed, f"{service} to be back")
    until(lambda: _answers(platform.clusters), "EMR to answer")


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Exception:
        return False
    return True


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _end_all(platform: Platform) -> None:
    living = platform.clusters()
    if living:
        platform.client("emr").terminate_job_flows(JobFlowIds=living)
    until(lambda: not platform.clusters(), "all clusters to end", seconds=120)
