"""Memory, ports and processes: what is taken, and by whom."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from drydock import docker_up, processes, services, settings
from drydock.compose import Compose, Container
from drydock.errors import SetupError
from drydock.ports import Listener
from drydock.preflight import occupied
from drydock.preflight.finding import Finding, Status
from drydock.supervision import Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
LISTEN = "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(s.getsockname()[1]"
LISTEN += ", flush=True); time.sleep(600)"


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    (tmp_path / "run").mkdir()
    return settings.Paths(tmp_path)


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    def answer(runs: bool) -> None:
        monkeypatch.setattr(Supervisor, "is_running", lambda _: runs)

    answer(False)
    return answer


@pytest.mark.usefixtures("supervised")
@pytest.mark.parametrize(("gigabytes", "status"), [(5.9, Status.WARNING), (6.1, Status.OK)])
def test_memory(gigabytes: float, status: Status, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(gigabytes * 1e9)))
    (found,) = occupied.memory(paths, settings.PROCESS)
    assert found.status is status
    assert found.found.startswith(f"{gigabytes} GB free")


def test_what_the_running_platform_has_is_not_missed(
    supervised: Callable[[bool], None], paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2_000_000_000))
    supervised(True)
    (found,) = occupied.memory(paths, settings.PROCESS)
    assert (found.status, found.found) == (Status.OK, "2.0 GB free, beside the running platform")


class TestPorts:
    @pytest.fixture
    def listeners(self, monkeypatch: pytest.MonkeyPatch) -> list[Listener]:
        """The platform's, in place of the real ones, which another platform may hold."""
        listeners: list[Listener] = []
        monkeypatch.setattr(services, "listeners", lambda *_: {"gateway": tuple(listeners)})
        return listeners

    @pytest.fixture
    def held(self) -> Iterator[int]:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            yield holder.getsockname()[1]

    @pytest.fixture
    def theirs(self) -> Iterator[tuple[int, int]]:
        """Pid of another process, and the port that it listens on."""
        with subprocess.Popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
            process.kill()

    def free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def test_the_free_ones_are_listed(self, listeners: list[Listener], paths: settings.Paths):
        port = self.free_port()
        listeners.append(Listener("127.0.0.1", port, "gateway"))
        assert list(occupied.ports(paths, settings.PROCESS)) == [Finding("ports free", Status.OK, str(port))]

    def test_each_one_that_somebody_holds_is_a_failure_with_his_name(
        self, listeners: list[Listener], held: int, paths: settings.Paths
    ):
        free = self.free_port()
        listeners += [Listener("127.0.0.1", held, "gateway"), Listener("127.0.0.1", free, "emr")]
        taken, others = occupied.ports(paths, settings.PROCESS)
        assert (taken.subject, taken.status) == (f"port {held}", Status.FAILURE)
        assert taken.found.startswith(f"Port {held} on 127.0.0.1 (gateway) is held by pid {os.getpid()}, ")
        assert "DRYDOCK_PORT_OFFSET=1000 make local-up" in taken.fix
        assert others.found == str(free)

    @pytest.mark.parametrize(("state", "statuses"), [("running", [Status.OK]), ("exited", [Status.FAILURE])])
    def test_a_container_s_are_held_by_docker(
        self, state: str, statuses: list[Status], held: int, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
    ):
        container = Container("gateway", "0a1b", state, "healthy", 1.0, 0, 0)
        monkeypatch.setattr(Compose, "containers", lambda _: {"gateway": container})
        monkeypatch.setattr(docker_up, "published", lambda _: {"gateway": Listener("127.0.0.1", held, "gateway")})
        assert [found.status for found in occupied.ports(paths, settings.DOCKER)] == statuses

    @pytest.mark.parametrize(
        ("runs", "whose"), [(True, "the running platform"), (False, "what an earlier run has left")]
    )
    def test_our_own_are_ok(
        self,
        runs: bool,
        whose: str,
        listeners: list[Listener],
        theirs: tuple[int, int],
        supervised: Callable[[bool], None],
        paths: settings.Paths,
    ):
        pid, port = theirs
        supervised(runs)
        processes.record(paths, {"gateway": pid})
        listeners.append(Listener("127.0.0.1", port, "gateway"))
        assert list(occupied.ports(paths, settings.PROCESS)) == [
            Finding("ports held", Status.OK, f"by {whose}: {port}")
        ]

    def test_an_offset_that_is_none_is_explained(self, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("DRYDOCK_PORT_OFFSET", "many")
        with pytest.raises(SetupError, match="DRYDOCK_PORT_OFFSET is `many`"):
            list(occupied.ports(paths, settings.PROCESS))


class TestLeft:
    @pytest.fixture
    def sleeper(self) -> Iterator[int]:
        with subprocess.Popen(SLEEP) as process:
            yield process.pid
            process.kill()

    @pytest.mark.usefixtures("supervised")
    def test_nothing(self, paths: settings.Paths):
        (found,) = occupied.left(paths)
        assert (found.status, found.found) == (Status.OK, "none of an earlier run")

    @pytest.mark.usefixtures("supervised")
    def test_what_no_supervisor_looks_after_is_named(self, paths: settings.Paths, sleeper: int):
        processes.record(paths, {"node-1": sleeper})
        (found,) = occupied.left(paths)
        assert found.status is Status.WARNING
        assert found.found == "1 run without a supervisor, left by an earlier run: `node-1`."
        assert found.fix.startswith("`make local-down` ends them")

    def test_what_one_looks_after_is_no_leftover(
        self, supervised: Callable[[bool], None], paths: settings.Paths, sleeper: int
    ):
        processes.record(paths, {"node-1": sleeper})
        supervised(True)
        (found,) = occupied.left(paths)
        assert found.status is Status.OK
