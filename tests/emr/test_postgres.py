"""What only Postgres can do to the control plane: be away, die, be slow, be somebody else's as well.

That both databases give the same answers is tested where the answers are: see the mark `both_databases`.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from drydock_emr import __main__, app
from drydock_emr.errors import ConfigurationError, DatabaseUnavailable
from drydock_emr.state import postgres
from drydock_emr.state.cluster import Cluster
from drydock_emr.state.fleet import NodeRecord
from drydock_emr.state.store import Store
from tests.emr.conftest import (
    GATEWAY_SECRET,
    NODE_SECRET,
    Database,
    Emr,
    Fleet,
    GatewayDouble,
    Server,
    run_job_flow,
    state_of,
    step,
)
from tests.emr.test_console import TOKEN
from tests.postgres import PASSWORD, PostgresServer
from tests.running import free_port, wait_for

AWAY = r"The database of the local EMR cannot be used now: [^\n]+\."


def new_store(database: Database, **options: Any) -> Store:
    return Store(database.url, database.password, **options)


@pytest.fixture
def stores(postgres_database: Database) -> Iterator[tuple[Store, Store]]:
    """Of two processes, as while one is being replaced. There is a cluster."""
    with closing(new_store(postgres_database)) as one, closing(new_store(postgres_database)) as other:
        with one.transaction() as records:
            records.add(Cluster("j-1", "0" * 12, "us-east-1", "a cluster", 1.0, {}))
        yield one, other


def tags(store: Store) -> dict[str, str]:
    with store.transaction(read_only=True) as records:
        cluster = records.cluster_by_id("j-1")
    assert cluster is not None
    return cluster.tags


def add_tag(store: Store, name: str, meanwhile: Callable[[], Any] = lambda: None) -> None:
    with store.transaction() as records:
        cluster = records.cluster_by_id("j-1")
        assert cluster is not None
        meanwhile()
        cluster.tags = {**cluster.tags, name: ""}


class TestTransactions:
    def test_of_two_processes_lose_no_update(self, stores: tuple[Store, Store]) -> None:
        def add(number: int) -> None:
            add_tag(stores[number % 2], str(number))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(60)))
        assert sorted(map(int, tags(stores[0]))) == list(range(60))

    def test_that_write_wait_for_each_other_and_see_what_the_other_left(self, stores: tuple[Store, Store]) -> None:
        one, other = stores
        second = threading.Thread(target=add_tag, args=(other, "second"))

        def begin_the_second() -> None:
            second.start()
            second.join(0.3)
            assert second.is_alive(), "it did not wait"

        add_tag(one, "first", begin_the_second)
        second.join(10)
        assert tags(one) == {"first": "", "second": ""}

    def test_that_read_wait_for_nobody_and_see_one_moment(self, stores: tuple[Store, Store]) -> None:
        one, other = stores
        add_tag(one, "first", lambda: tags(other))
        with other.transaction(read_only=True) as records:
            assert records.has_cluster("j-1", "0" * 12, "us-east-1")
            add_tag(one, "second")
            cluster = records.cluster_by_id("j-1")
        assert cluster is not None
        assert cluster.tags == {"first": ""}
        assert tags(other) == {"first": "", "second": ""}

    def test_that_read_cannot_write(self, stores: tuple[Store, Store]) -> None:
        def write() -> None:
            with stores[0].transaction(read_only=True) as records:
                records.add(NodeRecord("node-1", "h", 1))

        with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
            write()
        add_tag(stores[0], "after")
        assert tags(stores[0]) == {"after": ""}

    def test_end_when_the_lock_is_not_to_be_had(
        self, postgres_database: Database, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(postgres._CONNECTION, "options", "-c lock_timeout=100ms")
        with closing(new_store(postgres_database)) as impatient:
            stuck = partial(pytest.raises, DatabaseUnavailable, match="lock timeout")

            def attempt() -> None:
                with stuck():
                    add_tag(impatient, "never")

            add_tag(stores[0], "first", attempt)
            add_tag(impatient, "second")
        assert tags(stores[0]) == {"first": "", "second": ""}

    def test_are_on_disk_before_the_answer(self, stores: tuple[Store, Store]) -> None:
        with stores[0]._engine.connect() as connection:
            shown = {
                name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("synchronous_commit", "lock_timeout", "statement_timeout", "client_encoding")
            }
        assert shown == {
            "synchronous_commit": "on",
            "lock_timeout": "5s",
            "statement_timeout": "10s",
            "client_encoding": "UTF8",
        }


class TestConnections:
    """A server of the test's own is not needed: its connections are ended one by one."""

    END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'drydock-emr'"

    def test_that_died_are_replaced_before_they_are_used(
        self, postgres_server: PostgresServer, stores: tuple[Store, Store], caplog: pytest.LogCaptureFixture
    ) -> None:
        ended = postgres_server.execute(self.END)
        assert len(ended) == 2
        for store in stores:
            add_tag(store, str(id(store)))
        assert len(tags(stores[0])) == 2
        assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]

    def test_that_die_within_a_transaction_are_an_outage_of_a_moment(
        self, postgres_server: PostgresServer, stores: tuple[Store, Store], caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(DatabaseUnavailable, match="terminating connection"):
            add_tag(stores[0], "lost", lambda: postgres_server.execute(self.END))
        add_tag(stores[0], "kept")
        assert tags(stores[0]) == {"kept": ""}
        assert not [record for record in caplog.records if record.exc_info]


class TestStart:
    def test_ends_with_a_sentence_when_no_database_comes(
        self, postgres_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.setattr(app, "Store", partial(Store, patience_seconds=0.1))
        url = f"postgresql+psycopg://emr@127.0.0.1:{free_port()}/emr"
        for name, value in variables(tmp_path, Database(url, postgres_database.password_file), 1, 1).items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        assert time.monotonic() - began < 10
        printed = capsys.readouterr()
        assert ended.value.code == 1
        assert re.fullmatch(f"drydock-emr: {AWAY}\n", printed.err)
        assert "Connection refused" in printed.err
        assert PASSWORD not in printed.err + printed.out

    def test_says_that_the_password_is_wrong_and_not_which_it_was(
        self, postgres_database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        wrong = "wrong-0123456789-wrong"
        with pytest.raises(DatabaseUnavailable, match='password authentication failed for user "emr"') as refusal:
            Store(postgres_database.url, wrong, patience_seconds=0)
        chain: BaseException | None = refusal.value
        while chain is not None:
            assert wrong not in repr(chain) + str(chain)
            chain = chain.__cause__ or chain.__context__
        assert wrong not in caplog.text

    def test_refuses_a_database_that_cannot_hold_every_text(
        self, postgres_server: PostgresServer, postgres_database: Database
    ) -> None:
        other = Database(postgres_server.new_database("LATIN1"), postgres_database.password_file)
        with pytest.raises(ConfigurationError, match="encoding of the EMR database is LATIN1, expected UTF8"):
            new_store(other)

    def test_of_two_at_once_makes_the_tables_once(
        self, postgres_server: PostgresServer, postgres_database: Database
    ) -> None:
        fresh = Database(postgres_server.new_database(), postgres_database.password_file)
        with ThreadPoolExecutor(4) as pool:
            opened = [pool.submit(new_store, fresh) for _ in range(4)]
            for store in opened:
                store.result().close()

    def test_shows_the_password_nowhere(self, postgres_database: Database) -> None:
        with closing(new_store(postgres_database)) as store:
            shown = f"{store._engine!r} {store._engine.url!r} {store._engine.pool!r} {vars(store)}"
        assert PASSWORD not in shown


def test_a_database_that_takes_no_writes_is_named_by_the_health_page(
    postgres_server: PostgresServer, postgres_database: Database
) -> None:
    name = postgres_database.url.rpartition("/")[2]
    with closing(new_store(postgres_database)) as store:
        postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        try:
            postgres_server.execute(TestConnections.END)
            with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
                store.check_writable()
        finally:
            postgres_server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        postgres_server.execute(TestConnections.END)
        store.check_writable()


@pytest.fixture
def own_server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server of all tests, which this one may do anything to; it is running again for the next."""
    yield postgres_server
    if not postgres_server.is_running:
        postgres_server.start()


@pytest.mark.full
def test_a_server_that_says_nothing_is_given_up(
    own_server: PostgresServer, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is stopped and not ended: it closes no connection, and its kernel still takes new ones."""
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 1.0)
    monkeypatch.setitem(postgres._CONNECTION, "connect_timeout", 2)
    store = stores[0]
    try:
        with pytest.raises(DatabaseUnavailable, match="the server has not answered within 1 s"):
            add_tag(store, "never", own_server.suspend)
        with pytest.raises(DatabaseUnavailable, match="timeout"):
            add_tag(store, "never")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="timeout"):
            add_tag(store, "never")
        assert time.monotonic() - began < 0.5, "a connection that was just waited for is not tried again at once"
    finally:
        own_server.resume()

    def is_back() -> bool:
        try:
            add_tag(store, "after")
        except DatabaseUnavailable:
            return False
        return True

    wait_for(is_back, "the database to be used again")
    assert tags(store) == {"after": ""}


def variables(folder: Path, database: Database, gateway_port: int, port: int) -> dict[str, str]:
    """The environment of a control plane, with its secrets written."""
    for name, secret in (("gateway", GATEWAY_SECRET), ("node", NODE_SECRET), ("console", TOKEN)):
        (folder / name).write_text(secret)
    assert database.password_file is not None
    return {
        "EMR_LISTEN": f"127.0.0.1:{port}",
        "EMR_DATABASE_URL": database.url,
        "EMR_DATABASE_PASSWORD_FILE": str(database.password_file),
        "DRYDOCK_GATEWAY_URL": f"http://127.0.0.1:{gateway_port}",
        "DRYDOCK_GATEWAY_SECRET_FILE": str(folder / "gateway"),
        "DRYDOCK_NODE_SECRET_FILE": str(folder / "node"),
        "EMR_CONSOLE_TOKEN_FILE": str(folder / "console"),
    }


class ControlPlaneProcess:
    """`drydock-emr` as it is started, with a double for the gateway."""

    def __init__(self, folder: Path, database: Database) -> None:
        gateway_port, port = free_port(), free_port()
        self.gateway = GatewayDouble()
        self._server = Server(self.gateway.application(), gateway_port)
        self._log = folder / "emr.log"
        environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "drydock_emr"],
                env=environment | variables(folder, database, gateway_port, port),
                stdout=log,
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def health(self) -> tuple[int, dict[str, str]]:
        """Status 0 while nobody listens."""
        assert self.process.poll() is None, f"the control plane ended:\n{self.log[-3000:]}"
        try:
            answer = httpx.get(f"{self.url}/health", timeout=30)
        except httpx.ConnectError:
            return 0, {}
        return answer.status_code, answer.json()

    def await_health(self) -> None:
        wait_for(lambda: self.health() == (200, {"status": "ok"}), "the control plane to be healthy", 60)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._server.stop()


