"""Which node serves whom: pure functions over the fleet's records.

Free nodes are kept warm: the first runs a Spark master, the others are its workers. A cluster takes warm nodes as they
are; only a node whose daemons have to change is restarted. That a node must begin clean is said by a new tenancy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drydock_emr.node_protocol import Daemons, Phase, Report
from drydock_emr.state import ids
from drydock_emr.state.cluster import Cluster, Instance, InstanceRole

# What YARN offers on an instance type: vcores and yarn.nodemanager.resource.memory-mb, from EMR's table of task
# configurations by instance type.
YARN_CAPACITY: Mapping[str, tuple[int, int]] = {
    "m5.xlarge": (4, 12288),
    "m5.2xlarge": (8, 24576),
    "m5.4xlarge": (16, 57344),
    "m5a.xlarge": (4, 12288),
    "m6g.xlarge": (4, 12288),
    "m6i.xlarge": (4, 12288),
    "r5.xlarge": (4, 24576),
    "r5.2xlarge": (8, 57344),
}
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
    master = next((node for node in free if node.daemons == Daemons(master=True)), free[0])
    master.assign(Daemons(master=True))
    worker = worker_daemons(master, PREWARMED_INSTANCE_TYPE)
    for node in free:
        if node is not master:
            node.assign(worker)


def claim(
    cluster: Cluster, nodes: Sequence[NodeRecord], reports: Mapping[str, Report], now: float
) -> list[Instance] | None:
    """Take nodes for the cluster, or None while too few are free, clean and up."""
    master_group = cluster.group(InstanceRole.MASTER)
    assert master_group is not None, f"{cluster.id} has no master group"
    worker_groups = [group for group in cluster.groups if group.role is not InstanceRole.MASTER]
    wanted = [group for group in worker_groups for _ in range(group.requested_count)]
    free = [node for node in nodes if node.cluster_id is None and _rested(node, reports.get(node.name))]
    if len(free) < 1 + len(wanted):
        return None
    master = next((node for node in free if node.daemons.master), free[0])
    workers = sorted(
        (node for node in free if node is not master),
        key=lambda node: node.daemons.worker_of != master.master_url,
    )[: len(wanted)]
    alone = not wanted
    master.assign(worker_daemons(master, master_group.instance_type, master=True) if alone else Daemons(master=True))
    for node, group in zip(workers, wanted, strict=True):
        node.assign(worker_daemons(master, group.instance_type))
    members = [(master, master_group), *zip(workers, wanted, strict=True)]
    for node, _ in members:
        node.cluster_id = cluster.id
    return [
        Instance(
            id=ids.instance_id(),
            ec2_instance_id=ids.ec2_instance_id(),
            group_id=group.id,
            role=group.role,
            instance_type=group.instance_type,
            node=node.name,
            address=node.host,
            created_at=now,
        )
        for node, group in members
    ]


def release(cluster_id: str, nodes: Sequence[NodeRecord]) -> None:
    """Free the cluster's nodes; each begins clean."""
    for node in nodes:
        if node.cluster_id == cluster_id:
            node.cluster_id = None
            node.assign(node.daemons, clean=True)


def worker_daemons(master_node: NodeRecord, instance_type: str, *, master: bool = False) -> Daemons:
    """A worker that offers what YARN would on this instance type."""
    cores, memory_mib = YARN_CAPACITY[instance_type]
    return Daemons(master=master, worker_of=master_node.master_url, worker_cores=cores, worker_memory_mib=memory_mib)


def _rested(node: NodeRecord, report: Report | None) -> bool:
    return (
        report is not None
        and report.phase is Phase.IDLE
        and report.tenancy == node.tenancy
        and report.cluster_id is None
    )
