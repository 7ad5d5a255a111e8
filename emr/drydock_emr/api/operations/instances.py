"""Instances and the groups they come in."""

from collections.abc import Mapping
from typing import Any

from drydock_emr.api import views
from drydock_emr.api.operations.service import (
    Handler,
    Input,
    Output,
    Service,
    find_cluster,
    find_job_flow,
    page,
    require_modifiable,
    without_none,
)
from drydock_emr.errors import InvalidRequest, ValidationError
from drydock_emr.gateway import Caller
from drydock_emr.state import transitions
from drydock_emr.state.cluster import Cluster, InstanceGroup, InstanceRole


async def list_instances(service: Service, caller: Caller, request: Input) -> Output:
    if request.get("InstanceFleetId") or request.get("InstanceFleetType"):
        raise InvalidRequest("The cluster uses instance groups: instances cannot be listed by instance fleet.")
    with service.control_plane.reading() as records:
        cluster = find_cluster(records, caller, request["ClusterId"])
        markets = {group.id: group.market for group in cluster.groups}
        group_id, types, states = (
            request.get(name) for name in ("InstanceGroupId", "InstanceGroupTypes", "InstanceStates")
        )
        if group_id and group_id not in markets:
            raise InvalidRequest(f"Instance group id '{group_id}' is not valid.")
        instances = [
            instance
            for instance in cluster.instances
            if (not group_id or instance.group_id == group_id)
            and (not types or instance.role in types)
            and (not states or instance.state in states)
        ]
        shown, marker = page(instances, request.get("Marker"))
        return without_none(Instances=[views.instance(i, markets[i.group_id]) for i in shown], Marker=marker)


async def list_instance_groups(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        cluster = find_cluster(records, caller, request["ClusterId"])
        groups, marker = page(cluster.groups, request.get("Marker"))
        return without_none(InstanceGroups=[views.instance_group(group, cluster) for group in groups], Marker=marker)


async def list_instance_fleets(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        find_cluster(records, caller, request["ClusterId"])
    raise InvalidRequest(
        "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses "
        "instance groups. The ListInstanceFleets request does not support clusters that use instance groups. "
        "Use the ListInstanceGroups request instead."
    )


async def modify_instance_groups(service: Service, caller: Caller, request: Input) -> Output:
    """Resize worker groups: all that are named or none."""
    with service.control_plane.changing() as (records, now):
        for change in request.get("InstanceGroups", []):
            if change.get("Configurations"):
                raise ValidationError("The local EMR cannot reconfigure a running instance group.")
            cluster, group = _find_group(records, caller, request.get("ClusterId"), change["InstanceGroupId"])
            _resize(require_modifiable(cluster), group, change, now)
    return {}


OPERATIONS: Mapping[str, Handler] = {
    "ListInstances": list_instances,
    "ListInstanceGroups": list_instance_groups,
    "ListInstanceFleets": list_instance_fleets,
    "ModifyInstanceGroups": modify_instance_groups,
}


def _find_group(records: Any, caller: Caller, cluster_id: str | None, group_id: str) -> tuple[Cluster, InstanceGroup]:
    """The cluster is optional in this request: a group's id is enough."""
    if cluster_id is not None:
        cluster = find_job_flow(records, caller, cluster_id)
    else:
        cluster = records.cluster_of_group(group_id, caller.account_id, caller.region)
    group = next((g for g in cluster.groups if g.id == group_id), None) if cluster else None
    if group is None:
        raise ValidationError(f"Instance group id '{group_id}' is not valid.")
    return cluster, group


def _resize(cluster: Cluster, group: InstanceGroup, change: Mapping[str, Any], now: float) -> None:
    if group.role is InstanceRole.MASTER:
        raise ValidationError("The master instance group cannot be resized.")
    unwanted = set(change.get("EC2InstanceIdsToTerminate", []))
    members = {i.ec2_instance_id: i for i in cluster.live_instances if i.group_id == group.id}
    if strangers := unwanted - members.keys():
        raise ValidationError(f"Instances {', '.join(sorted(strangers))} are not in instance group {group.id}.")
    count = change.get("InstanceCount", group.requested_count - len(unwanted))
    if count < 0 or (group.role is InstanceRole.CORE and count == 0):
        raise ValidationError(f"{group.role} instance groups cannot be resized to {count} instances.")
    for instance_id in unwanted:
        transitions.dismiss(members[instance_id], now)
    group.requested_count = count
