"""Steps: how many, in which order, which cluster takes them, what cancelling does. As EMR's documentation has it."""

from typing import Any

import pytest

from drydock_emr.node_protocol import CancelOption
from drydock_emr.state import transitions
from drydock_emr.state.cluster import Step, StepState
from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, step
from tests.emr.test_lifecycle import status, step_states

OTHER_CHARACTERS = len("command-runner.jar")


def step_ids(client: Any, cluster_id: str) -> list[str]:
    """Oldest first."""
    return [s["Id"] for s in reversed(client.list_steps(ClusterId=cluster_id)["Steps"])]


def names(answer: dict[str, Any]) -> list[str]:
    return [s["Name"] for s in answer["Steps"]]


def test_steps_start_in_the_order_of_submission(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = fleet.start(client, StepConcurrencyLevel=2, Steps=[step("a"), step("b"), step("c")])
    client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("d"), step("e")])
    fleet.turns()
    assert step_states(client, cluster_id) == ["RUNNING", "RUNNING", "PENDING", "PENDING", "PENDING"]
    fleet.nodes[0].exit_codes["b"] = 0
    fleet.turns()
    assert step_states(client, cluster_id) == ["RUNNING", "COMPLETED", "RUNNING", "PENDING", "PENDING"]


def test_256_steps_may_be_unfinished_and_any_number_finished(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    fleet.nodes[0].exit_codes["quick"] = 0
    cluster_id = fleet.start(client, StepConcurrencyLevel=256, Steps=[step("quick") for _ in range(256)])
    fleet.until(lambda: state_of(client, cluster_id) == "WAITING", "the end of the first steps")
    added = client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("slow") for _ in range(256)])["StepIds"]
    assert len(added) == 256
    with pytest.raises(client.exceptions.ClientError, match="Maximum number of active steps") as refusal:
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("one too many")])
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    client.cancel_steps(ClusterId=cluster_id, StepIds=added[:1], StepCancellationOption="TERMINATE_PROCESS")
    fleet.turns()
    client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("in its place")])


def test_steps_are_taken_while_a_cluster_starts_bootstraps_runs_and_waits(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    blocker = fleet.start(client, Name="has the nodes")
    for node in fleet.nodes:
        node.bootstraps = False
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]

    def add_in(state: str) -> None:
        assert state_of(client, cluster_id) == state
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step(state)])

    add_in("STARTING")
    client.terminate_job_flows(JobFlowIds=[blocker])
    fleet.until(lambda: state_of(client, cluster_id) == "BOOTSTRAPPING", "nodes for the cluster")
    add_in("BOOTSTRAPPING")
    for node in fleet.nodes:
        node.bootstraps = True
    fleet.until(lambda: state_of(client, cluster_id) == "RUNNING", "the first step")
    add_in("RUNNING")
    fleet.nodes[0].exit_codes.update(STARTING=0, BOOTSTRAPPING=0, RUNNING=0)
    fleet.until(lambda: state_of(client, cluster_id) == "WAITING", "the end of the steps")
    add_in("WAITING")
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    for state in ("TERMINATING", "TERMINATED"):
        fleet.until(lambda state=state: state_of(client, cluster_id) == state, state)
        with pytest.raises(client.exceptions.ClientError, match="shutting down, terminated, or finished"):
            client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("late")])


def test_the_strings_of_a_step_have_10240_characters_at_most(emr: Emr) -> None:
    client = emr.client()
    longest = step("s", "x" * (10_240 - OTHER_CHARACTERS))
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[longest]))["JobFlowId"]
    longer = step("s", "x" * (10_240 - OTHER_CHARACTERS), "x")
    with pytest.raises(client.exceptions.ClientError, match="have 10241 characters, at most 10240"):
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[longer])
    properties = step("s", "x" * (10_240 - OTHER_CHARACTERS - 3))
    properties["HadoopJarStep"]["Properties"] = [{"Key": "ab", "Value": "cd"}]
    with pytest.raises(client.exceptions.ClientError, match="have 10241 characters, at most 10240"):
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[properties])
    assert len(step_ids(client, cluster_id)) == 1, "none of a refused request's steps is queued"


@pytest.mark.parametrize("action", ["TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW", "CANCEL_AND_WAIT", None])
def test_with_several_steps_at_once_only_continue_is_taken(emr: Emr, action: str | None) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(StepConcurrencyLevel=2))["JobFlowId"]
    with pytest.raises(client.exceptions.ClientError, match="ActionOnFailure setting is not valid") as refusal:
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("fits"), step("does not", on_failure=action)])
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert client.list_steps(ClusterId=cluster_id)["Steps"] == []


