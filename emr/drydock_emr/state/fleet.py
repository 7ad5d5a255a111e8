"""Which node serves whom: pure functions over the fleet's records.

Free nodes are kept warm: the first runs a Spark master, the others are its workers. A cluster takes warm nodes as they
are; only a node whose daemons have to change is restarted. That a node must begin clean is said by a new tenancy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drydock_emr import instance_types
from drydock_emr.node_protocol import Daemons, Phase, Report
from drydock_emr.state import ids
from drydock_emr.state.cluster import ACCEPTING_STATES, Cluster, Instance, InstanceGroup, InstanceRole
from drydock_emr.state.transitions import dismiss

PREWARMED_INSTANCE_TYPE = "m5.xlarge"


@dataclass(eq=False)
class NodeRecord:
    """A node of the fleet. `cluster_id` is None while the node is free."""

    name: str
    host: str
    rpc_port: int
    tenancy: int = 1
    cluster_id: str | None = None
    daemons: Daemons = field(default_factory=Daemons)

    @property
    def master_url(self) -> str:
        return f"spark://{self.host}:{self.rpc_port}"

    def assign(self, daemons: Daemons, *, clean: bool = False) -> None:
        """Ask for these daemons. Other daemons, or a wish to begin clean, make a new tenancy."""
        if clean or daemons != self.daemons:
            self.tenancy += 1
        self.daemons = daemons


def keep_warm(nodes: Sequence[NodeRecord]) -> None:
    """Give every free node a daemon: one master, the rest its workers. Warm nodes that fit stay as they are."""
    free = [node for node in nodes if node.cluster_id is None]
    if not free:
        return
    first = min(free, key=lambda node: node.name)
    # Nodes report in any order, slow machines' more so. While nobody uses any of them, the first by name is the
    # master: its page is where people look for one, and where the platform's health is looked for.
    kept = None if len(free) == len(nodes) else next((n for n in free if n.daemons == Daemons(master=True)), None)
    master = kept or first
    master.assign(Daemons(master=True))
    worker = worker_daemons(master, PREWARMED_INSTANCE_TYPE)
    for node in free:
        if node is not master:
            node.assign(worker)


def claim(
    cluster: Cluster, nodes: Sequence[NodeRecord], reports: Mapping[str, Report], now: float
) -> list[Instance] | None:
    """Take nodes for a STARTING cluster, or None while too few are free, clean and up."""
    master_group = cluster.group(InstanceRole.MASTER)
    assert master_group is not None, f"{cluster.id} has no master group"
    free = _rested(nodes, reports)
    if len(free) < 1 + sum(group.requested_count for group in cluster.worker_groups):
        return None
    wanted = [group for group in cluster.worker_groups for _ in range(group.requested_count)]
    master = next((node for node in free if node.daemons.master), free[0])
    alone = not wanted
    master.assign(worker_daemons(master, master_group.instance_type, master=True) if alone else Daemons(master=True))
    free.remove(master)
    master.cluster_id = cluster.id
    return [_member(master, master_group, now), *_enlist(cluster, master, wanted, free, now)]


def resize(cluster: Cluster, nodes: Sequence[NodeRecord], reports: Mapping[str, Report], now: float) -> list[Instance]:
    """Bring a ready cluster's worker groups to the size asked for, as far as free nodes reach; the instances to add.

    The youngest of too many are dismissed. A worker that was lost is replaced in the same way.
    """
    missing: list[InstanceGroup] = []
    for group in cluster.worker_groups:
        members = [instance for instance in cluster.live_instances if instance.group_id == group.id]
        for instance in members[group.requested_count :]:
            dismiss(instance, now)
        missing += [group] * min(group.requested_count - len(members), len(nodes))  # may be billions
    master = next((node for node in nodes if cluster.master and node.name == cluster.master.node), None)
    if master is None:
        return []
    return _enlist(cluster, master, missing, _rested(nodes, reports), now)


def release(cluster: Cluster, nodes: Sequence[NodeRecord]) -> None:
    """Free the nodes that serve the cluster no more: all of an ending one's, of others those dismissed or lost."""
    serving = {instance.node for instance in cluster.live_instances} if cluster.state in ACCEPTING_STATES else set()
    for node in nodes:
        if node.cluster_id == cluster.id and node.name not in serving:
            node.cluster_id = None
            node.assign(node.daemons, clean=True)


def _enlist(
    cluster: Cluster, master: NodeRecord, wanted: Sequence[InstanceGroup], free: list[NodeRecord], now: float
) -> list[Instance]:
    """Make free nodes workers of the master, first those that are already."""
    free.sort(key=lambda node: node.daemons.worker_of != master.master_url)
    instances = []
    for node, group in zip(free, wanted, strict=False):
        node.assign(worker_daemons(master, group.instance_type))
        node.cluster_id = cluster.id
        instances.append(_member(node, group, now))
    return instances


def _member(node: NodeRecord, group: InstanceGroup, now: float) -> Instance:
    return Instance(
        id=ids.instance_id(),
        ec2_instance_id=ids.ec2_instance_id(),
        group_id=group.id,
        role=group.role,
        instance_type=group.instance_type,
        node=node.name,
        address=node.host,
        created_at=now,
    )


def worker_daemons(master_node: NodeRecord, instance_type: str, *, master: bool = False) -> Daemons:
    """A worker that offers what YARN would on this instance type."""
    offered = instance_types.supported()[instance_type]
    return Daemons(
        master=master,
        worker_of=master_node.master_url,
        worker_cores=offered.vcpus,
        worker_memory_mib=offered.yarn_memory_mib,
    )


def _rested(nodes: Sequence[NodeRecord], reports: Mapping[str, Report]) -> list[NodeRecord]:
    """Nodes that are free, clean and up."""
    return [
        node
        for node in nodes
        if node.cluster_id is None
        and (report := reports.get(node.name)) is not None
        and report.phase is Phase.IDLE
        and report.tenancy == node.tenancy
        and report.cluster_id is None
    ]
