"""One turn of the control plane, pure: what follows from the clusters asked for, the nodes' reports and the time."""

from collections.abc import Mapping, Sequence, Set

from drydock_emr.node_protocol import Report
from drydock_emr.state import fleet, transitions
from drydock_emr.state.cluster import Cluster, ClusterState
from drydock_emr.state.fleet import NodeRecord

PROVISIONING_TIMEOUT_SECONDS = 1200.0
"""How long a cluster waits in STARTING to be validated and for nodes."""


def reconcile(
    clusters: Sequence[Cluster],
    nodes: Sequence[NodeRecord],
    reports: Mapping[str, Report],
    lost: Set[str],
    now: float,
    provisioning_timeout_seconds: float = PROVISIONING_TIMEOUT_SECONDS,
) -> None:
    """Bring clusters and nodes forward as far as can be.

    `clusters` are the active ones, oldest first: while one waits for nodes, no younger one is served, unless it wants
    more than there are. `reports` are by node name, those of `lost` nodes left out. May be called at any time; doing
    so twice changes nothing more.
    """
    queue_is_blocked = False
    for cluster in clusters:
        if cluster.state is ClusterState.STARTING:
            may_claim = cluster.validated and not queue_is_blocked
            if may_claim and (instances := fleet.claim(cluster, nodes, reports, now)):
                transitions.place(cluster, instances)
            else:
                queue_is_blocked |= cluster.validated and _size(cluster) <= len(nodes)
                if now - cluster.created_at > provisioning_timeout_seconds:
                    why = _out_of_capacity if cluster.validated else _not_validated
                    transitions.refuse(cluster, why(cluster, nodes, provisioning_timeout_seconds), now)
        transitions.observe(cluster, reports, lost, _released(cluster, nodes, reports), now)
        transitions.advance(cluster, now)
        if cluster.state in {ClusterState.RUNNING, ClusterState.WAITING}:
            transitions.place(cluster, fleet.resize(cluster, nodes, reports, now))
        fleet.release(cluster, nodes)
    fleet.keep_warm([node for node in nodes if node.name in reports])


def _size(cluster: Cluster) -> int:
    return sum(group.requested_count for group in cluster.groups)


def _out_of_capacity(cluster: Cluster, nodes: Sequence[NodeRecord], timeout_seconds: float) -> str:
    """EC2's word for it, and what that means here."""
    types = ", ".join(sorted({group.instance_type for group in cluster.groups}))
    return (
        f"EC2 is out of capacity for {types}: {_size(cluster)} instances were asked for and the fleet has "
        f"{len(nodes)} nodes, of which too few were free for {timeout_seconds:.0f} seconds."
    )


def _not_validated(_cluster: Cluster, _nodes: Sequence[NodeRecord], timeout_seconds: float) -> str:
    return (
        f"The cluster could not be validated within {timeout_seconds:.0f} seconds, by a fault of the local EMR: "
        "its log says which."
    )


def _released(cluster: Cluster, nodes: Sequence[NodeRecord], reports: Mapping[str, Report]) -> set[str]:
    """Nodes that know that they serve the cluster no more: they speak of the tenancy that came after it."""
    return {
        node.name
        for node in nodes
        if node.cluster_id != cluster.id
        and (report := reports.get(node.name)) is not None
        and report.tenancy == node.tenancy
        and report.cluster_id != cluster.id
    }
