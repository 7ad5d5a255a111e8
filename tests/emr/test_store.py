"""The database by itself: its format version, and that SQLite and Postgres keep and sort alike."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from drydock_emr.errors import DatabaseUnavailable, DatabaseVersionError
from drydock_emr.node_protocol import Daemons
from drydock_emr.state.cluster import Cluster, Instance, InstanceGroup, InstanceRole, SecurityConfiguration
from drydock_emr.state.fleet import NodeRecord
from drydock_emr.state.store import FORMAT_VERSION, Store
from tests.emr.conftest import Database

pytestmark = pytest.mark.both_databases

ACCOUNT, REGION = "000000000000", "us-east-1"
MOMENT = 1_767_225_600.123_456_7  # to be found again it has to come back to the last digit


@pytest.fixture
def new_store(database: Database) -> Iterator[Callable[[], Store]]:
    stores = []

    def make() -> Store:
        stores.append(Store(database.url, database.password))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    return new_store()


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """The database, past the store."""
    engine = create_engine(make_url(database.url).set(password=database.password))
    yield engine
    engine.dispose()


def new_cluster(cluster_id: str, created_at: float = MOMENT, **parts: list) -> Cluster:
    return Cluster(cluster_id, ACCOUNT, REGION, "a cluster", created_at, {"Instances": {}}, **parts)


class TestFormatVersion:
    @pytest.mark.parametrize("version", [FORMAT_VERSION - 1, FORMAT_VERSION + 1], ids=["older", "newer"])
    def test_of_another_database_is_refused_and_nothing_changed(
        self, new_store: Callable[[], Store], engine: Engine, version: int
    ) -> None:
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS security_configurations"))
            connection.execute(text("CREATE TABLE IF NOT EXISTS meta (name VARCHAR PRIMARY KEY, value VARCHAR)"))
            connection.execute(text(f"INSERT INTO meta VALUES ('format_version', '{version}')"))
        tables = inspect(engine).get_table_names()
        with pytest.raises(DatabaseVersionError, match=f"version {version}, this control plane reads"):
            new_store()
        assert inspect(engine).get_table_names() == tables
        with engine.begin() as connection:
            assert connection.execute(text("SELECT name FROM meta")).fetchall() == [("format_version",)]
            connection.execute(text("DELETE FROM meta"))

    def test_of_its_own_database_is_written_once(self, new_store: Callable[[], Store], engine: Engine) -> None:
        for _ in range(2):
            new_store().check_writable()
        with engine.begin() as connection:
            found = connection.execute(text("SELECT name, value FROM meta ORDER BY name")).fetchall()
        assert [name for name, _ in found] == ["checked_at", "format_version"]
        assert found[1].value == "1"


class TestOrder:
    """By code points, as Python sorts; languages have other rules (the test's Postgres has those of English)."""

    def test_of_nodes(self, store: Store) -> None:
        names = ["node-10", "Node-2", "ö", "node_1", "node-2", "node1", "NODE", "z", "node-1"]
        with store.transaction() as records:
            for name in names:
                records.add(NodeRecord(name, "h", 1))
        with store.transaction(read_only=True) as records:
            found = [node.name for node in records.nodes()]
        assert found == ["NODE", "Node-2", "node-1", "node-10", "node-2", "node1", "node_1", "z", "ö"]

    def test_of_clusters_of_one_moment_and_of_their_pages(self, store: Store) -> None:
        with store.transaction() as records:
            for cluster_id in ("j-b", "j-A", "j-a", "j-B", "j-1"):
                records.add(new_cluster(cluster_id))
            records.add(new_cluster("j-later", created_at=MOMENT + 1))
        with store.transaction(read_only=True) as records:
            listed = [c.id for c in records.list_clusters(ACCOUNT, REGION)]
            page = [c.id for c in records.list_clusters(ACCOUNT, REGION, begin=(MOMENT, "j-B"), limit=2)]
            active = [c.id for c in records.active_clusters()]
            shown = [c.id for c in records.all_clusters(offset=1, limit=3)]
        assert listed == ["j-later", "j-1", "j-A", "j-B", "j-a", "j-b"]
        assert page == ["j-B", "j-a"]
        assert active == ["j-1", "j-A", "j-B", "j-a", "j-b", "j-later"]
        assert shown == ["j-1", "j-A", "j-B"]

    def test_of_a_cluster_s_parts_stays_when_one_of_them_changes(self, store: Store) -> None:
        """Postgres moves a row that is written to; what was made at one moment must not move with it."""
        groups = [InstanceGroup(f"ig-{name}", name, InstanceRole.CORE, "m5.xlarge", 1) for name in ("b", "A", "a")]
        roles = {"ci-2": InstanceRole.CORE, "ci-b": InstanceRole.TASK, "ci-3": InstanceRole.MASTER}
        roles["ci-B"] = InstanceRole.CORE
        instances = [Instance(i, "i-1", "ig-A", role, "m5.xlarge", "n", "h", 1.0) for i, role in roles.items()]
        with store.transaction() as records:
            records.add(new_cluster("j-1", groups=groups, instances=instances))
        for changed in range(3):
            with store.transaction() as records:
                cluster = records.cluster_by_id("j-1")
                assert cluster is not None
                assert [group.id for group in cluster.groups] == ["ig-A", "ig-a", "ig-b"]
                assert [instance.id for instance in cluster.instances] == ["ci-3", "ci-2", "ci-B", "ci-b"]
                cluster.instances[changed].ready_at = 2.0
                cluster.groups[changed].requested_count = 2

    def test_of_security_configurations_of_one_moment(self, store: Store) -> None:
        with store.transaction() as records:
            for name in ("b", "A", "a-1", "a_1", "a1"):
                records.add(SecurityConfiguration(ACCOUNT, REGION, name, "{}", 1.0))
        with store.transaction(read_only=True) as records:
            found = [configuration.name for configuration in records.security_configurations(ACCOUNT, REGION)]
        assert found == ["A", "a-1", "a1", "a_1", "b"]


class TestText:
    @pytest.mark.parametrize("value", ["", " ", "ö\N{COMBINING DIAERESIS}", "\N{GRINNING FACE}", "'%s\\\t\n\x01"])
    def test_is_kept_as_it_is(self, store: Store, value: str) -> None:
        with store.transaction() as records:
            cluster = new_cluster("j-1")
            cluster.name = cluster.reason_message = value
            cluster.tags = {value: value}
            records.add(cluster)
        with store.transaction(read_only=True) as records:
            found = records.cluster_by_id("j-1")
        assert found is not None
        assert (found.name, found.reason_message, found.tags) == (value, value, {value: value})

    def test_loses_nul_in_either_database(self, store: Store) -> None:
        with store.transaction() as records:
            cluster = new_cluster("j-1")
            cluster.reason_message = "exit code\0 1"
            records.add(cluster)
        with store.transaction(read_only=True) as records:
            found = records.cluster_by_id("j-1")
            assert found is not None
            assert found.reason_message == "exit code\N{REPLACEMENT CHARACTER} 1"
            assert records.cluster_by_id("\0") is None
            assert records.step("\0", "\0", "\0", "\0") is None


class TestTransaction:
    def test_that_raises_leaves_nothing(self, store: Store) -> None:
        def fail() -> None:
            with store.transaction() as records:
                records.add(new_cluster("j-1"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with store.transaction(read_only=True) as records:
            assert records.cluster_by_id("j-1") is None

    def test_says_whether_it_wrote(self, store: Store) -> None:
        with store.transaction() as records:
            records.add(NodeRecord("node-1", "h", 1))
        assert records.wrote
        with store.transaction() as records:
            node = records.node("node-1")
            assert node is not None
            node.host, node.daemons = "h", Daemons()
        assert not records.wrote

    def test_of_a_database_without_its_tables_is_refused_and_told_once(
        self, store: Store, engine: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As of a database that was put there anew behind a running control plane."""
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE nodes RENAME TO elsewhere"))
        caplog.set_level(logging.INFO)
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match="nodes"), store.transaction() as records:
                records.nodes()
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO nodes"))
        with store.transaction() as records:
            assert records.nodes() == []
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 2
        assert told[0].startswith("The database cannot be used: ")
        assert told[1].startswith("The database can be used again, after ")


def test_a_new_database_and_one_that_was_begun_are_finished(database: Database, engine: Engine) -> None:
    """One whose maker was killed before it was signed."""
    Store(database.url, database.password).close()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM meta"))
        connection.execute(text("DROP TABLE steps"))
    with closing(Store(database.url, database.password)) as store:
        store.check_writable()
        with store.transaction(read_only=True) as records:
            assert records.list_steps("j-1", limit=1) == []
