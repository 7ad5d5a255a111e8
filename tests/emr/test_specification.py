"""What EMR's model and documentation say that is about no single operation; and that docs/emr-fidelity.md says how each
of it is held."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drydock import settings
from drydock_emr.api import operations, requests, shapes
from drydock_emr.node_protocol import CancelOption
from drydock_emr.state import transitions
from drydock_emr.state.cluster import (
    ActionOnFailure,
    Cluster,
    ClusterState,
    Instance,
    InstanceRole,
    InstanceState,
    ReasonCode,
    StepState,
)
from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, step
from tests.emr.test_lifecycle import status

PAGE = (settings.REPOSITORY / "docs" / "emr-fidelity.md").read_text()


@pytest.mark.parametrize(
    ("enumeration", "shape"),
    [
        (ClusterState, "ClusterState"),
        (ReasonCode, "ClusterStateChangeReasonCode"),
        (StepState, "StepState"),
        (ActionOnFailure, "ActionOnFailure"),
        (CancelOption, "StepCancellationOption"),
        (InstanceState, "InstanceState"),
        (InstanceRole, "InstanceGroupType"),
    ],
)
def test_enumerations_are_the_model_s(enumeration: type, shape: str) -> None:
    assert sorted(enumeration) == sorted(shapes.service_model().shape_for(shape).enum)


def test_ids_and_arns_look_like_emr_s(emr: Emr, fleet: Fleet) -> None:
    client = emr.client(account_id="123456789012", region="eu-west-1")
    cluster_id = fleet.start(client, Steps=[step("s")])
    assert re.fullmatch(r"j-[A-Z0-9]{12,14}", cluster_id)
    arn = client.describe_cluster(ClusterId=cluster_id)["Cluster"]["ClusterArn"]
    assert arn == f"arn:aws:elasticmapreduce:eu-west-1:123456789012:cluster/{cluster_id}"
    assert re.fullmatch(r"s-[A-Z0-9]{13,20}", client.list_steps(ClusterId=cluster_id)["Steps"][0]["Id"])
    instance = client.list_instances(ClusterId=cluster_id)["Instances"][0]
    assert re.fullmatch(r"ig-[A-Z0-9]{12,14}", instance["InstanceGroupId"])
    assert re.fullmatch(r"ci-[A-Z0-9]{12,14}", instance["Id"])
    assert re.fullmatch(r"i-[0-9a-f]{17}", instance["Ec2InstanceId"])


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("RunJobFlow", "InternalServerError"),
        ("CancelSteps", "InternalServerError"),
        ("DescribeStep", "InternalServerException"),
        ("ListClusters", "InternalServerException"),
    ],
)
def test_an_error_of_the_service_s_own_is_named_as_the_model_names_it(
    emr: Emr, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, operation: str, code: str
) -> None:
    async def break_down(*_: object) -> dict[str, object]:
        raise ZeroDivisionError

    monkeypatch.setitem(operations.BUILT, operation, break_down)
    documents = {
        "RunJobFlow": b'{"Name": "n", "Instances": {}}',
        "CancelSteps": b'{"ClusterId": "j-1", "StepIds": []}',
        "DescribeStep": b'{"ClusterId": "j-1", "StepId": "s-1"}',
    }
    response = emr.send(operation, documents.get(operation, b"{}"))
    assert (response.status_code, response.json()["__type"]) == (500, code)
    request_id = response.headers["x-amzn-requestid"]
    assert request_id in response.json()["message"]
    assert f"Request {request_id} failed" in caplog.text, "the log tells what the caller is not told"


def test_sixteen_bootstrap_actions_are_taken_and_no_more(emr: Emr) -> None:
    client = emr.client()
    action = {"Name": "a", "ScriptBootstrapAction": {"Path": "s3://b/a.sh"}}
    cluster_id = client.run_job_flow(**run_job_flow(BootstrapActions=[action] * 16))["JobFlowId"]
    assert len(client.list_bootstrap_actions(ClusterId=cluster_id)["BootstrapActions"]) == 16
    with pytest.raises(client.exceptions.ClientError, match="maximum of 16 bootstrap actions"):
        client.run_job_flow(**run_job_flow(BootstrapActions=[action] * 17))


def test_ten_clusters_can_be_terminated_at_once(emr: Emr) -> None:
    client = emr.client()
    ids = [client.run_job_flow(**run_job_flow())["JobFlowId"] for _ in range(11)]
    with pytest.raises(client.exceptions.ClientError, match="At most 10 job flows") as refusal:
        client.terminate_job_flows(JobFlowIds=ids)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    client.terminate_job_flows(JobFlowIds=ids[:10])
    assert [state_of(client, cluster_id) for cluster_id in ids] == ["TERMINATED"] * 10 + ["STARTING"]
    client.terminate_job_flows(JobFlowIds=ids[:10])


def test_a_lost_master_is_an_instance_failure() -> None:
    """To the end of the cluster; who loses what is in the tests of the state machine."""
    cluster = waiting_cluster()
    master = cluster.master
    assert master is not None
    transitions.observe(cluster, {}, {master.node}, set(), now=10)
    transitions.observe(cluster, {}, {instance.node for instance in cluster.instances}, set(), now=11)
    transitions.advance(cluster, now=11)
    assert cluster.state is ClusterState.TERMINATED_WITH_ERRORS
    assert (cluster.reason_code, cluster.reason_message) == (
        ReasonCode.INSTANCE_FAILURE,
        "The master node was terminated.",
    )


@pytest.mark.parametrize("seconds", [60, 604_800])
def test_an_idle_cluster_ends_when_its_policy_says_so(seconds: int) -> None:
    cluster = waiting_cluster(idle_timeout_seconds=seconds, idle_since=1000)
    transitions.advance(cluster, now=1000 + seconds - 1)
    assert cluster.state is ClusterState.WAITING
    transitions.advance(cluster, now=1000 + seconds)
    assert cluster.state is ClusterState.TERMINATING
    assert cluster.reason_message == "Terminated by auto-termination policy"


def test_a_step_is_no_idleness_and_begins_it_anew() -> None:
    cluster = waiting_cluster(idle_timeout_seconds=60, idle_since=1000)
    requests.add_steps(cluster, [step("s")], now=1030)
    transitions.advance(cluster, now=1030)
    assert cluster.idle_since is None
    transitions.advance(cluster, now=5000)
    assert cluster.state is ClusterState.RUNNING
    cluster.steps[0].state = StepState.COMPLETED
    transitions.advance(cluster, now=5010)
    assert (cluster.state, cluster.idle_since) == (ClusterState.WAITING, 5010)


def test_a_protected_cluster_may_be_idle() -> None:
    cluster = waiting_cluster(idle_timeout_seconds=60, idle_since=1000, termination_protected=True)
    transitions.advance(cluster, now=10**6)
    assert cluster.state is ClusterState.WAITING


def test_idle_timeouts_have_bounds_and_a_default(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(AutoTerminationPolicy={}))["JobFlowId"]
    assert client.get_auto_termination_policy(ClusterId=cluster_id)["AutoTerminationPolicy"] == {"IdleTimeout": 3600}
    for seconds in (60, 604_800):
        client.put_auto_termination_policy(ClusterId=cluster_id, AutoTerminationPolicy={"IdleTimeout": seconds})
    for seconds in (59, 604_801):
        with pytest.raises(client.exceptions.ClientError, match="between 60 and 604800"):
            client.put_auto_termination_policy(ClusterId=cluster_id, AutoTerminationPolicy={"IdleTimeout": seconds})


def test_a_cluster_s_timeline_and_reasons(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]

    def timeline() -> set[str]:
        return set(client.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["Timeline"])

    assert status(client, cluster_id) == ("STARTING", None, "Provisioning Amazon EC2 capacity")
    assert timeline() == {"CreationDateTime"}
    fleet.until(lambda: state_of(client, cluster_id) == "WAITING", "the cluster")
    assert timeline() == {"CreationDateTime", "ReadyDateTime"}
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    fleet.until(lambda: state_of(client, cluster_id) == "TERMINATED", "the end")
    assert timeline() == {"CreationDateTime", "ReadyDateTime", "EndDateTime"}


def test_every_test_that_the_documentation_names_exists() -> None:
    named = set(re.findall(r"`((?:\w+/)?test_\w+)::([\w.]+)`", PAGE))
    assert len(named) > 40
    missing = [f"{module}::{name}" for module, name in sorted(named) if name not in set(_tests(module))]
    assert not missing


def test_every_row_of_the_specification_is_held_or_explained() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.split("## The specification, held")[1].split("\n## ")[0].splitlines()
        if line.startswith("|") and not line.startswith(("|--", "| EMR "))
    ]
    assert len(rows) > 50
    for said, how in rows:
        assert re.search(r"`(?:\w+/)?test_\w+::", how) or how.startswith("differs: "), said


def _tests(module: str) -> Iterator[str]:
    """The names of a module's tests; those in a class as `Class.test`. Modules without a folder are this one's."""
    path = settings.REPOSITORY / "tests" / Path(module if "/" in module else f"emr/{module}").with_suffix(".py")
    if not path.is_file():
        return
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{member.name}" for member in node.body if isinstance(member, ast.FunctionDef))


def waiting_cluster(**changed: object) -> Cluster:
    """A cluster of three instances that waits for steps."""
    cluster = requests.new_cluster(run_job_flow(), "0" * 12, "us-east-1", now=0)
    for index, group in enumerate([*cluster.groups, cluster.groups[1]]):
        cluster.instances.append(
            Instance(
                id=f"ci-{index}",
                ec2_instance_id=f"i-{index}",
                group_id=group.id,
                role=group.role,
                instance_type=group.instance_type,
                node=f"node-{index}",
                address=f"127.0.0.{11 + index}",
                created_at=0,
                state=InstanceState.RUNNING,
            )
        )
    cluster.state, cluster.ready_at, cluster.idle_since = ClusterState.WAITING, 1, 1
    for name, value in changed.items():
        setattr(cluster, name, value)
    return cluster
