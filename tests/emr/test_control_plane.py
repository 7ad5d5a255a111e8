"""The control plane by itself: time that passes or jumps, a database that takes no writes, requests that are held."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from drydock_emr import control_plane, provisioning
from drydock_emr.api import requests
from drydock_emr.control_plane import NODE_LOST_SECONDS, TICK_SECONDS, ControlPlane
from drydock_emr.errors import DatabaseUnavailable
from drydock_emr.gateway import Gateway
from drydock_emr.node_protocol import Assignment, Phase, Report
from drydock_emr.provisioning import Provisioning
from drydock_emr.state.cluster import Cluster, ClusterState, ReasonCode
from drydock_emr.state.store import Records, Store
from tests.emr.conftest import Database, run_job_flow

NODES = ("node-1", "node-2", "node-3")
PROVISIONING_TIMEOUT_SECONDS = 100.0
ASLEEP_SECONDS = 8 * 3600.0


class FaultyStore(Store):
    """A database whose next transactions fail, as on a full disk."""

    faults = 0

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Records]:
        if self.faults:
            self.faults -= 1
            raise DatabaseUnavailable("database or disk is full")
        with super().transaction(read_only=read_only) as records:
            yield records


class Gate:
    """Grants the service role's session, or fails in a way nobody foresaw."""

    fault: Exception | None = None

    async def service_session(self, *_: Any, **__: Any) -> dict[str, Any]:
        if self.fault is not None:
            raise self.fault
        return {"AccessKeyId": "x", "SecretAccessKey": "x", "Token": "x"}


class World:
    """A control plane, its database and its clock."""

    def __init__(self, database: Database) -> None:
        self.now = 1_000_000.0
        self.store = FaultyStore(database.url, database.password)
        self.gate = Gate()
        self.control_plane = ControlPlane(self.store, 3, PROVISIONING_TIMEOUT_SECONDS, clock=lambda: self.now)
        self.provisioning = Provisioning(self.control_plane, cast(Gateway, self.gate), "http://127.0.0.1:9")

    def tick(self, seconds: float = TICK_SECONDS) -> None:
        self.now += seconds
        with self.control_plane.changing():
            pass

    def new_cluster(self, **changed: Any) -> str:
        with self.control_plane.changing() as (records, now):
            cluster = requests.new_cluster(run_job_flow(**changed), "0" * 12, "us-east-1", now)
            records.add(cluster)
        return cluster.id

    def cluster(self, cluster_id: str) -> Cluster:
        with self.control_plane.reading() as records:
            cluster = records.cluster_by_id(cluster_id)
        assert cluster is not None
        return cluster

    async def report(self, *names: str) -> None:
        """As of nodes that do at once what they are asked for."""
        for name in names:
            await self.control_plane.sync(self._report_of(name))

    async def ready_cluster(self) -> str:
        await self.report(*NODES)
        await self.report(*NODES)
        cluster_id = self.new_cluster()
        with self.control_plane.changing() as (records, _):
            cluster = records.cluster_by_id(cluster_id)
            assert cluster is not None
            cluster.validated = True
        await self.report(*NODES)
        await self.report(*NODES)
        assert self.cluster(cluster_id).state is ClusterState.WAITING
        return cluster_id

    def seen(self, name: str) -> Report:
        """The report of a node that knows its assignment, so that its request is held."""
        version = self.control_plane.assignment(name).version
        return self._report_of(name).model_copy(update={"seen_version": version})

    def _report_of(self, name: str) -> Report:
        try:
            assignment: Assignment | None = self.control_plane.assignment(name)
        except KeyError:
            assignment = None
        serves = assignment is not None and assignment.cluster is not None
        return Report(
            node=name,
            host=f"127.0.0.{10 + NODES.index(name)}",
            rpc_port=7077,
            ui_url="http://127.0.0.1:8090",
            seen_version=-1,
            tenancy=assignment.tenancy if assignment else -1,
            cluster_id=assignment.cluster.cluster_id if assignment and assignment.cluster else None,
            phase=Phase.READY if serves else Phase.IDLE,
            alive_workers=2,
        )


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    world = World(database)
    yield world
    world.store.close()


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


