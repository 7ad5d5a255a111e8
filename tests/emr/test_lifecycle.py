"""Clusters and steps from birth to end, through boto3 and the nodes' protocol."""

from typing import Any

import pytest

from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, step, wait_for


def status(client: Any, cluster_id: str) -> tuple[str, str | None, str | None]:
    found = client.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]
    return found["State"], found["StateChangeReason"].get("Code"), found["StateChangeReason"].get("Message")


def step_states(client: Any, cluster_id: str) -> list[str]:
    """Oldest first."""
    return [s["Status"]["State"] for s in reversed(client.list_steps(ClusterId=cluster_id)["Steps"])]


@pytest.mark.both_databases
def test_a_kept_cluster_becomes_ready_runs_a_step_and_ends_on_request(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    wait_for(lambda: state_of(client, cluster_id) == "BOOTSTRAPPING", "nodes for the cluster")
    assert status(client, cluster_id) == ("BOOTSTRAPPING", None, "Running bootstrap actions")
    fleet.turns()
    assert status(client, cluster_id) == ("WAITING", None, "Cluster ready to run steps.")

    (step_id,) = client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("one")])["StepIds"]
    assert status(client, cluster_id)[0] == "RUNNING"
    fleet.nodes[0].exit_codes["one"] = 0
    fleet.turns()
    assert client.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]["State"] == "COMPLETED"
    assert status(client, cluster_id) == ("WAITING", None, "Cluster ready after last step completed.")

    client.terminate_job_flows(JobFlowIds=[cluster_id])
    assert status(client, cluster_id) == ("TERMINATING", "USER_REQUEST", "Terminated by user request")
    fleet.turns()
    assert status(client, cluster_id) == ("TERMINATED", "USER_REQUEST", "Terminated by user request")
    timeline = client.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["Timeline"]
    assert timeline["CreationDateTime"] <= timeline["ReadyDateTime"] <= timeline["EndDateTime"]


