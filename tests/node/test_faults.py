"""What can go wrong on a node alone, done to it for real.

After each fault: the right state, the right logs, nothing left running, nothing run twice.
"""

import gzip
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from drydock_emr.node_protocol import CancelOption, LeaseState, Phase
from tests.node.rig import Node
from tests.node.surroundings import BUCKET, ControlPlane, Door, Gateway
from tests.running import small_file_system, wait_for

pytestmark = pytest.mark.full
ONCE = "echo run >> {runs}; echo before; touch ready; while [ ! -e go ]; do sleep 0.1; done; echo after; exit 4"


def ready(node: Node, cluster_id: str) -> Node:
    node.join(cluster_id)
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    return node


def await_nothing_of(node: Node, step_id: str) -> None:
    """Of an ended step the launcher is the last to go, when it has told how the step did."""
    wait_for(lambda: not node.processes_of_step(step_id), "the step's processes to be gone", 10)


def library(node: Node, step_id: str) -> Path:
    return node.scratch / "tenancy/lib/steps" / step_id


class TestSteps:
    def test_that_ignore_sigterm_run_on_until_they_are_killed(
        self, new_node: Callable[..., Node], gateway: Gateway
    ) -> None:
        node = ready(new_node("deaf"), "j-DEAF")
        node.lease("s-DEAF", "bash", "-c", "trap 'echo heard' TERM; touch ready; while :; do sleep 0.1; done")
        wait_for((library(node, "s-DEAF") / "ready").exists, "the trap to be set")
        node.cancel("s-DEAF", CancelOption.SEND_INTERRUPT)
        stdout = "logs/j-DEAF/steps/s-DEAF/stdout.gz"
        wait_for(lambda: "heard" in gateway.log(stdout), "SIGTERM to have come and been ignored")
        node.await_lease("s-DEAF", LeaseState.RUNNING)
        node.cancel("s-DEAF", CancelOption.TERMINATE_PROCESS)
        report = node.await_lease("s-DEAF", seconds=10)
        assert (report.state, report.exit_code) == (LeaseState.EXITED, -9)
        await_nothing_of(node, "s-DEAF")
        controller = "logs/j-DEAF/steps/s-DEAF/controller.gz"
        wait_for(lambda: "exit code 137 (signal 9)" in gateway.log(controller), "the controller log")

    def test_that_fork_without_end_are_killed_to_the_last(self, new_node: Callable[..., Node]) -> None:
        """Each child is a session of its own with an empty environment, orphaned at once, deaf to SIGTERM."""
        node = ready(new_node("hydra"), "j-HYDRA")
        head = "env -i setsid bash -c \"trap '' TERM; echo \\$\\$ >> pids; exec -a hydra sleep 1002\" &"
        node.lease("s-HYDRA", "bash", "-c", f"trap '' TERM; while :; do ({head}) ; sleep 0.05; done")
        pids = library(node, "s-HYDRA") / "pids"
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) > 10, "some children")
        node.cancel("s-HYDRA", CancelOption.TERMINATE_PROCESS)
        assert node.await_lease("s-HYDRA", seconds=20).exit_code == -9
        wait_for(lambda: not _named("hydra"), "the last of them to be gone", 10)
        await_nothing_of(node, "s-HYDRA")

    @pytest.mark.parametrize("size_mib", [8, 1024])
    def test_that_print_a_lot_are_logged_whole(
        self, new_node: Callable[..., Node], gateway: Gateway, size_mib: int
    ) -> None:
        node = ready(new_node("loud"), "j-LOUD")
        node.lease("s-LOUD", "bash", "-c", f"head -c {size_mib}M /dev/zero | tr '\\0' x; echo; echo the end")
        assert node.await_lease("s-LOUD", seconds=300).exit_code == 0
        stdout = "logs/j-LOUD/steps/s-LOUD/stdout.gz"
        wait_for(lambda: _unpacked(gateway, stdout)[1].endswith(b"x\nthe end\n"), "all of it", 300)
        assert _unpacked(gateway, stdout)[0] == (size_mib << 20) + len(b"\nthe end\n")
        assert psutil.Process(node.process.pid).memory_info().rss < 400 << 20

    def test_that_print_what_is_no_text_are_logged_byte_for_byte(
        self, new_node: Callable[..., Node], gateway: Gateway
    ) -> None:
        node = ready(new_node("binary"), "j-BINARY")
        node.lease(
            "s-BINARY", "bash", "-c", r"printf 'a\xff\xfe\x00\xc3\n'; printf 'ValueError: \xe9\xff\n' >&2; exit 6"
        )
        report = node.await_lease("s-BINARY")
        assert report.exit_code == 6
        assert report.failure.message == "ValueError: \ufffd\ufffd"
        prefix = "logs/j-BINARY/steps/s-BINARY"
        wait_for(lambda: b"ret" in gateway.log_bytes(f"{prefix}/stderr.gz"), "its stderr")
        assert gateway.log_bytes(f"{prefix}/stdout.gz") == b"a\xff\xfe\x00\xc3\n"
        assert gateway.log_bytes(f"{prefix}/stderr.gz") == b"ValueError: \xe9\xff\nCommand exiting with ret '6'\n"


