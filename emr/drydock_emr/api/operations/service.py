"""What every operation stands on: the service it acts on, how clusters are found, how lists are paged."""

import base64
import binascii
import re
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


def require_cluster(records: Records, caller: Caller, cluster_id: str) -> None:
    """Raises InvalidRequest as `find_cluster` does, without reading the cluster."""
    if not records.has_cluster(cluster_id, caller.account_id, caller.region):
        raise InvalidRequest(f"Cluster id '{cluster_id}' is not valid.")


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
    """The page that begins at the marker, and the marker of the next one; for lists that stay as they are.

    Raises InvalidRequest.
    """
    begin = read_marker(marker, r"offset:(\d{1,9})")
    offset = int(begin[0]) if begin else 0
    more = len(items) > offset + size
    return items[offset : offset + size], make_marker(f"offset:{offset + size}") if more else None


def make_marker(position: str) -> str:
    """What a list answers for the next page to begin at; callers give it back as it is."""
    return base64.urlsafe_b64encode(position.encode()).decode()


def read_marker(marker: str | None, expected: str) -> tuple[str, ...] | None:
    """The groups of the pattern `expected` in the marker's position; None without one. Raises InvalidRequest."""
    if not marker:
        return None
    try:
        position = base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        position = ""
    matched = re.fullmatch(expected, position)
    if matched is None:
        raise InvalidRequest("The marker is not valid: give the one that the last page came with.")
    return matched.groups()


def without_none(**members: Any) -> Output:
    return {name: value for name, value in members.items() if value is not None}
