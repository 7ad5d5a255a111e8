"""What EMR offers: release labels, their applications, instance types."""

from collections.abc import Mapping
from typing import Any

from drydock_emr import instance_types, releases
from drydock_emr.api.operations.service import Handler, Input, Output, Service, page, without_none
from drydock_emr.errors import InvalidRequest
from drydock_emr.gateway import Caller

MAX_RESULTS = range(1, 100 + 1)


async def list_release_labels(_service: Service, _caller: Caller, request: Input) -> Output:
    filters = request.get("Filters", {})
    prefix, application = filters.get("Prefix", ""), filters.get("Application", "")
    name, _, version = application.partition("@")
    labels = [
        label
        for label, versions in releases.APPLICATIONS.items()
        if label.startswith(prefix)
        and (not name or name.lower() in {known.lower() for known in versions})
        and (not version or version in versions.values())
    ]
    shown, token = page(labels, request.get("NextToken"), _max_results(request))
    return without_none(ReleaseLabels=list(shown), NextToken=token)


async def describe_release_label(_service: Service, _caller: Caller, request: Input) -> Output:
    label = request.get("ReleaseLabel") or next(iter(releases.APPLICATIONS))
    applications = [{"Name": name, "Version": version} for name, version in _release(label).items()]
    shown, token = page(applications, request.get("NextToken"), _max_results(request))
    return without_none(ReleaseLabel=label, Applications=list(shown), AvailableOSReleases=[], NextToken=token)


async def list_supported_instance_types(_service: Service, _caller: Caller, request: Input) -> Output:
    _release(request["ReleaseLabel"])
    shown, marker = page(list(instance_types.supported().values()), request.get("Marker"))
    return without_none(SupportedInstanceTypes=[_instance_type(found) for found in shown], Marker=marker)


OPERATIONS: Mapping[str, Handler] = {
    "ListReleaseLabels": list_release_labels,
    "DescribeReleaseLabel": describe_release_label,
    "ListSupportedInstanceTypes": list_supported_instance_types,
}


def _release(label: str) -> Mapping[str, str]:
    if label not in releases.APPLICATIONS:
        raise InvalidRequest(f"The supplied release label is invalid: {label}.")
    return releases.APPLICATIONS[label]


def _max_results(request: Input) -> int:
    size: int = request.get("MaxResults", MAX_RESULTS[-1])
    if size not in MAX_RESULTS:
        raise InvalidRequest(f"MaxResults has to be from {MAX_RESULTS[0]} to {MAX_RESULTS[-1]}, it is {size}.")
    return size


def _instance_type(found: instance_types.InstanceType) -> dict[str, Any]:
    return {
        "Type": found.name,
        "InstanceFamilyId": found.family,
        "VCPU": found.vcpus,
        "MemoryGB": float(found.memory_gib),
        "Architecture": found.architecture,
        "Is64BitsOnly": True,
        "EbsOptimizedAvailable": True,
        "EbsOptimizedByDefault": True,
        "EbsStorageOnly": not found.has_local_disks,
    }