@pytest.fixture
def small_scratch(tmp_path: Path) -> Iterator[Path]:
    """A scratch of its own file system, for a node named `full`, that a step can fill."""
    scratch = tmp_path / "full"
    with small_file_system(scratch):
        yield scratch


def test_a_full_scratch_fails_steps_and_not_the_node(
    small_scratch: Path, new_node: Callable[..., Node], gateway: Gateway
) -> None:
    node = ready(new_node("full"), "j-FULL")
    node.lease("s-FILLS", "bash", "-c", "echo run >> ../runs; echo filling; cat /dev/zero > ~/filling; exit 5")
    report = node.await_lease("s-FILLS")
    assert (report.state, report.exit_code) == (LeaseState.EXITED, 5)
    node.lease("s-FULL", "bash", "-c", "echo run >> ../runs")
    report = node.await_lease("s-FULL")
    assert (report.state, report.exit_code) == (LeaseState.EXITED, 1)
    assert "The step could not be started: [Errno 28] No space left on device" in report.failure.message
    wait_for(lambda: gateway.log("logs/j-FULL/steps/s-FILLS/stdout.gz") == "filling\n", "the log of the full scratch")
    pid = node.process.pid
    (small_scratch / "tenancy/home/filling").unlink()
    node.lease("s-AGAIN", "bash", "-c", "echo run >> ../runs; echo again")
    assert node.await_lease("s-AGAIN").exit_code == 0
    wait_for(lambda: gateway.log("logs/j-FULL/steps/s-AGAIN/stdout.gz") == "again\n", "its log")
    assert (small_scratch / "tenancy/lib/steps/runs").read_text() == "run\nrun\n"
    assert (node.process.pid, node.process.poll()) == (pid, None)
    node.leave()
    node.await_idle_anew()


class TestAStoppedNode:
    """SIGSTOP stops the instance controller alone, as a machine that swaps or is suspended might."""

    @pytest.mark.parametrize("seconds", [3.0, 35.0])
    def test_whose_lease_was_given_up_ends_the_step_when_it_goes_on(
        self, new_node: Callable[..., Node], gateway: Gateway, seconds: float
    ) -> None:
        node, runs = self._running(new_node, "lapsed", "s-LAPSED")
        before = node.processes_of_step("s-LAPSED")
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # the fault itself: silent for longer than its control plane waits
        node.leave()  # what becomes of a node that is lost: its cluster is over, it is to begin clean
        node.process.send_signal(signal.SIGCONT)
        node.await_idle_anew()
        wait_for(lambda: not any(process.is_running() for process in before), "the step's processes to be gone")
        assert runs.read_text() == "run\n"
        assert gateway.log("logs/j-STOPPED/steps/s-LAPSED/stdout.gz") == "before\n"

    def test_whose_lease_still_holds_goes_on_with_the_step(
        self, new_node: Callable[..., Node], gateway: Gateway
    ) -> None:
        node, runs = self._running(new_node, "held", "s-HELD")
        node.process.send_signal(signal.SIGSTOP)
        (library(node, "s-HELD") / "go").touch()
        exit_file = node.scratch / "tenancy/lib/leases/s-HELD/1/exit.json"
        wait_for(exit_file.exists, "the step to end while nobody looks")
        assert node.lease_report("s-HELD").state is LeaseState.RUNNING
        node.process.send_signal(signal.SIGCONT)
        assert node.await_lease("s-HELD").exit_code == 4
        assert runs.read_text() == "run\n"
        wait_for(lambda: gateway.log("logs/j-STOPPED/steps/s-HELD/stdout.gz") == "before\nafter\n", "its stdout")
        await_nothing_of(node, "s-HELD")

    def _running(self, new_node: Callable[..., Node], name: str, step_id: str) -> tuple[Node, Path]:
        node = ready(new_node(name), "j-STOPPED")
        runs = node.home / "runs"
        node.lease(step_id, "bash", "-c", ONCE.format(runs=runs))
        wait_for((library(node, step_id) / "ready").exists, "the step to run")
        node.await_lease(step_id, LeaseState.RUNNING)
        return node, runs


