"""What flows use beyond what people do: outputs for Kestra, JSON in place of words, runs in place of ids."""

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drydock_driver import prices
from drydock_driver.errors import UsageError
from drydock_driver.platform_config import Platform, parse
from tests.driver.conftest import Run, Start, assert_ends_its_cluster_by_a_signal, complete_document
from tests.driver.scripted_aws import Refusal, ScriptedAws

RUN = ("--job", "a-job", "--date", "2026-11-21", "--run-id", "r1")
NAME = "drydock-a-job-2026-11-21-r1"


def platform(**more: Any) -> Platform:
    return parse({**complete_document(), **more}, "a test")


def outputs(stdout: str) -> dict[str, Any]:
    """What Kestra takes for the task's outputs."""
    line = stdout.splitlines()[-1]
    assert line.startswith("::")
    assert line.endswith("::")
    told: dict[str, Any] = json.loads(line[2:-2])["outputs"]
    return told


def test_the_result_is_a_line_for_kestra_after_lines_for_people(aws: ScriptedAws, driver: Run) -> None:
    done = driver("create", *RUN, "--output", "kestra")
    assert outputs(done.stdout)["cluster_id"] == "j-1"
    assert "cluster j-1 WAITING" in done.stdout


def test_a_run_s_own_settings_go_before_the_platform_s(aws: ScriptedAws, driver: Run) -> None:
    wishes = {
        "core_count": 1,
        "instance_type": "m5.4xlarge",
        "release_label": None,
        "bootstrap_actions": [{"name": "Other", "path": "{application_uri}/other.sh", "args": ["{log_uri}"]}],
    }
    driver("create", *RUN, "--cluster-settings", json.dumps(wishes))
    (asked,) = aws.bodies("RunJobFlow")
    groups = [(g["InstanceRole"], g["InstanceType"], g["InstanceCount"]) for g in asked["Instances"]["InstanceGroups"]]
    assert groups == [("MASTER", "m5.4xlarge", 1), ("CORE", "m5.4xlarge", 1)]
    assert asked["ReleaseLabel"] == "emr-7.13.0"
    script = {"Path": "s3://input/spark_app/other.sh", "Args": ["s3://logs/emr"]}
    assert asked["BootstrapActions"] == [{"Name": "Other", "ScriptBootstrapAction": script}]