def test_a_cluster_waits_in_starting_while_nodes_are_taken(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    first = fleet.start(client)
    second = client.run_job_flow(**run_job_flow())["JobFlowId"]
    fleet.turns()
    assert status(client, second) == ("STARTING", None, "Provisioning Amazon EC2 capacity")
    client.terminate_job_flows(JobFlowIds=[first])
    fleet.until(lambda: state_of(client, second) == "WAITING", "the nodes that the first cluster had")


@pytest.mark.parametrize(
    ("keep_alive", "action", "expected", "later_step"),
    [
        (False, "CONTINUE", ("TERMINATED", "STEP_FAILURE", "Steps completed with errors"), "COMPLETED"),
        (False, "CANCEL_AND_WAIT", ("TERMINATED", "STEP_FAILURE", "Steps completed with errors"), "CANCELLED"),
        (True, "CANCEL_AND_WAIT", ("WAITING", None, "Cluster ready after last step failed."), "CANCELLED"),
        (
            True,
            "TERMINATE_CLUSTER",
            ("TERMINATED_WITH_ERRORS", "STEP_FAILURE", "Shut down as step failed"),
            "CANCELLED",
        ),
        (
            True,
            "TERMINATE_JOB_FLOW",
            ("TERMINATED_WITH_ERRORS", "STEP_FAILURE", "Shut down as step failed"),
            "CANCELLED",
        ),
        (True, None, ("TERMINATED_WITH_ERRORS", "STEP_FAILURE", "Shut down as step failed"), "CANCELLED"),
    ],
)
def test_action_on_failure(
    emr: Emr, fleet: Fleet, keep_alive: bool, action: str | None, expected: tuple[str, str, str], later_step: str
) -> None:
    fleet.nodes[0].exit_codes.update(bad=7, later=0)
    client = emr.client()
    request = run_job_flow(
        Instances={"KeepJobFlowAliveWhenNoSteps": keep_alive},
        Steps=[step("bad", on_failure=action), step("later")],
    )
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    fleet.until(lambda: state_of(client, cluster_id) == expected[0], expected[0])
    assert status(client, cluster_id) == expected
    assert step_states(client, cluster_id) == ["FAILED", later_step]


def test_all_steps_completed_ends_a_transient_cluster(emr: Emr, fleet: Fleet) -> None:
    fleet.nodes[0].exit_codes.update(a=0, b=0)
    client = emr.client()
    request = run_job_flow(Instances={"KeepJobFlowAliveWhenNoSteps": False}, Steps=[step("a"), step("b")])
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    fleet.until(lambda: state_of(client, cluster_id) == "TERMINATED", "the end")
    assert status(client, cluster_id) == ("TERMINATED", "ALL_STEPS_COMPLETED", "Steps completed")
    assert step_states(client, cluster_id) == ["COMPLETED", "COMPLETED"]


@pytest.mark.both_databases
def test_cancelling_pending_running_and_finished_steps(emr: Emr, fleet: Fleet) -> None:
    fleet.nodes[0].exit_codes["done"] = 0
    client = emr.client()
    cluster_id = fleet.start(client, Steps=[step("done"), step("runs"), step("waits")])
    fleet.turns()
    assert step_states(client, cluster_id) == ["COMPLETED", "RUNNING", "PENDING"]
    ids = [s["Id"] for s in reversed(client.list_steps(ClusterId=cluster_id)["Steps"])]
    answers = client.cancel_steps(ClusterId=cluster_id, StepIds=ids)["CancelStepsInfoList"]
    assert [answer["Status"] for answer in answers] == ["FAILED", "SUBMITTED", "SUBMITTED"]
    fleet.turns()
    assert step_states(client, cluster_id) == ["COMPLETED", "CANCELLED", "CANCELLED"]
    assert status(client, cluster_id)[0] == "WAITING"


def test_protected_clusters_refuse_while_others_of_the_same_call_end(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    kept = fleet.start(client, Instances={"TerminationProtected": True})
    other = client.run_job_flow(**run_job_flow())["JobFlowId"]
    with pytest.raises(client.exceptions.ClientError, match="termination protected") as refusal:
        client.terminate_job_flows(JobFlowIds=[kept, other])
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    fleet.turns()
    assert status(client, kept)[0] == "WAITING"
    assert status(client, other)[0] == "TERMINATED"


def test_a_failed_bootstrap_action_ends_the_cluster(emr: Emr, fleet: Fleet) -> None:
    from drydock_emr.node_protocol import NodeFailure, Phase

    client = emr.client()
    for node in fleet.nodes:
        node.bootstraps = False
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    fleet.until(lambda: state_of(client, cluster_id) == "BOOTSTRAPPING", "nodes for the cluster")
    fleet.turns(1)
    fleet.nodes[0].phase = Phase.FAILED
    fleet.nodes[0].failure = NodeFailure(message="returned a non-zero return code", bootstrap_action=1)
    fleet.turns()
    state, code, message = status(client, cluster_id)
    assert (state, code) == ("TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE")
    master = client.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["MASTER"])["Instances"][0]
    instance_id = master["Ec2InstanceId"]
    assert message == f"On the master instance ({instance_id}), bootstrap action 1 returned a non-zero return code"


def test_a_step_that_vanished_is_failed_and_not_run_again(emr: Emr, fleet: Fleet) -> None:
    from drydock_emr.node_protocol import LeaseReport, LeaseState

    client = emr.client()
    cluster_id = fleet.start(client, Steps=[step("gone")])
    fleet.turns()
    master = fleet.nodes[0]
    (lease,) = master.assignment.leases
    master._leases[lease.step_id] = LeaseReport(step_id=lease.step_id, attempt=1, state=LeaseState.VANISHED)
    master.turn()
    assert step_states(client, cluster_id) == ["FAILED"]
    assert master.turn().leases == ()


@pytest.mark.both_databases
def test_a_restarted_control_plane_goes_on(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = fleet.start(client, Steps=[step("long")])
    fleet.turns()
    (before,) = client.list_steps(ClusterId=cluster_id)["Steps"]
    emr.restart()
    fleet.turns()
    (after,) = client.list_steps(ClusterId=cluster_id)["Steps"]
    assert (after["Id"], after["Status"]["State"]) == (before["Id"], "RUNNING")
    fleet.nodes[0].exit_codes["long"] = 0
    fleet.turns()
    assert step_states(client, cluster_id) == ["COMPLETED"]
    assert fleet.nodes[0].assignment.leases == ()


def test_ended_clusters_leave_clean_nodes(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    tenancies = [node.assignment.tenancy for node in fleet.nodes]
    cluster_id = fleet.start(client)
    assert [node.assignment.tenancy for node in fleet.nodes] == tenancies, "warm nodes are taken as they are"
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    fleet.turns()
    assert all(node.assignment.tenancy > before for node, before in zip(fleet.nodes, tenancies, strict=True))
    assert all(node.assignment.cluster is None for node in fleet.nodes)


def test_a_cluster_of_one_node_has_its_worker_on_the_master(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    alone = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}]
    cluster_id = fleet.start(client, Instances={"InstanceGroups": alone})
    assert state_of(client, cluster_id) == "WAITING"
    (instance,) = client.list_instances(ClusterId=cluster_id)["Instances"]
    serving = [node for node in fleet.nodes if node.assignment.cluster]
    assert len(serving) == 1
    assert serving[0].assignment.daemons.master
    assert serving[0].assignment.daemons.worker_of == f"spark://{instance['PrivateIpAddress']}:7077"


def test_credentials_are_for_a_node_of_the_cluster_only(emr: Emr, fleet: Fleet) -> None:
    assert fleet.nodes[0].credentials().status_code == 404
    fleet.start(emr.client())
    granted = fleet.nodes[0].credentials()
    assert granted.status_code == 200
    assert granted.json()["RoleArn"].endswith(":role/emr_instance_profile")
    assert emr.gateway.requests[-1]["service"] == "ec2.amazonaws.com"
