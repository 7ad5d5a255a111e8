"""Steps: added, described, listed, cancelled."""

from collections.abc import Mapping

from drydock_emr.api import requests, views
from drydock_emr.api.operations.service import (
    PAGE_SIZE,
    Handler,
    Input,
    Output,
    Service,
    find_cluster,
    find_job_flow,
    make_marker,
    read_marker,
    require_cluster,
    require_modifiable,
    without_none,
)
from drydock_emr.errors import InvalidRequest
from drydock_emr.gateway import Caller
from drydock_emr.node_protocol import CancelOption
from drydock_emr.state import transitions
from drydock_emr.state.cluster import Cluster, Step, StepState

MAX_LISTED_STEP_IDS = 10
MAX_CANCELLED_AT_ONCE = 256


async def add_job_flow_steps(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, now):
        cluster = require_modifiable(find_job_flow(records, caller, request["JobFlowId"]))
        return {"StepIds": requests.add_steps(cluster, request["Steps"], now)}


async def describe_step(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        step = records.step(request["StepId"], request["ClusterId"], caller.account_id, caller.region)
        if step is None:
            require_cluster(records, caller, request["ClusterId"])
            raise _not_valid(request["StepId"])
        return {"Step": views.step(step)}


async def list_steps(service: Service, caller: Caller, request: Input) -> Output:
    """A marker names the next step, so that one that is added meanwhile moves nothing from page to page."""
    ids, states = request.get("StepIds", []), [StepState(state) for state in request.get("StepStates", [])]
    if len(ids) > MAX_LISTED_STEP_IDS:
        raise InvalidRequest(f"At most {MAX_LISTED_STEP_IDS} step ids can be given.")
    begin = read_marker(request.get("Marker"), r"step:(\d{1,9})")
    with service.control_plane.reading() as records:
        require_cluster(records, caller, request["ClusterId"])
        if ids:
            found = {step.id for step in records.list_steps(request["ClusterId"], ids=ids, limit=MAX_LISTED_STEP_IDS)}
            for step_id in ids:
                if step_id not in found:
                    raise _not_valid(step_id)
        steps = records.list_steps(
            request["ClusterId"],
            ids=ids,
            states=states,
            newest_first=not ids and not states,
            begin=int(begin[0]) if begin else None,
            limit=PAGE_SIZE + 1,
        )
        shown, following = steps[:PAGE_SIZE], steps[PAGE_SIZE:]
        return without_none(
            Steps=[views.step(step) for step in shown],
            Marker=make_marker(f"step:{following[0].sequence}") if following else None,
        )


async def cancel_steps(service: Service, caller: Caller, request: Input) -> Output:
    if len(request["StepIds"]) > MAX_CANCELLED_AT_ONCE:
        raise InvalidRequest(f"At most {MAX_CANCELLED_AT_ONCE} steps can be cancelled in one request.")
    option = CancelOption(request.get("StepCancellationOption", CancelOption.SEND_INTERRUPT))
    with service.control_plane.changing() as (records, now):
        cluster = find_cluster(records, caller, request["ClusterId"])
        steps = [_find_step(cluster, step_id) for step_id in request["StepIds"]]
        return {"CancelStepsInfoList": [_cancel(step, option, now) for step in steps]}


OPERATIONS: Mapping[str, Handler] = {
    "AddJobFlowSteps": add_job_flow_steps,
    "DescribeStep": describe_step,
    "ListSteps": list_steps,
    "CancelSteps": cancel_steps,
}


def _find_step(cluster: Cluster, step_id: str) -> Step:
    step = cluster.step(step_id)
    if step is None:
        raise _not_valid(step_id)
    return step


def _not_valid(step_id: str) -> InvalidRequest:
    return InvalidRequest(f"Step id '{step_id}' is not valid.")


def _cancel(step: Step, option: CancelOption, now: float) -> Output:
    if transitions.cancel_step(step, option, now):
        return {"StepId": step.id, "Status": "SUBMITTED"}
    reason = f"Step is in state {step.state} and can no longer be cancelled."
    return {"StepId": step.id, "Status": "FAILED", "Reason": reason}