class TestWithoutTheGateway:
    @pytest.fixture
    def door(self, gateway: Gateway) -> Iterator[Door]:
        door = Door(gateway)
        yield door
        door.shut()

    def test_a_step_ends_as_it_should_and_its_logs_come_afterwards(
        self, new_node: Callable[..., Node], door: Door, gateway: Gateway
    ) -> None:
        node = ready(new_node("cut", door=door), "j-CUT")
        door.shut()
        node.lease("s-CUT", "bash", "-c", "echo unheard; exit 3")
        assert node.await_lease("s-CUT").exit_code == 3
        wait_for(lambda: "could not be delivered" in node.log, "the node to notice")
        door.open()
        prefix = "logs/j-CUT/steps/s-CUT"
        wait_for(lambda: gateway.log(f"{prefix}/stdout.gz") == "unheard\n", "its stdout", 60)
        wait_for(lambda: "exitCode 3" in gateway.log(f"{prefix}/controller.gz"), "its controller log")

    @pytest.mark.parametrize("seconds", [3.0, 30.0])
    def test_a_cluster_that_ends_meanwhile_keeps_its_last_logs(
        self, new_node: Callable[..., Node], door: Door, gateway: Gateway, seconds: float
    ) -> None:
        node = ready(new_node("last", door=door), "j-LAST")
        node.lease("s-LAST", "bash", "-c", "touch ready; sleep 1003")
        wait_for((library(node, "s-LAST") / "ready").exists, "the step to run")
        before = node.processes_of_step("s-LAST")
        door.shut()
        node.leave()
        ending = node.await_report(lambda report: not report.logs_shipped, "to have logs left")
        assert (ending.cluster_id, ending.phase) == ("j-LAST", Phase.PREPARING)
        time.sleep(seconds)  # the fault itself
        wait_for(lambda: not any(process.is_running() for process in before), "the step's processes to be gone")
        assert not node.report.logs_shipped
        door.open()
        node.await_idle_anew(60)
        assert "Step failed" in gateway.log("logs/j-LAST/steps/s-LAST/controller.gz")


def test_without_gateway_and_control_plane_a_node_still_stops(
    new_node: Callable[..., Node], control_plane: ControlPlane, gateway: Gateway
) -> None:
    door = Door(gateway)
    node = ready(new_node("forlorn", door=door), "j-FORLORN")
    node.lease("s-FORLORN", "sleep", "1004")
    node.await_lease("s-FORLORN", LeaseState.RUNNING)
    door.shut()
    control_plane.leave()
    try:
        assert node.terminate() == 0
    finally:
        control_plane.come()
    assert not node.processes()


def _named(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[:1] == [name]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _unpacked(gateway: Gateway, key: str) -> tuple[int, bytes]:
    """How long a log is, and how it ends, without having all of it in memory."""
    with tempfile.TemporaryFile() as packed:
        try:
            shutil.copyfileobj(gateway.s3.get_object(Bucket=BUCKET, Key=key)["Body"], packed)
        except gateway.s3.exceptions.NoSuchKey:
            return 0, b""
        packed.seek(0)
        length, end = 0, b""
        with gzip.open(packed) as unpacked:
            while chunk := unpacked.read(1 << 20):
                length += len(chunk)
                end = (end + chunk)[-16:]
    return length, end
