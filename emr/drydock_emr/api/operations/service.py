"""What every operation stands on: the service it acts on, how clusters are found, how lists are paged."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from drydock_emr.control_plane import ControlPlane
from drydock_emr.errors import InvalidRequest, ValidationError
from drydock_emr.gateway import Caller, Gateway
from drydock_emr.state.cluster import ACCEPTING_STATES, Cluster
from drydock_emr.state.store import Records

PAGE_SIZE = 50

T = TypeVar("T")
Input = Mapping[str, Any]
Output = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """The control plane, and the gateway behind which AWS's other services are."""

    control_plane: ControlPlane
    gateway: Gateway


Handler = Callable[[Service, Caller, Input], Awaitable[Output]]


def find_cluster(records: Records, caller: Caller, cluster_id: str) -> Cluster:
    """The caller's cluster. Raises InvalidRequest."""
    cluster = records.cluster(cluster_id, caller.account_id, caller.region)
    if cluster is None:
        raise InvalidRequest(f"Cluster id '{cluster_id}' is not valid.")
    return cluster


def find_job_flow(records: Records, caller: Caller, cluster_id: str) -> Cluster:
    """The same for the operations of the older half of the API, which say it differently. Raises ValidationError."""
    cluster = records.cluster(cluster_id, caller.account_id, caller.region)
    if cluster is None:
        raise ValidationError("Specified job flow ID does not exist.")
    return cluster


def require_modifiable(cluster: Cluster) -> Cluster:
    """The cluster, unless it ends or has ended. Raises ValidationError."""
    if cluster.state not in ACCEPTING_STATES:
        raise ValidationError("A job flow that is shutting down, terminated, or finished may not be modified.")
    return cluster


def page(items: Sequence[T], marker: str | None, size: int = PAGE_SIZE) -> tuple[Sequence[T], str | None]:
    """The page that begins at the marker, and the marker of the next one. Raises InvalidRequest."""
    begin = offset(marker)
    more = len(items) > begin + size
    return items[begin : begin + size], make_marker(begin + size) if more else None


def make_marker(begin: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{begin}".encode()).decode()


def offset(marker: str | None) -> int:
    """Where the marker points to; 0 without one. Raises InvalidRequest."""
    if not marker:
        return 0
    try:
        name, _, begin = base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        name, begin = "", ""
    if name != "offset" or not begin.isdecimal() or len(begin) > 9:
        raise InvalidRequest("The marker is not valid: give the one that the last page came with.")
    return int(begin)


def without_none(**members: Any) -> Output:
    return {name: value for name, value in members.items() if value is not None}