def test_a_cluster_of_one_node_has_no_core_group(aws: ScriptedAws, driver: Run) -> None:
    driver("create", *RUN, "--cluster-settings", '{"core_count": 0}')
    (asked,) = aws.bodies("RunJobFlow")
    assert [group["InstanceRole"] for group in asked["Instances"]["InstanceGroups"]] == ["MASTER"]


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"cores": 2}, "no setting `cores`"),
        ({"core_count": "2"}, "expected a int"),
        ({"core_count": True}, "expected a int"),
        ({"core_count": -1}, "has none or more"),
        ({"applications": "Spark"}, "expected a list"),
        ({"bootstrap_actions": ["s3://x/y.sh"]}, "expected an object with `name`"),
        ({"bootstrap_actions": [{"name": "n", "path": "{nothing}/x"}]}, "unknown placeholder"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wishes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        platform().changed(wishes)


@pytest.mark.parametrize("settings", ["{", "[]", '"x"'])
def test_settings_that_are_no_object_are_wrong_usage(aws: ScriptedAws, driver: Run, settings: str) -> None:
    done = driver("create", *RUN, "--cluster-settings", settings)
    assert done.returncode == 2
    assert "--cluster-settings" in done.stderr
    assert aws.operations() == []


def test_a_command_can_be_a_json_list(aws: ScriptedAws, driver: Run) -> None:
    words = ["spark-submit", "{application_uri}/a.py", 'it\'s "quoted" $HOME']
    driver("submit", "--cluster", "j-1", "--name", "n", "--args-json", json.dumps(words))
    [step] = aws.bodies("AddJobFlowSteps")[0]["Steps"]
    assert step["HadoopJarStep"]["Args"] == ["spark-submit", "s3://input/spark_app/a.py", words[2]]


@pytest.mark.parametrize(
    "command",
    [(), ("--args-json", "[]"), ("--args-json", "[1]"), ("--args-json", "true"), ("--args-json", '["a"]', "b")],
)
def test_a_command_that_is_none_or_two_is_wrong_usage(aws: ScriptedAws, driver: Run, command: tuple[str, ...]) -> None:
    done = driver("submit", "--cluster", "j-1", "--name", "n", *command)
    assert done.returncode == 2
    assert "AddJobFlowSteps" not in aws.operations()


def test_where_a_step_s_logs_are_is_among_the_outputs(aws: ScriptedAws, driver: Run) -> None:
    done = driver("wait", "--cluster", "j-1", "--step", "s-1", "--output", "kestra")
    (step,) = outputs(done.stdout)["steps"]
    assert step["logs"] == "s3://logs/emr/j-1/steps/s-1/"


@pytest.mark.parametrize(
    ("state", "told"), [("COMPLETED", {"rows": 8, "stale_days": []}), ("FAILED", None), ("CANCELLED", None)]
)
def test_what_a_step_says_it_has_done_is_told_at_the_end(
    aws: ScriptedAws, driver: Run, state: str, told: dict[str, Any] | None
) -> None:
    aws.answer("ListClusters", {"Clusters": [{"Id": "j-1", "Name": NAME, "Status": {"State": "TERMINATED"}}]})
    aws.cluster_states("TERMINATED")
    aws.answer("ListSteps", {"Steps": [{"Id": "s-1", "Name": "n", "Status": {"State": state}}]})
    aws.put_log("stdout", 'words\n{"rows": 7}\n{"rows": 8, "stale_days": []}\nmore\n{broken\n')
    aws.put_log("controller", "INFO Step succeeded with exitCode 0 and took 3 seconds\n")
    done = driver("terminate", *RUN, "--output", "kestra", "--late-logs-seconds", "5")
    (step,) = outputs(done.stdout)["steps"]
    assert (step["state"], step["told"]) == (state, told)


def test_who_ends_the_wait_ends_the_cluster_where_that_is_asked_for(aws: ScriptedAws, start: Start) -> None:
    aws.step_states("RUNNING")
    aws.cluster_states("RUNNING")
    process = start("wait", "--cluster", "j-1", "--step", "s-1", "--end-cluster-on-signal")
    aws.wait_for("DescribeStep", times=2)
    assert_ends_its_cluster_by_a_signal(aws, process)


def test_who_ends_the_submission_of_a_step_ends_the_cluster_where_that_is_asked_for(
    aws: ScriptedAws, start: Start
) -> None:
    throttled = Refusal("ThrottlingException", "slower, please")
    aws.answer("AddJobFlowSteps", throttled)
    process = start("submit", "--cluster", "j-1", "--name", "n", "--end-cluster-on-signal", "--", "true")
    aws.wait_for("AddJobFlowSteps", times=2)
    assert_ends_its_cluster_by_a_signal(aws, process)


def test_who_ends_a_wait_leaves_the_cluster_otherwise(aws: ScriptedAws, start: Start) -> None:
    aws.step_states("RUNNING")
    aws.cluster_states("RUNNING")
    process = start("wait", "--cluster", "j-1", "--step", "s-1")
    aws.wait_for("DescribeStep", times=2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert "TerminateJobFlows" not in aws.operations()


def test_a_run_s_cluster_is_ended_by_the_run_s_name(aws: ScriptedAws, driver: Run) -> None:
    listed = [
        {"Id": "j-9", "Name": f"{NAME}2", "Status": {"State": "WAITING"}},
        {"Id": "j-1", "Name": NAME, "Status": {"State": "WAITING"}},
    ]
    aws.answer("ListClusters", {"Clusters": listed})
    aws.cluster_states("TERMINATING", "TERMINATED")
    done = driver("terminate", *RUN, "--output", "kestra")
    assert outputs(done.stdout)["state"] == "TERMINATED"
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_a_run_without_a_cluster_needs_no_end(aws: ScriptedAws, driver: Run) -> None:
    done = driver("terminate", *RUN, "--output", "kestra")
    assert done.returncode == 0
    assert outputs(done.stdout) == {"cluster_id": None, "state": None, "steps": []}


@pytest.mark.parametrize("named", [(), ("--cluster", "j-1", "--job", "a-job"), ("--job", "a-job", "--run-id", "r1")])
def test_an_end_has_to_be_of_something(driver: Run, named: tuple[str, ...]) -> None:
    done = driver("terminate", *named)
    assert done.returncode == 2
    assert "either --cluster, or --job, --date and --run-id" in done.stderr


BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "more", "cost"),
    [
        (3600, {}, 0.24 + 2 * 0.48),
        (1800, {"core_count": 0}, 0.12),
        (1, {"core_count": 0}, 0.004),  # a minute at least
        (3600, {"region": "eu-west-1"}, None),
        (3600, {"instance_types": {"master": "m5.xlarge", "core": "x9.huge"}}, None),
    ],
)
def test_costs_are_list_prices_by_the_second(seconds: int, more: dict[str, Any], cost: float | None) -> None:
    estimate = prices.estimate(platform(**{"region": "us-east-1", **more}), BEGAN, BEGAN + timedelta(seconds=seconds))
    assert estimate == (None if cost is None else pytest.approx(cost, abs=1e-4))


def test_a_cluster_that_has_not_ended_has_no_cost_yet() -> None:
    assert prices.estimate(platform(region="us-east-1"), BEGAN, None) is None