def alongside(task: Callable[[], Awaitable[None]], others: Callable[[], Awaitable[None]]) -> None:
    """Run `others` while the task runs, which has to outlast them."""

    async def both() -> None:
        running = asyncio.ensure_future(task())
        await others()
        assert not running.done(), "the task has ended"
        running.cancel()

    asyncio.run(both())


class TestSilence:
    def test_a_master_that_is_silent_for_too_long_is_lost(self, world: World) -> None:
        cluster_id = asyncio.run(world.ready_cluster())
        for _ in range(int(NODE_LOST_SECONDS / TICK_SECONDS) + 1):
            world.tick()
        assert world.cluster(cluster_id).reason_message == "The master node was terminated."

    @pytest.mark.parametrize("asleep_seconds", [ASLEEP_SECONDS, -ASLEEP_SECONDS])
    def test_the_sleep_of_the_machine_is_nobodys_silence(self, world: World, asleep_seconds: float) -> None:
        cluster_id = asyncio.run(world.ready_cluster())
        world.tick(asleep_seconds)
        assert world.cluster(cluster_id).state is ClusterState.WAITING
        assert set(world.control_plane.reports()) == set(NODES)
        for _ in range(int(NODE_LOST_SECONDS / TICK_SECONDS) + 1):  # who says nothing after it is lost
            world.tick()
        assert world.cluster(cluster_id).reason_message == "The master node was terminated."

    def test_a_node_that_reports_before_the_first_tick_does_not_end_the_others(self, world: World) -> None:
        cluster_id = asyncio.run(world.ready_cluster())
        world.now += ASLEEP_SECONDS
        asyncio.run(world.report("node-3"))
        assert world.cluster(cluster_id).state is ClusterState.WAITING
        for _ in range(int(NODE_LOST_SECONDS / TICK_SECONDS) + 1):
            world.tick()
        assert world.control_plane.reports() == {}

    def test_a_node_that_was_lost_before_does_not_come_back_by_it(self, world: World) -> None:
        asyncio.run(world.report(*NODES))
        for _ in range(int(NODE_LOST_SECONDS / TICK_SECONDS) + 1):
            world.tick()
        world.tick(ASLEEP_SECONDS)
        assert world.control_plane.reports() == {}