def test_the_step_concurrency_is_1_and_may_be_1_to_256(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    assert client.describe_cluster(ClusterId=cluster_id)["Cluster"]["StepConcurrencyLevel"] == 1
    for level in (256, 1):
        assert client.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=level)["StepConcurrencyLevel"] == level
    for level in (0, 257, -1):
        with pytest.raises(client.exceptions.ClientError, match="from 1 to 256"):
            client.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=level)


@pytest.mark.both_databases
def test_lists_of_steps_are_newest_first_unless_steps_or_states_are_named(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    fleet.nodes[0].exit_codes.update(a=0, b=0)
    cluster_id = fleet.start(client, Steps=[step(name) for name in "abcd"])
    fleet.turns()
    ids = step_ids(client, cluster_id)
    assert names(client.list_steps(ClusterId=cluster_id)) == ["d", "c", "b", "a"]
    assert names(client.list_steps(ClusterId=cluster_id, StepStates=["COMPLETED", "PENDING"])) == ["a", "b", "d"]
    assert names(client.list_steps(ClusterId=cluster_id, StepIds=[ids[3], ids[1]])) == ["b", "d"]
    assert names(client.list_steps(ClusterId=cluster_id, StepIds=ids, StepStates=["RUNNING"])) == ["c"]
    with pytest.raises(client.exceptions.InvalidRequestException, match=r"Step id 's-NONE' is not valid\."):
        client.list_steps(ClusterId=cluster_id, StepIds=["s-NONE"])


def test_steps_are_listed_in_pages_of_50_and_ten_may_be_named(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[step(f"s{i}") for i in range(101)]))["JobFlowId"]
    pages = list(client.get_paginator("list_steps").paginate(ClusterId=cluster_id))
    assert [len(page["Steps"]) for page in pages] == [50, 50, 1]
    listed = [s["Id"] for page in pages for s in page["Steps"]]
    assert len(set(listed)) == 101
    assert len(client.list_steps(ClusterId=cluster_id, StepIds=listed[:10])["Steps"]) == 10
    with pytest.raises(client.exceptions.InvalidRequestException, match="At most 10 step ids"):
        client.list_steps(ClusterId=cluster_id, StepIds=listed[:11])


@pytest.mark.both_databases
def test_a_page_is_stable_while_steps_are_added(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[step(f"s{i}") for i in range(60)]))["JobFlowId"]
    first = client.list_steps(ClusterId=cluster_id)
    client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("late")])
    second = client.list_steps(ClusterId=cluster_id, Marker=first["Marker"])
    assert names(first) + names(second) == [f"s{i}" for i in reversed(range(60))]


@pytest.mark.parametrize("option", [None, "SEND_INTERRUPT", "TERMINATE_PROCESS"])
def test_cancelling_is_asynchronous_idempotent_and_triggers_nothing(emr: Emr, fleet: Fleet, option: str | None) -> None:
    """Of a running step that would end the cluster if it failed; the pending one behind it waits until it is gone."""
    client = emr.client()
    steps = [step("runs", on_failure="TERMINATE_CLUSTER"), step("waits", on_failure="TERMINATE_CLUSTER"), step("next")]
    cluster_id = fleet.start(client, Steps=steps)
    fleet.turns()
    running, pending, _ = step_ids(client, cluster_id)
    asked = {"ClusterId": cluster_id, **({"StepCancellationOption": option} if option else {})}
    for _ in range(2):
        (answer,) = client.cancel_steps(**asked, StepIds=[running])["CancelStepsInfoList"]
        assert answer == {"StepId": running, "Status": "SUBMITTED"}
        assert step_states(client, cluster_id) == ["CANCEL_PENDING", "PENDING", "PENDING"]
    (lease,) = fleet.nodes[0].assignment.leases
    assert lease.cancel is None, "the node has not heard of it yet"
    assert fleet.nodes[0].turn().leases[0].cancel == (option or "SEND_INTERRUPT")
    client.cancel_steps(**asked, StepIds=[pending])
    assert step_states(client, cluster_id)[1] == "CANCELLED"
    fleet.turns()
    assert step_states(client, cluster_id) == ["CANCELLED", "CANCELLED", "RUNNING"]
    assert state_of(client, cluster_id) == "RUNNING"
    (answer,) = client.cancel_steps(**asked, StepIds=[pending])["CancelStepsInfoList"]
    assert answer["Status"] == "FAILED"
    assert "CANCELLED" in answer["Reason"]


