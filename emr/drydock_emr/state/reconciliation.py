"""One turn of the control plane, pure: what follows from the clusters asked for, the nodes' reports and the time."""

from collections.abc import Mapping, Sequence, Set

from drydock_emr.node_protocol import Report
from drydock_emr.state import fleet, transitions
from drydock_emr.state.cluster import ACCEPTING_STATES, Cluster, ClusterState
from drydock_emr.state.fleet import NodeRecord


def reconcile(
    clusters: Sequence[Cluster],
    nodes: Sequence[NodeRecord],
    reports: Mapping[str, Report],
    lost: Set[str],
    now: float,
) -> None:
    """Bring clusters and nodes forward as far as can be.

    `clusters` are the active ones, oldest first: while one waits for nodes, no younger one is served. `reports` are by
    node name, those of `lost` nodes left out. May be called at any time; doing so twice changes nothing more.
    """
    queue_is_blocked = False
    for cluster in clusters:
        if cluster.state is ClusterState.STARTING and not queue_is_blocked:
            instances = fleet.claim(cluster, nodes, reports, now)
            queue_is_blocked = instances is None
            transitions.place(cluster, instances or [])
        transitions.observe(cluster, reports, lost, _released(cluster, nodes, reports), now)
        transitions.advance(cluster, now)
        if cluster.state not in ACCEPTING_STATES:
            fleet.release(cluster.id, nodes)
    fleet.keep_warm([node for node in nodes if node.name in reports])


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