@pytest.mark.both_databases
class TestOutage:
    def test_of_the_database_is_nobodys_silence(self, world: World) -> None:
        """Nodes go on reporting, and are refused; later than they would have been lost, all is as it was."""
        cluster_id = asyncio.run(world.ready_cluster())
        for _ in range(8):
            world.now += NODE_LOST_SECONDS / 6
            for name in NODES:
                report = world.seen(name)
                world.store.faults = 1
                with pytest.raises(DatabaseUnavailable):
                    asyncio.run(world.control_plane.sync(report))
        world.tick()
        assert world.cluster(cluster_id).state is ClusterState.WAITING
        assert set(world.control_plane.reports()) == set(NODES)

    def test_of_the_database_does_not_hide_who_falls_silent_meanwhile(self, world: World) -> None:
        cluster_id = asyncio.run(world.ready_cluster())
        for _ in range(int(NODE_LOST_SECONDS / TICK_SECONDS) + 1):
            world.store.faults = 1
            with pytest.raises(DatabaseUnavailable):
                world.tick()
        world.tick()
        assert world.cluster(cluster_id).reason_message == "The master node was terminated."

    def test_ends_no_turn_of_the_clock(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(control_plane, "TICK_SECONDS", 0.01)
        cluster_id = asyncio.run(world.ready_cluster())

        def is_lost_in_time() -> bool:
            world.now += TICK_SECONDS
            return world.cluster(cluster_id).reason_message == "The master node was terminated."

        async def others() -> None:
            world.store.faults = 3
            await until(lambda: not world.store.faults, "some turns have failed")
            await until(is_lost_in_time, "the clock goes on")

        alongside(world.control_plane.tick, others)


@pytest.mark.both_databases
class TestHeldRequests:
    def test_are_looked_into_again_only_when_something_was_written(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def held() -> None:
            cluster_id = await world.ready_cluster()
            await world.report(*NODES)
            looks: list[str] = []
            look = world.control_plane.assignment
            report = world.seen("node-1")

            def counted(name: str) -> Assignment:
                looks.append(name)
                return look(name)

            monkeypatch.setattr(world.control_plane, "assignment", counted)
            request = asyncio.create_task(world.control_plane.sync(report))
            await until(lambda: looks == ["node-1"], "the request is held")
            for _ in range(5):
                world.tick()
                await asyncio.sleep(0.01)
            assert looks == ["node-1"]
            with world.control_plane.changing() as (records, now):
                cluster = records.cluster_by_id(cluster_id)
                assert cluster is not None
                requests.add_steps(cluster, [{"Name": "s", "HadoopJarStep": {"Jar": "command-runner.jar"}}], now)
            assignment = await asyncio.wait_for(request, 5)
            assert [lease.name for lease in assignment.leases] == ["s"]

        asyncio.run(held())

    def test_are_answered_when_another_nodes_report_changes_something(self, world: World) -> None:
        async def held() -> None:
            cluster_id = await world.ready_cluster()
            await world.report(*NODES)
            master = world.cluster(cluster_id).master
            assert master is not None
            core = next(name for name in NODES if name != master.node)
            request = asyncio.create_task(world.control_plane.sync(world.seen(core)))
            await asyncio.sleep(0.01)
            # The master falls silent; that is found when the third node reports what it reported before.
            for _ in range(4):
                world.now += NODE_LOST_SECONDS / 4
                third = next(name for name in NODES if name not in {core, master.node})
                await world.report(third)
            world.now += TICK_SECONDS
            await world.report(third)
            assert (await asyncio.wait_for(request, 5)).cluster is None

        asyncio.run(held())


class TestProvisioning:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provisioning, "RETRY_SECONDS", 0.01)

    @pytest.mark.parametrize("after", [0, 1], ids=["reading", "writing down"])
    def test_outlives_a_database_that_fails(self, world: World, after: int) -> None:
        cluster_id = world.new_cluster()
        session = world.gate.service_session

        async def then_the_disk_is_full(*_: Any, **__: Any) -> dict[str, Any]:
            world.gate.service_session = session  # type: ignore[method-assign]
            world.store.faults = 3
            return await session()

        async def others() -> None:
            if after:
                world.gate.service_session = then_the_disk_is_full  # type: ignore[method-assign]
            else:
                world.store.faults = 3
            world.control_plane.wants_validation(cluster_id)
            await until(lambda: not world.store.faults and world.cluster(cluster_id).validated, "it is validated")

        alongside(world.provisioning.run, others)

    def test_a_fault_of_its_own_ends_the_cluster_and_says_so(self, world: World) -> None:
        world.gate.fault = RuntimeError("nobody foresaw this")
        cluster_id = world.new_cluster()

        async def others() -> None:
            world.control_plane.wants_validation(cluster_id)
            await until(lambda: world.cluster(cluster_id).state is not ClusterState.STARTING, "it ends")

        alongside(world.provisioning.run, others)
        assert world.cluster(cluster_id).reason_code is ReasonCode.VALIDATION_ERROR
        assert "a fault of the local EMR" in world.cluster(cluster_id).reason_message

    def test_a_cluster_that_nobody_validates_ends_in_the_time_out(self, world: World) -> None:
        cluster_id = world.new_cluster()
        world.tick(PROVISIONING_TIMEOUT_SECONDS)
        assert world.cluster(cluster_id).state is ClusterState.STARTING
        world.tick()
        cluster = world.cluster(cluster_id)
        assert (cluster.state, cluster.reason_code) == (
            ClusterState.TERMINATED_WITH_ERRORS,
            ReasonCode.VALIDATION_ERROR,
        )
        assert "could not be validated within 100 seconds" in cluster.reason_message