def test_an_interrupt_can_become_a_kill_and_not_the_other_way_round() -> None:
    running = Step(id="s-1", name="s", jar="j", created_at=0, sequence=0, state=StepState.RUNNING)
    asked = [CancelOption.SEND_INTERRUPT, CancelOption.TERMINATE_PROCESS, CancelOption.SEND_INTERRUPT]
    wanted = []
    for option in asked:
        assert transitions.cancel_step(running, option, now=1)
        wanted.append(running.cancel)
    assert wanted == [CancelOption.SEND_INTERRUPT, CancelOption.TERMINATE_PROCESS, CancelOption.TERMINATE_PROCESS]


def test_256_steps_can_be_cancelled_at_once(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[step("s") for _ in range(256)]))["JobFlowId"]
    ids = [s["Id"] for page in client.get_paginator("list_steps").paginate(ClusterId=cluster_id) for s in page["Steps"]]
    with pytest.raises(client.exceptions.ClientError, match="256"):
        client.cancel_steps(ClusterId=cluster_id, StepIds=[*ids, ids[0]])
    with pytest.raises(client.exceptions.InvalidRequestException, match="'s-NONE' is not valid"):
        client.cancel_steps(ClusterId=cluster_id, StepIds=[ids[0], "s-NONE"])
    assert client.list_steps(ClusterId=cluster_id, StepStates=["CANCELLED"])["Steps"] == [], "all or none"
    answers = client.cancel_steps(ClusterId=cluster_id, StepIds=ids)["CancelStepsInfoList"]
    assert [answer["StepId"] for answer in answers] == ids
    assert {answer["Status"] for answer in answers} == {"SUBMITTED"}


@pytest.mark.parametrize("action", ["TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW", None])
def test_protection_and_keep_alive_outlive_a_failed_step(emr: Emr, fleet: Fleet, action: str | None) -> None:
    client = emr.client()
    fleet.nodes[0].exit_codes["bad"] = 1
    request = run_job_flow(
        Instances={"TerminationProtected": True}, Steps=[step("bad", on_failure=action), step("later")]
    )
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    fleet.until(lambda: state_of(client, cluster_id) == "WAITING", "the cluster to wait")
    assert status(client, cluster_id) == ("WAITING", None, "Cluster ready after last step failed.")
    assert step_states(client, cluster_id) == ["FAILED", "CANCELLED"]


def test_protection_does_not_keep_a_transient_cluster_whose_steps_are_done(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    fleet.nodes[0].exit_codes["only"] = 0
    instances = {"TerminationProtected": True, "KeepJobFlowAliveWhenNoSteps": False}
    cluster_id = client.run_job_flow(**run_job_flow(Instances=instances, Steps=[step("only")]))["JobFlowId"]
    fleet.until(lambda: state_of(client, cluster_id) == "TERMINATED", "the end")
    assert status(client, cluster_id) == ("TERMINATED", "ALL_STEPS_COMPLETED", "Steps completed")


def test_terminating_cancels_what_is_not_finished(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    fleet.nodes[0].exit_codes["done"] = 0
    cluster_id = fleet.start(client, Steps=[step("done"), step("runs"), step("waits")])
    fleet.turns()
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    assert step_states(client, cluster_id) == ["COMPLETED", "CANCEL_PENDING", "CANCELLED"]
    fleet.until(lambda: state_of(client, cluster_id) == "TERMINATED", "the end")
    assert step_states(client, cluster_id) == ["COMPLETED", "CANCELLED", "CANCELLED"]


def test_the_timeline_of_a_step(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = fleet.start(client, Steps=[step("runs"), step("waits")])
    fleet.turns()
    running, pending = (
        client.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]
        for step_id in step_ids(client, cluster_id)
    )
    assert set(running["Timeline"]) == {"CreationDateTime", "StartDateTime"}
    assert set(pending["Timeline"]) == {"CreationDateTime"}
    assert running["StateChangeReason"] == pending["StateChangeReason"] == {}
    fleet.nodes[0].exit_codes["runs"] = 3
    fleet.turns()
    failed = client.describe_step(ClusterId=cluster_id, StepId=step_ids(client, cluster_id)[0])["Step"]["Status"]
    times = failed["Timeline"]
    assert times["CreationDateTime"] <= times["StartDateTime"] <= times["EndDateTime"]
    assert failed["FailureDetails"] == {"Reason": "Unknown Error"}
