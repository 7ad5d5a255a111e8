"""botocore's waiters for EMR end as they do on AWS: each state that one of them knows, reached for real."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, step

POLLS = {"Delay": 0, "MaxAttempts": 60}


@pytest.fixture
def client(emr: Emr, fleet: Fleet) -> Any:
    """A client with whose every look at the clusters time goes on for the nodes."""
    client = emr.client()
    for operation in ("DescribeCluster", "DescribeStep"):
        client.meta.events.register(f"before-call.emr.{operation}", lambda **_: fleet.turns(1))
    return client


def waited(wait: Callable[[], None]) -> str:
    """How a waiter ended: "success", or the reason it gives."""
    try:
        wait()
    except WaiterError as error:
        return str(error)
    return "success"


@pytest.mark.parametrize(("keep_alive", "state"), [(True, "WAITING"), (False, "RUNNING")])
def test_cluster_running_ends_well_when_steps_can_run(client: Any, fleet: Fleet, keep_alive: bool, state: str) -> None:
    steps = [] if keep_alive else [step("long")]
    request = run_job_flow(Instances={"KeepJobFlowAliveWhenNoSteps": keep_alive}, Steps=steps)
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    client.get_waiter("cluster_running").wait(ClusterId=cluster_id, WaiterConfig=POLLS)
    assert state_of(client, cluster_id) == state


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"Instances": {"KeepJobFlowAliveWhenNoSteps": False}}, "TERMINAT"),
        ({"ServiceRole": "nobody"}, "TERMINATED_WITH_ERRORS"),
    ],
)
def test_cluster_running_fails_when_the_cluster_ends(client: Any, changed: dict[str, Any], state: str) -> None:
    cluster_id = client.run_job_flow(**run_job_flow(**changed))["JobFlowId"]
    waiter = client.get_waiter("cluster_running")
    reason = waited(lambda: waiter.wait(ClusterId=cluster_id, WaiterConfig=POLLS))
    assert "terminal failure state" in reason
    assert f'"{state}' in reason


@pytest.mark.parametrize(("exit_code", "ended"), [(0, "success"), (1, '"FAILED"'), (None, '"CANCELLED"')])
def test_step_complete(client: Any, fleet: Fleet, exit_code: int | None, ended: str) -> None:
    cluster_id = fleet.start(client, Steps=[step("s")])
    (found,) = client.list_steps(ClusterId=cluster_id)["Steps"]
    if exit_code is None:
        client.cancel_steps(ClusterId=cluster_id, StepIds=[found["Id"]])
    else:
        fleet.nodes[0].exit_codes["s"] = exit_code
    waiter = client.get_waiter("step_complete")
    assert ended in waited(lambda: waiter.wait(ClusterId=cluster_id, StepId=found["Id"], WaiterConfig=POLLS))


@pytest.mark.parametrize(
    ("action", "ended"), [("CONTINUE", "success"), ("TERMINATE_CLUSTER", "TERMINATED_WITH_ERRORS")]
)
def test_cluster_terminated(client: Any, fleet: Fleet, action: str, ended: str) -> None:
    fleet.nodes[0].exit_codes["bad"] = 1
    request = run_job_flow(Instances={"KeepJobFlowAliveWhenNoSteps": False}, Steps=[step("bad", on_failure=action)])
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    waiter = client.get_waiter("cluster_terminated")
    assert ended in waited(lambda: waiter.wait(ClusterId=cluster_id, WaiterConfig=POLLS))
