"""A stopped driver ends its cluster first: by Ctrl-C, by an orchestrator's SIGTERM, with nobody left to read."""

import signal
import subprocess

import pytest

from tests.driver.conftest import Start
from tests.driver.scripted_aws import LostAnswer, Refusal, ScriptedAws

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def running(aws: ScriptedAws, start: Start, run_arguments: list[str]) -> "subprocess.Popen[str]":
    """A driver whose step runs and would run for ever."""
    aws.step_states("RUNNING")
    aws.cluster_states("WAITING")
    process = start(*run_arguments)
    aws.wait_for("DescribeStep", times=2)
    return process


@pytest.mark.parametrize("number", EXIT_CODES)
def test_a_signal_ends_the_cluster(aws: ScriptedAws, running: "subprocess.Popen[str]", number: signal.Signals) -> None:
    aws.cluster_states("RUNNING", "TERMINATING", "TERMINATED")
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=30)
    assert running.returncode == EXIT_CODES[number]
    assert stderr.strip() == f"Stopped by {number.name}."
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]
    assert "cluster j-1 TERMINATED" in stdout


def test_further_signals_do_not_cut_the_end_short(aws: ScriptedAws, running: "subprocess.Popen[str]") -> None:
    aws.cluster_states("TERMINATING")
    running.send_signal(signal.SIGINT)
    aws.wait_for("TerminateJobFlows")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        seen = aws.operations().count("DescribeCluster")
        running.send_signal(number)
        aws.wait_for("DescribeCluster", times=seen + 2)
        assert running.poll() is None
    aws.cluster_states("TERMINATED")
    stdout, _ = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "still ending cluster j-1" in stdout
    assert stdout.rstrip().endswith("cluster j-1 TERMINATED")


def test_nobody_reading_does_not_keep_the_cluster_alive(aws: ScriptedAws, running: "subprocess.Popen[str]") -> None:
    """An orchestrator that kills a task closes the task's pipes first."""
    aws.cluster_states("TERMINATING", "TERMINATED")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    running.stderr.close()
    running.terminate()
    assert running.wait(timeout=30) == 143
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_a_signal_while_the_create_is_on_its_way_waits_for_its_answer(
    aws: ScriptedAws, start: Start, run_arguments: list[str]
) -> None:
    """Between AWS's carrying `RunJobFlow` out and our reading the id there is no moment to be torn apart in."""
    holder: list[subprocess.Popen[str]] = []

    def slowly(_: dict[str, object]) -> dict[str, object]:
        holder[0].send_signal(signal.SIGTERM)
        return {"JobFlowId": "j-1"}

    aws.answer("RunJobFlow", slowly)
    aws.cluster_states("STARTING", "TERMINATED")
    holder.append(start(*run_arguments))
    assert holder[0].wait(timeout=30) == 143
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_a_signal_before_the_create_creates_nothing(aws: ScriptedAws, start: Start, run_arguments: list[str]) -> None:
    holder: list[subprocess.Popen[str]] = []

    def listing(_: dict[str, object]) -> dict[str, object]:
        holder[0].send_signal(signal.SIGINT)
        return {"Clusters": []}

    aws.answer("ListClusters", listing)
    holder.append(start(*run_arguments))
    assert holder[0].wait(timeout=30) == 130
    assert "RunJobFlow" not in aws.operations()


def test_a_stopped_create_ends_its_cluster(aws: ScriptedAws, start: Start) -> None:
    aws.cluster_states("STARTING")
    process = start("create", "--job", "a", "--date", "2026-11-21")
    aws.wait_for("DescribeCluster", times=2)
    aws.cluster_states("TERMINATED")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_a_stopped_run_whose_cluster_may_not_be_ended_exits_1(
    aws: ScriptedAws, running: "subprocess.Popen[str]"
) -> None:
    aws.answer("TerminateJobFlows", Refusal("ValidationException", "termination protected"))
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 1
    assert stderr.startswith("Stopped by SIGINT. Cluster j-1 is still alive: ValidationException")


def test_a_stop_while_a_lost_create_is_looked_for_ends_what_is_found(
    aws: ScriptedAws, start: Start, run_arguments: list[str]
) -> None:
    name = "drydock-data-generation-2026-11-21-r1"
    listed = {"Clusters": [{"Id": "j-1", "Name": name, "Status": {"State": "STARTING"}}]}
    aws.answer("RunJobFlow", LostAnswer())
    aws.cluster_states("STARTING", "TERMINATED")
    process = start(*run_arguments)
    aws.wait_for("ListClusters", times=2)
    process.send_signal(signal.SIGTERM)
    aws.answer("ListClusters", listed)
    assert process.wait(timeout=30) == 143
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_a_signal_ends_the_wait_for_late_logs_and_changes_no_result(
    aws: ScriptedAws, start: Start, run_arguments: list[str]
) -> None:
    aws.step_states("FAILED")
    aws.cluster_states("WAITING", "TERMINATED")
    aws.drop_log("controller")
    process = start(*run_arguments)
    aws.wait_for("TerminateJobFlows")
    assert process.stdout is not None
    while "Waiting for them, 360 s at most" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == "Cluster j-1: step s-1 (a step) is FAILED."


def test_a_signal_ends_the_wait_of_a_throttled_create(aws: ScriptedAws, start: Start, run_arguments: list[str]) -> None:
    aws.answer("RunJobFlow", Refusal("ThrottlingException", "Rate exceeded"))
    process = start(*run_arguments)
    aws.wait_for("RunJobFlow", times=2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143
    assert "TerminateJobFlows" not in aws.operations()
