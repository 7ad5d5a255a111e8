"""The control plane: joins what callers ask, what nodes report and what the clock says.

It holds no truth of its own but the nodes' last reports, which they repeat; everything else is in the store, so the
process can end at any moment and the next one goes on.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from drydock_emr.errors import DatabaseUnavailable
from drydock_emr.node_protocol import (
    Assignment,
    BootstrapAction,
    ClusterMembership,
    Configuration,
    InstanceGroup,
    Lease,
    Report,
)
from drydock_emr.state.cluster import LEASED_STEP_STATES, Cluster, InstanceRole
from drydock_emr.state.fleet import NodeRecord
from drydock_emr.state.reconciliation import reconcile
from drydock_emr.state.store import Records, Store

NODE_LOST_SECONDS = 30.0
"""A node that has not reported for so long counts as lost; in health its longest silence is one held request."""

HOLD_SECONDS = 10.0
"""How long a node's request is held while nothing changes for it."""

TICK_SECONDS = 1.0
"""How often the clock alone may change something: lost nodes, idle clusters."""

PAUSE_SECONDS = 10.0
"""The clock, which is looked at with every tick, moves so far at once only when the machine slept or it was set."""

log = logging.getLogger(__name__)


class ControlPlane:
    """Runs in one event loop; what it does between two awaits is not interrupted, so transactions never overlap."""

    def __init__(
        self,
        store: Store,
        log_push_seconds: float,
        provisioning_timeout_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._log_push_seconds = log_push_seconds
        self._provisioning_timeout_seconds = provisioning_timeout_seconds
        self._clock = clock
        self._started_at = self._looked_at = clock()
        self._reports: dict[str, Report] = {}
        self._last_seen: dict[str, float] = {}
        self._changed = asyncio.Event()
        self.to_validate: asyncio.Queue[str] = asyncio.Queue()
        with store.transaction(read_only=True) as records:
            for cluster in records.active_clusters():
                self.wants_validation(cluster.id)

    def wants_validation(self, cluster_id: str) -> None:
        """Have the cluster's surroundings checked, by whoever takes from `to_validate`."""
        self.to_validate.put_nowait(cluster_id)

    @contextmanager
    def changing(self) -> Iterator[tuple[Records, float]]:
        """A transaction for a caller's request, and the time; what follows from it is done within it."""
        now = self._now()
        with self._store.transaction() as records:
            yield records, now
            self._reconcile(records, now)
        if records.wrote:
            self._wake()

    @contextmanager
    def reading(self) -> Iterator[Records]:
        """A transaction that changes nothing."""
        with self._store.transaction(read_only=True) as records:
            yield records

    def check_writable(self) -> None:
        """Raises DatabaseUnavailable."""
        self._store.check_writable()

    async def tick(self) -> None:
        """Let time pass, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                with self.changing():
                    pass
            except DatabaseUnavailable:
                continue  # the store has said so, once
            except Exception:
                log.exception("The clock's turn failed; the next one tries again")

    async def sync(self, report: Report) -> Assignment:
        """Take a node's report; answer what should be true of it, as soon as that is news to the node."""
        self._take(report)
        deadline = asyncio.get_running_loop().time() + HOLD_SECONDS
        while True:
            changed = self._changed
            assignment = self.assignment(report.node)
            remaining = deadline - asyncio.get_running_loop().time()
            if assignment.version != report.seen_version or remaining <= 0:
                return assignment
            try:
                await asyncio.wait_for(changed.wait(), remaining)
            except TimeoutError:
                continue

    def reports(self) -> dict[str, Report]:
        """What each node last said of itself, by name; without those that are lost."""
        now = self._now()
        return {name: report for name, report in self._reports.items() if not self._lost(name, now)}

    def cluster_served_by(self, node: str) -> Cluster | None:
        """The cluster whose credentials the node may have: the one it says it serves, if it was given that one."""
        report = self._reports.get(node)
        if report is None or report.cluster_id is None:
            return None
        with self.reading() as records:
            cluster = records.cluster_by_id(report.cluster_id)
            if cluster is None or node not in {instance.node for instance in cluster.instances}:
                return None
            return cluster

    def assignment(self, node_name: str) -> Assignment:
        """What should now be true of the node. Raises KeyError for a node that never reported."""
        with self.reading() as records:
            node = records.node(node_name)
            if node is None:
                raise KeyError(node_name)
            cluster = records.cluster_by_id(node.cluster_id) if node.cluster_id else None
            assignment = Assignment(
                version=0,
                tenancy=node.tenancy,
                daemons=node.daemons,
                cluster=_membership(cluster, node, records.nodes()) if cluster else None,
                leases=_leases(cluster, node) if cluster else (),
                log_push_seconds=self._log_push_seconds,
            )
        digest = hashlib.sha256(assignment.model_dump_json().encode()).digest()
        return assignment.model_copy(update={"version": int.from_bytes(digest[:6], "big")})

    def _take(self, report: Report) -> None:
        # Before the database is asked: while that is away, nodes speak and are heard. An outage is nobody's silence.
        self._last_seen[report.node] = self._now()
        self._reports[report.node] = report
        with self.changing() as (records, _):
            node = records.node(report.node)
            if node is None:
                log.info("Node %s at %s joins the fleet", report.node, report.host)
                records.add(NodeRecord(name=report.node, host=report.host, rpc_port=report.rpc_port))
            elif (node.host, node.rpc_port) != (report.host, report.rpc_port):
                log.info("Node %s moved from %s to %s", node.name, node.host, report.host)
                node.host, node.rpc_port = report.host, report.rpc_port

    def _reconcile(self, records: Records, now: float) -> None:
        nodes = records.nodes()
        lost = {node.name for node in nodes if self._lost(node.name, now)}
        reports = {name: report for name, report in self._reports.items() if name not in lost}
        clusters = records.active_clusters()
        before = {cluster.id: cluster.state for cluster in clusters}
        reconcile(clusters, nodes, reports, lost, now, self._provisioning_timeout_seconds)
        for cluster in clusters:
            if cluster.state is not before[cluster.id]:
                change = f"{before[cluster.id]} → {cluster.state}"
                log.info("Cluster %s (%s): %s. %s", cluster.id, cluster.name, change, cluster.reason_message)

    def _now(self) -> float:
        """The time. What passed while this process stood still, and so could hear nobody, is no node's silence."""
        now = self._clock()
        pause = now - self._looked_at
        if abs(pause) > PAUSE_SECONDS:
            log.warning("The clock moved by %.0f s at once; that does not count as the nodes' silence", pause)
            self._started_at += pause
            self._last_seen = {node: seen_at + pause for node, seen_at in self._last_seen.items()}
        self._looked_at = now
        return now

    def _lost(self, node: str, now: float) -> bool:
        return now - self._last_seen.get(node, self._started_at) > NODE_LOST_SECONDS

    def _wake(self) -> None:
        """Have held requests looked into again: an assignment follows from the database alone."""
        self._changed.set()
        self._changed = asyncio.Event()


def _membership(cluster: Cluster, node: NodeRecord, nodes: Sequence[NodeRecord]) -> ClusterMembership:
    instance = next(i for i in cluster.instances if i.node == node.name)
    assert cluster.master is not None, f"{cluster.id} has instances but no master"
    master = next(n for n in nodes if n.name == cluster.master.node)
    return ClusterMembership(
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        instance_id=instance.ec2_instance_id,
        instance_type=instance.instance_type,
        is_master=instance.role is InstanceRole.MASTER,
        master_host=master.host,
        master_url=master.master_url,
        release_label=cluster.request["ReleaseLabel"],
        region=cluster.region,
        log_uri=cluster.request.get("LogUri"),
        bootstrap_actions=tuple(
            BootstrapAction(
                name=action["Name"],
                path=action["ScriptBootstrapAction"]["Path"],
                args=tuple(action["ScriptBootstrapAction"].get("Args", ())),
            )
            for action in cluster.request.get("BootstrapActions", ())
        ),
        configurations=tuple(map(_configuration, cluster.request.get("Configurations", ()))),
        created_at=cluster.created_at,
        master_instance_id=cluster.master.ec2_instance_id,
        instance_group_id=instance.group_id,
        instance_groups=tuple(
            InstanceGroup(
                group_id=group.id,
                name=group.name,
                role=group.role,
                market=group.market,
                instance_type=group.instance_type,
                requested_count=group.requested_count,
            )
            for group in cluster.groups
        ),
    )


def _configuration(document: dict[str, Any]) -> Configuration:
    return Configuration(
        classification=document.get("Classification", ""),
        properties=document.get("Properties", {}),
        configurations=tuple(map(_configuration, document.get("Configurations", ()))),
    )


def _leases(cluster: Cluster, node: NodeRecord) -> tuple[Lease, ...]:
    """Steps run on the master."""
    if cluster.master is None or cluster.master.node != node.name:
        return ()
    return tuple(
        Lease(
            step_id=step.id,
            attempt=step.attempt,
            name=step.name,
            jar=step.jar,
            args=tuple(step.args),
            main_class=step.main_class,
            properties=step.properties,
            cancel=step.cancel,
        )
        for step in cluster.steps
        if step.state in LEASED_STEP_STATES
    )
