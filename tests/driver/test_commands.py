"""`create`, `submit`, `wait` and `terminate`, each on its own."""

import json

import pytest

from tests.driver.conftest import Run, Start, assert_ends_its_cluster_by_a_signal
from tests.driver.scripted_aws import Refusal, ScriptedAws


def test_create_returns_the_cluster_that_takes_steps(aws: ScriptedAws, driver: Run) -> None:
    done = driver("create", "--job", "a-job", "--date", "2026-11-21", "--output", "json")
    document = json.loads(done.stdout)
    assert (document["cluster_id"], document["state"], document["adopted"]) == ("j-1", "WAITING", False)
    assert aws.bodies("RunJobFlow")[0]["Name"].startswith("drydock-a-job-2026-11-21-")
    assert "TerminateJobFlows" not in aws.operations()


def test_create_again_finds_the_cluster_by_its_whole_name(aws: ScriptedAws, driver: Run) -> None:
    name = "drydock-a-job-2026-11-21-r1"
    active = {"Status": {"State": "STARTING"}}
    ended = {"Status": {"State": "TERMINATED"}}
    aws.answer(
        "ListClusters",
        {
            "Clusters": [
                {"Id": "j-9", "Name": f"{name}2", **active},
                {"Id": "j-8", "Name": name, **ended},
                {"Id": "j-1", "Name": name, **active},
            ]
        },
    )
    done = driver("create", "--job", "a-job", "--date", "2026-11-21", "--run-id", "r1", "--output", "json")
    document = json.loads(done.stdout)
    assert (document["cluster_id"], document["adopted"]) == ("j-1", True)
    assert "RunJobFlow" not in aws.operations()


def test_a_cluster_taken_over_that_does_not_start_is_left_to_its_maker(aws: ScriptedAws, driver: Run) -> None:
    listed = {"Id": "j-1", "Name": "drydock-a-job-2026-11-21-r1", "Status": {"State": "WAITING"}}
    aws.answer("ListClusters", {"Clusters": [listed]})
    aws.cluster_states("TERMINATING")
    done = driver("create", "--job", "a-job", "--date", "2026-11-21", "--run-id", "r1")
    assert done.returncode == 1
    assert "TerminateJobFlows" not in aws.operations()


@pytest.mark.parametrize("was_there", [False, True])
def test_who_ends_the_making_of_a_cluster_ends_the_cluster(aws: ScriptedAws, start: Start, was_there: bool) -> None:
    """Also one that an earlier attempt had made: the signal is meant for all of the run."""
    listed = {"Id": "j-1", "Name": "drydock-a-job-2026-11-21-r1", "Status": {"State": "STARTING"}}
    aws.answer("ListClusters", {"Clusters": [listed] if was_there else []})
    aws.cluster_states("STARTING")
    process = start("create", "--job", "a-job", "--date", "2026-11-21", "--run-id", "r1")
    aws.wait_for("DescribeCluster", times=2)
    assert_ends_its_cluster_by_a_signal(aws, process)


def test_a_cluster_that_takes_too_long_to_start_is_ended(aws: ScriptedAws, driver: Run) -> None:
    aws.cluster_states("STARTING", "STARTING", "STARTING", "STARTING", "TERMINATED")
    done = driver("create", "--job", "a-job", "--date", "2026-11-21", "--ready-timeout-seconds", "1")
    assert done.returncode == 1
    assert "Waited 1 s for cluster j-1 to start, which did not happen." in done.stderr
    assert "TerminateJobFlows" in aws.operations()


def test_submit_says_what_is_to_happen_on_failure_and_does_not_wait(aws: ScriptedAws, driver: Run) -> None:
    arguments = ("--cluster", "j-1", "--name", "seven", "--output", "json", "--", "bash", "-c", "exit 7 {x y}")
    done = driver("submit", *arguments)
    assert json.loads(done.stdout) == {"cluster_id": "j-1", "step_id": "s-1", "adopted": False}
    [step] = aws.bodies("AddJobFlowSteps")[0]["Steps"]
    assert step["ActionOnFailure"] == "CANCEL_AND_WAIT"
    assert step["HadoopJarStep"]["Args"] == ["bash", "-c", "exit 7 {x y}"]
    assert "DescribeStep" not in aws.operations()


def test_wait_waits_for_every_step_and_leaves_the_cluster(aws: ScriptedAws, driver: Run) -> None:
    listed = [{"Id": "s-2", "Status": {"State": "PENDING"}}, {"Id": "s-1", "Status": {"State": "RUNNING"}}]
    aws.answer("ListSteps", {"Steps": listed})
    states = {"s-1": ["RUNNING", "COMPLETED"], "s-2": ["PENDING", "RUNNING", "FAILED"]}

    def describe(body: dict[str, str]) -> dict[str, object]:
        left = states[body["StepId"]]
        state = left.pop(0) if len(left) > 1 else left[0]
        return {"Step": {"Id": body["StepId"], "Name": "n", "Status": {"State": state}}}

    aws.answer("DescribeStep", describe)
    aws.cluster_states("RUNNING")
    aws.put_log("stderr", "fine\n")
    for name in ("controller", "stderr"):
        aws.objects[f"logs/emr/j-1/steps/s-2/{name}.gz"] = aws.objects[f"logs/emr/j-1/steps/s-1/{name}.gz"]
    done = driver("wait", "--cluster", "j-1", "--output", "json")
    assert done.returncode == 1
    assert [(step["step_id"], step["state"]) for step in json.loads(done.stdout)["steps"]] == [
        ("s-1", "COMPLETED"),
        ("s-2", "FAILED"),
    ]
    assert done.stderr.splitlines()[-1] == "Cluster j-1: step s-2 (n) is FAILED."
    assert "TerminateJobFlows" not in aws.operations()


def test_wait_on_a_cluster_without_steps_is_wrong_usage(aws: ScriptedAws, driver: Run) -> None:
    assert driver("wait", "--cluster", "j-1").returncode == 2


def test_terminate_waits_until_the_cluster_is_gone(aws: ScriptedAws, driver: Run) -> None:
    aws.cluster_states("TERMINATING", "TERMINATING", "TERMINATED")
    done = driver("terminate", "--cluster", "j-1", "--output", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "TERMINATED"


@pytest.mark.parametrize("code", ["InvalidRequestException", "AccessDeniedException"])
def test_terminate_that_is_refused_is_a_failure(aws: ScriptedAws, driver: Run, code: str) -> None:
    aws.answer("TerminateJobFlows", Refusal(code, "no"))
    done = driver("terminate", "--cluster", "j-1")
    assert done.returncode == 1
    assert f"Cluster j-1 is still alive: {code}: no" in done.stderr
