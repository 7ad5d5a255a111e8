"""Most tests use a node without Spark daemons, which is up in a second; the three-node fleet is made once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drydock_emr.node_protocol import Daemons, Phase
from tests import running
from tests.node.rig import Node
from tests.node.surroundings import ControlPlane, Door, Gateway
from tests.running import wait_for


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running.gateway(tmp_path_factory.mktemp("gateway")) as (paths, ports):
        yield Gateway(paths, ports)


@pytest.fixture(scope="session")
def control_plane(gateway: Gateway) -> Iterator[ControlPlane]:
    control_plane = ControlPlane(gateway.session)
    yield control_plane
    control_plane.leave()


@pytest.fixture
def new_node(tmp_path: Path, control_plane: ControlPlane, gateway: Gateway) -> Iterator[Callable[..., Node]]:
    """Makes nodes without Spark daemons, up and IDLE in a second; each ends with its test."""
    nodes = []

    def make(name: str, *, door: Door | None = None, variables: dict[str, str] | None = None) -> Node:
        url = door.url if door else gateway.url
        node = Node(name, "127.0.0.1", tmp_path, control_plane, url, variables=variables or {})
        nodes.append(node)
        control_plane.reports.pop(name, None)
        control_plane.assign(name, cluster=None, leases=(), daemons=Daemons())
        node.start()
        node.await_report(lambda report: report.phase is Phase.IDLE, "to be IDLE")
        return node

    yield make
    for node in nodes:
        node.stop()


@pytest.fixture(scope="session")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, control_plane: ControlPlane, gateway: Gateway
) -> Iterator[list[Node]]:
    """A master and two workers, IDLE, on addresses of their own. The master came last."""
    home = tmp_path_factory.mktemp("fleet")
    nodes = [Node(f"fleet-{i}", f"127.0.0.{10 + i}", home, control_plane, gateway.url) for i in (1, 2, 3)]
    control_plane.assign(nodes[0].name, daemons=Daemons(master=True))
    for worker in nodes[1:]:
        control_plane.assign(worker.name, daemons=Daemons(worker_of=nodes[0].master_url))
    try:
        for worker in nodes[1:]:
            worker.start()
            wait_for(lambda worker=worker: "is prepared" in worker.log, f"{worker.name} to be prepared")
        nodes[0].start()
        for node in nodes:
            node.await_report(lambda report: report.phase is Phase.IDLE, "to be IDLE", 180)
        nodes[0].await_report(lambda report: report.alive_workers == 2, "two workers ALIVE", 60)
        yield nodes
    finally:
        for node in nodes:
            node.stop()


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A usable environment for a node."""
    (tmp_path / "spark/bin").mkdir(parents=True)
    (tmp_path / "spark/bin/spark-class").touch()
    (tmp_path / "secret").write_text("0123456789abcdef")
    (tmp_path / "secret").chmod(0o600)
    here = str(tmp_path)
    return {
        **{"NODE_NAME": "node-1", "NODE_HOST": "127.0.0.11", "NODE_UI_HOST": "127.0.0.1", "NODE_UI_PORT": "8090"},
        **{"NODE_RPC_PORT": "7077", "NODE_CREDENTIALS_PORT": "7177", "NODE_SCRATCH": f"{here}/scratch"},
        **{"NODE_PYTHON": here, "NODE_WORKSPACE": here, "JAVA_HOME": here, "SPARK_HOME": f"{here}/spark"},
        **{"EMR_URL": "http://127.0.0.1:8088", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        **{"DRYDOCK_NODE_SECRET_FILE": f"{here}/secret", "SPARK_SECRET_FILE": f"{here}/secret"},
        "SPARK_EVENT_LOG_DIR": f"{here}/events",
    }
