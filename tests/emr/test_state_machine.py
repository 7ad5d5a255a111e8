"""The state machine under any order of events: what must never happen does not, and what must happen does.

The model drives `reconciliation` and `transitions` with simulated nodes, each of which obeys its
assignment in its own time, loses its process or falls silent; and with a control plane that is restarted, so that what
is not in the database is forgotten.
"""

from dataclasses import dataclass, field, replace
from functools import cache

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from drydock_emr.api import requests
from drydock_emr.node_protocol import CancelOption, LeaseReport, LeaseState, Phase, Report
from drydock_emr.state import transitions
from drydock_emr.state.cluster import (
    ACCEPTING_STATES,
    ACTIVE_STATES,
    ENDED_STATES,
    LEASED_STEP_STATES,
    UNFINISHED_STEP_STATES,
    ActionOnFailure,
    Cluster,
    ClusterState,
    InstanceRole,
    InstanceState,
    StepState,
)
from drydock_emr.state.fleet import NodeRecord
from drydock_emr.state.reconciliation import reconcile
from drydock_emr.state.store import Store
from drydock_emr.state.store import _mapping as mapper_registry
from tests.emr.conftest import Database, run_job_flow, step

MAX_RESTARTS = 2  # of the control plane in one run
CLUSTER_MOVES = {
    ClusterState.STARTING: {ClusterState.BOOTSTRAPPING, ClusterState.TERMINATING},
    ClusterState.BOOTSTRAPPING: {ClusterState.RUNNING, ClusterState.WAITING, ClusterState.TERMINATING},
    ClusterState.RUNNING: {ClusterState.WAITING, ClusterState.TERMINATING},
    ClusterState.WAITING: {ClusterState.RUNNING, ClusterState.TERMINATING},
    ClusterState.TERMINATING: {ClusterState.TERMINATED, ClusterState.TERMINATED_WITH_ERRORS},
    ClusterState.TERMINATED: set(),
    ClusterState.TERMINATED_WITH_ERRORS: set(),
}
STEP_MOVES = {
    StepState.PENDING: {StepState.RUNNING, StepState.CANCELLED},
    StepState.RUNNING: {StepState.COMPLETED, StepState.FAILED, StepState.CANCEL_PENDING, StepState.CANCELLED},
    StepState.CANCEL_PENDING: {StepState.COMPLETED, StepState.CANCELLED},
    StepState.COMPLETED: set(),
    StepState.FAILED: set(),
    StepState.CANCELLED: set(),
}


@dataclass
class SimulatedNode:
    """What a machine would do: serve the cluster it is given, run each lease once, close down when its tenancy ends."""

    record: NodeRecord
    silent: bool = False
    tenancy: int = -1
    cluster_id: str | None = None
    phase: Phase = Phase.PREPARING
    leases: dict[str, LeaseReport] = field(default_factory=dict)

    def report(self) -> Report:
        return Report(
            node=self.record.name,
            host=self.record.host,
            rpc_port=7077,
            ui_url="http://127.0.0.1:8090",
            seen_version=0,
            tenancy=self.tenancy,
            cluster_id=self.cluster_id,
            phase=self.phase,
            alive_workers=9,
            leases=tuple(self.leases.values()),
        )


