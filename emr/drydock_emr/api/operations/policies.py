"""Policies of a cluster: when it ends by itself, and how it may scale.

A managed scaling policy is stored and reported; it has no effect here, since the fleet's size is fixed.
"""

from collections.abc import Mapping

from drydock_emr.api import requests
from drydock_emr.api.operations.service import Handler, Input, Output, Service, find_cluster, require_modifiable
from drydock_emr.gateway import Caller


async def put_auto_termination_policy(service: Service, caller: Caller, request: Input) -> Output:
    idle_timeout_seconds = requests.idle_timeout(request.get("AutoTerminationPolicy", {}))
    with service.control_plane.changing() as (records, _):
        cluster = require_modifiable(find_cluster(records, caller, request["ClusterId"]))
        cluster.idle_timeout_seconds = idle_timeout_seconds
    return {}


async def get_auto_termination_policy(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        seconds = find_cluster(records, caller, request["ClusterId"]).idle_timeout_seconds
        return {} if seconds is None else {"AutoTerminationPolicy": {"IdleTimeout": seconds}}


async def remove_auto_termination_policy(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, _):
        require_modifiable(find_cluster(records, caller, request["ClusterId"])).idle_timeout_seconds = None
    return {}


async def put_managed_scaling_policy(service: Service, caller: Caller, request: Input) -> Output:
    requests.check_managed_scaling_policy(request["ManagedScalingPolicy"])
    with service.control_plane.changing() as (records, _):
        cluster = require_modifiable(find_cluster(records, caller, request["ClusterId"]))
        cluster.managed_scaling_policy = request["ManagedScalingPolicy"]
    return {}


async def get_managed_scaling_policy(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        policy = find_cluster(records, caller, request["ClusterId"]).managed_scaling_policy
        return {} if policy is None else {"ManagedScalingPolicy": policy}


async def remove_managed_scaling_policy(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, _):
        require_modifiable(find_cluster(records, caller, request["ClusterId"])).managed_scaling_policy = None
    return {}


OPERATIONS: Mapping[str, Handler] = {
    "PutAutoTerminationPolicy": put_auto_termination_policy,
    "GetAutoTerminationPolicy": get_auto_termination_policy,
    "RemoveAutoTerminationPolicy": remove_auto_termination_policy,
    "PutManagedScalingPolicy": put_managed_scaling_policy,
    "GetManagedScalingPolicy": get_managed_scaling_policy,
    "RemoveManagedScalingPolicy": remove_managed_scaling_policy,
}