def test_what_was_answered_survives_the_death_of_postgres_and_the_control_plane_goes_on(
    own_server: PostgresServer, postgres_database: Database, tmp_path: Path
) -> None:
    """Starts before Postgres does, is used, loses it by `kill -9` while in use, and gets it back."""
    own_server.stop()
    with ExitStack() as stack:
        process = ControlPlaneProcess(tmp_path, postgres_database)
        stack.callback(process.stop)
        wait_for(lambda: "The database cannot be used: " in process.log, "the control plane to wait", 30)
        assert process.health()[0] == 0
        own_server.start()
        process.await_health()

        emr = Emr(process.url, process.gateway, lambda: None)
        client, fleet = emr.client(), Fleet(process.url)
        stack.callback(lambda: [c.close() for c in (*emr.clients, *fleet.nodes)])
        fleet.turns()
        cluster_id = fleet.start(client, Steps=[step("long")])
        fleet.turns()
        answered: list[str] = []
        refused: list[httpx.Response] = []
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(_keep_adding_steps, emr, cluster_id, answered, refused)
            wait_for(lambda: len(answered) > 5, "steps to be added")
            own_server.kill()
            asking.result()

        status, said = process.health()
        assert (status, said["status"]) == (503, "failed")
        assert re.fullmatch(AWAY, said["message"])
        (refusal,) = refused
        assert (refusal.status_code, refusal.json()["__type"]) == (503, "ServiceUnavailableException")
        assert re.fullmatch(AWAY, refusal.json()["message"])
        with pytest.raises(httpx.HTTPStatusError, match="503"):
            fleet.nodes[0].turn()
        page = httpx.get(f"{process.url}/clusters", cookies={"drydock_console": TOKEN})
        assert (page.status_code, "cannot be used now" in page.text) == (503, True)

        own_server.start()
        process.await_health()
        listed = [s for p in client.get_paginator("list_steps").paginate(ClusterId=cluster_id) for s in p["Steps"]]
        assert set(answered) <= {s["Id"] for s in listed}
        assert state_of(client, cluster_id) == "RUNNING"
        fleet.nodes[0].exit_codes.update({"long": 0, "added": 0})
        fleet.until(lambda: state_of(client, cluster_id) == "WAITING", "the steps to run to their end")
        again = client.run_job_flow(**run_job_flow(Name="again"))["JobFlowId"]
        client.terminate_job_flows(JobFlowIds=[cluster_id])
        fleet.until(lambda: state_of(client, again) == "WAITING", "the next cluster, with the nodes of the first")
        log = process.log
    assert "Traceback" not in log
    assert PASSWORD not in log
    outages = re.findall(r"The database (cannot be used: |can be used again)", log)
    assert outages == ["cannot be used: ", "can be used again"] * 2, log


def _keep_adding_steps(emr: Emr, cluster_id: str, answered: list[str], refused: list[httpx.Response]) -> None:
    """Until one is refused."""
    document = httpx.Request("POST", emr.url, json={"JobFlowId": cluster_id, "Steps": [step("added")]}).content
    while not refused:
        response = emr.send("AddJobFlowSteps", document)
        if response.status_code == 200:
            answered += response.json()["StepIds"]
        else:
            refused.append(response)