class EmrMachine(RuleBasedStateMachine):
    """Three nodes, any number of clusters."""

    @property
    def store(self) -> Store:
        return store_in_memory()

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.records = [NodeRecord(name=f"node-{i}", host=f"h{i}", rpc_port=7077) for i in (1, 2, 3)]
        self.nodes = [SimulatedNode(record) for record in self.records]
        self.clusters: list[Cluster] = []
        self.cluster_states: dict[str, ClusterState] = {}
        self.step_states: dict[str, StepState] = {}
        self.unheard: set[str] = set()  # nodes that have not reported since the control plane was restarted
        self.restarts = 0
        self.submitted: set[str] = set()
        self.started: list[str] = []

    # What callers do

    @rule(
        cores=st.integers(0, 3),
        keep_alive=st.booleans(),
        protected=st.booleans(),
        concurrency=st.integers(1, 3),
        idle=st.sampled_from([None, 60]),
        count=st.integers(0, 3),
        action=st.sampled_from(ActionOnFailure),
    )
    def run_job_flow(
        self,
        cores: int,
        keep_alive: bool,
        protected: bool,
        concurrency: int,
        idle: int | None,
        count: int,
        action: ActionOnFailure,
    ) -> None:
        groups = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}]
        if cores:
            groups.append({"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": cores})
        request = run_job_flow(
            Instances={
                "InstanceGroups": groups,
                "KeepJobFlowAliveWhenNoSteps": keep_alive,
                "TerminationProtected": protected,
            },
            StepConcurrencyLevel=concurrency,
            Steps=[step("s", on_failure="CONTINUE" if concurrency > 1 else action) for _ in range(count)],
            **({"AutoTerminationPolicy": {"IdleTimeout": idle}} if idle else {}),
        )
        cluster = requests.new_cluster(request, "0" * 12, "us-east-1", self.now)
        self.submitted.update(step.id for step in cluster.steps)
        self.clusters.append(cluster)
        self.reconcile()

    @rule(good=st.sampled_from([True, True, False]))
    def a_cluster_is_validated(self, good: bool) -> None:
        for cluster in self.clusters:
            if cluster.state is ClusterState.STARTING and not cluster.validated:
                if good:
                    cluster.validated = True
                else:
                    transitions.refuse(cluster, "no such subnet", self.now)
        self.reconcile()

    @precondition(lambda self: any(c.state in ACCEPTING_STATES and c.worker_groups for c in self.clusters))
    @rule(data=st.data(), count=st.integers(1, 3), concurrency=st.integers(1, 3), protected=st.booleans())
    def the_cluster_is_modified(self, data: st.DataObject, count: int, concurrency: int, protected: bool) -> None:
        resizable = [c for c in self.clusters if c.state in ACCEPTING_STATES and c.worker_groups]
        cluster = data.draw(st.sampled_from(resizable))
        cluster.worker_groups[0].requested_count = count
        cluster.termination_protected = protected
        cluster.step_concurrency = max(concurrency, cluster.step_concurrency)
        self.reconcile()

    @precondition(lambda self: any(c.state in ACCEPTING_STATES for c in self.clusters))
    @rule(data=st.data(), action=st.sampled_from(ActionOnFailure))
    def add_step(self, data: st.DataObject, action: ActionOnFailure) -> None:
        cluster = data.draw(st.sampled_from([c for c in self.clusters if c.state in ACCEPTING_STATES]))
        on_failure = "CONTINUE" if cluster.step_concurrency > 1 else action
        self.submitted.update(requests.add_steps(cluster, [step("s", on_failure=on_failure)], self.now))
        self.reconcile()

    @precondition(lambda self: any(c.steps for c in self.clusters))
    @rule(data=st.data(), option=st.sampled_from(CancelOption))
    def cancel_step(self, data: st.DataObject, option: CancelOption) -> None:
        target = data.draw(st.sampled_from([s for c in self.clusters for s in c.steps]))
        accepted = transitions.cancel_step(target, option, self.now)
        assert accepted == (target.id not in self.step_states or self.step_states[target.id] in UNFINISHED_STEP_STATES)
        self.reconcile()

    @precondition(lambda self: self.clusters)
    @rule(data=st.data())
    def terminate(self, data: st.DataObject) -> None:
        cluster = data.draw(st.sampled_from(self.clusters))
        transitions.terminate(cluster, self.now)
        self.reconcile()

    # What nodes do

    @rule(index=st.integers(0, 2))
    def node_obeys(self, index: int) -> None:
        node = self.nodes[index]
        node.silent = False
        self.obey(node)
        self.reconcile()

    @rule(index=st.integers(0, 2), exit_code=st.sampled_from([0, 0, 1, -15, None]))
    def a_step_ends(self, index: int, exit_code: int | None) -> None:
        node = self.nodes[index]
        self.unheard.discard(node.record.name)
        running = [lease for lease in node.leases.values() if lease.state is LeaseState.RUNNING]
        if running:
            self.end_lease(node, running[0], exit_code)
        self.reconcile()

    @rule(index=st.integers(0, 2))
    def node_restarts(self, index: int) -> None:
        """The process comes back and knows its leases from disk, not its phase."""
        node = self.nodes[index]
        self.unheard.discard(node.record.name)
        node.phase, node.tenancy, node.cluster_id = Phase.PREPARING, -1, None
        self.reconcile()

    @rule(index=st.integers(0, 2))
    def node_falls_silent(self, index: int) -> None:
        self.nodes[index].silent = True
        self.reconcile()

    @rule(seconds=st.sampled_from([1, 59, 61]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.reconcile()

    # What the control plane does

    @precondition(lambda self: self.restarts < MAX_RESTARTS)
    @rule()
    def control_plane_restarts(self) -> None:
        """All it knew is gone but the database; a node that has not reported yet is unknown to it, not lost."""
        self.restarts += 1
        self.clusters, self.records = written_and_read(self.store, self.clusters, self.records)
        for node, record in zip(self.nodes, self.records, strict=True):
            node.record = record
        self.unheard = {record.name for record in self.records}
        self.reconcile()

    def reconcile(self) -> None:
        lost = {node.record.name for node in self.nodes if node.silent}
        heard = [node for node in self.nodes if not node.silent and node.record.name not in self.unheard]
        reports = {node.record.name: node.report() for node in heard}
        reconcile([c for c in self.clusters if c.state in ACTIVE_STATES], self.records, reports, lost, self.now)

    def obey(self, node: SimulatedNode) -> None:
        record = node.record
        self.unheard.discard(record.name)
        if node.tenancy != record.tenancy or (record.cluster_id is None and node.cluster_id is not None):
            node.tenancy, node.cluster_id, node.phase = record.tenancy, None, Phase.IDLE
            if record.cluster_id is None:
                node.leases.clear()
        if record.cluster_id is None:
            node.phase = Phase.IDLE
            return
        if node.cluster_id != record.cluster_id:
            node.cluster_id, node.phase = record.cluster_id, Phase.BOOTSTRAPPING
            return
        node.phase = Phase.READY
        cluster = next(c for c in self.clusters if c.id == record.cluster_id)
        if cluster.master is not None and cluster.master.node == record.name:
            for leased in cluster.steps:
                if leased.state in LEASED_STEP_STATES and leased.id not in node.leases:
                    self.started.append(leased.id)
                    node.leases[leased.id] = LeaseReport(
                        step_id=leased.id, attempt=leased.attempt, state=LeaseState.RUNNING, started_at=self.now
                    )
                elif leased.cancel and (lease := node.leases.get(leased.id)) and lease.state is LeaseState.RUNNING:
                    self.end_lease(node, lease, -15)

    def end_lease(self, node: SimulatedNode, lease: LeaseReport, exit_code: int | None) -> None:
        state = LeaseState.VANISHED if exit_code is None else LeaseState.EXITED
        node.leases[lease.step_id] = lease.model_copy(
            update={"state": state, "exit_code": exit_code, "ended_at": self.now}
        )

    # What must hold

    @invariant()
    def no_step_is_lost_or_run_twice(self) -> None:
        assert {s.id for c in self.clusters for s in c.steps} == self.submitted
        assert len(self.started) == len(set(self.started))

    @invariant()
    def only_legal_moves(self) -> None:
        for cluster in self.clusters:
            before = self.cluster_states.get(cluster.id, ClusterState.STARTING)
            assert cluster.state == before or cluster.state in _reachable(CLUSTER_MOVES, before), (
                before,
                cluster.state,
            )
            self.cluster_states[cluster.id] = cluster.state
            for s in cluster.steps:
                step_before = self.step_states.get(s.id, StepState.PENDING)
                assert s.state == step_before or s.state in _reachable(STEP_MOVES, step_before), (step_before, s.state)
                self.step_states[s.id] = s.state

    @invariant()
    def concurrency_is_kept(self) -> None:
        for cluster in self.clusters:
            leased = [s for s in cluster.steps if s.state in LEASED_STEP_STATES]
            assert len(leased) <= cluster.step_concurrency
            first_pending = min((s.sequence for s in cluster.steps if s.state is StepState.PENDING), default=None)
            if first_pending is not None:
                assert all(s.sequence < first_pending for s in leased), "steps start in the order of submission"

    @invariant()
    def ended_clusters_hold_nothing(self) -> None:
        for cluster in self.clusters:
            if cluster.state in ENDED_STATES:
                assert cluster.ended_at is not None
                assert not cluster.unfinished_steps
                assert all(i.state is InstanceState.TERMINATED for i in cluster.instances)
                assert all(record.cluster_id != cluster.id for record in self.records)

    @invariant()
    def a_node_serves_one_cluster_and_a_cluster_has_one_master(self) -> None:
        serving = [
            i.node for c in self.clusters if c.state in ACCEPTING_STATES for i in c.instances if i.ended_at is None
        ]
        assert len(serving) == len(set(serving))
        for cluster in self.clusters:
            masters = [i for i in cluster.instances if i.role is InstanceRole.MASTER]
            assert len(masters) == (1 if cluster.instances else 0)

    def teardown(self) -> None:
        """Every cluster that may end ends: all are asked to, and the nodes are given their turns."""
        for cluster in self.clusters:
            transitions.terminate(cluster, self.now)
        for _ in range(6):
            for node in self.nodes:
                node.silent = False
                self.obey(node)
            self.reconcile()
        assert all(cluster.state in ENDED_STATES for cluster in self.clusters)
        assert all(record.cluster_id is None for record in self.records)
        self.only_legal_moves()


@cache
def store_in_memory() -> Store:
    """A database in memory, made once: that takes longer than all the rest."""
    return Store("sqlite://")


def written_and_read(
    store: Store, clusters: list[Cluster], nodes: list[NodeRecord]
) -> tuple[list[Cluster], list[NodeRecord]]:
    """The same in new objects, by way of the database, which is empty afterwards."""
    ids, names = [cluster.id for cluster in clusters], [node.name for node in nodes]
    with store.transaction() as records:
        for cluster in clusters:
            parts = {
                name: [replace(part) for part in getattr(cluster, name)] for name in ("groups", "instances", "steps")
            }
            records.add(replace(cluster, **parts))
        for node in nodes:
            records.add(replace(node))
    with store.transaction() as records:
        found = {cluster.id: cluster for cluster in records.all_clusters(offset=0, limit=len(ids) + 1)}
        found_nodes = {node.name: node for node in records.nodes()}
        for cluster in found.values():
            assert [step.sequence for step in cluster.steps] == list(range(len(cluster.steps)))
    with store._engine.begin() as connection:
        for table in reversed(mapper_registry.metadata.sorted_tables):
            connection.execute(table.delete())
    return [found[cluster_id] for cluster_id in ids], [found_nodes[name] for name in names]


def _reachable(moves: dict, start: object) -> set:
    """States that one turn may lead to: several due moves can fall into one."""
    found: set = set()
    frontier = {start}
    while frontier:
        frontier = {after for state in frontier for after in moves[state]} - found
        found |= frontier
    return found


TestEmrMachine = EmrMachine.TestCase
TestEmrMachine.settings = settings(max_examples=150, stateful_step_count=40)


def test_the_same_by_way_of_postgres(postgres_database: Database) -> None:
    class OnPostgres(EmrMachine):
        store = Store(postgres_database.url, postgres_database.password)

    try:
        run_state_machine_as_test(OnPostgres, settings=settings(max_examples=20, stateful_step_count=30))
    finally:
        OnPostgres.store.close()


def new_validated_cluster(request: dict) -> Cluster:
    cluster = requests.new_cluster(request, "0" * 12, "us-east-1", 0)
    cluster.validated = True
    return cluster


def test_a_transient_cluster_without_steps_ends_by_itself() -> None:
    machine = EmrMachine()
    request = run_job_flow(Instances={"KeepJobFlowAliveWhenNoSteps": False})
    machine.clusters.append(new_validated_cluster(request))
    for _ in range(6):
        for node in machine.nodes:
            machine.obey(node)
        machine.reconcile()
    assert machine.clusters[0].state is ClusterState.TERMINATED


@pytest.mark.parametrize(("role", "ends"), [("master", True), ("core", False)])
def test_a_lost_master_ends_the_cluster_and_a_lost_core_does_not(role: str, ends: bool) -> None:
    machine = EmrMachine()
    machine.clusters.append(new_validated_cluster(run_job_flow()))
    for _ in range(4):
        for node in machine.nodes:
            machine.obey(node)
        machine.reconcile()
    cluster = machine.clusters[0]
    assert cluster.state is ClusterState.WAITING
    assert cluster.master is not None
    lost = next(n for n in machine.nodes if (n.record.name == cluster.master.node) == (role == "master"))
    lost.silent = True
    machine.reconcile()
    assert (cluster.state is ClusterState.TERMINATING) == ends
    if ends:
        assert cluster.reason_message == "The master node was terminated."
