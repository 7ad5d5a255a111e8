"""A node that is killed, stopped, cut off from its control plane, or given to somebody else."""

import stat
import time
from collections.abc import Callable

import psutil

from drydock_emr.node_protocol import LeaseState, Phase
from tests.node.rig import Node
from tests.node.surroundings import Gateway
from tests.running import wait_for

RECORD = "echo run >> runs; touch started; while [ ! -e go ]; do sleep 0.1; done; exit 3"


def ready(new_node: Callable[[str], Node], name: str, cluster_id: str) -> Node:
    node = new_node(name)
    node.join(cluster_id)
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    return node


def forget(node: Node) -> None:
    """So that only a report of the node that comes back counts."""
    node.control_plane.reports.pop(node.name)


def test_a_step_outlives_a_killed_node_and_is_taken_up_again(new_node: Callable[[str], Node]) -> None:
    node = ready(new_node, "killed", "j-KILLED")
    node.lease("s-LONG", "bash", "-c", RECORD)
    folder = node.scratch / "tenancy/lib/steps/s-LONG"
    wait_for((folder / "started").exists, "the step to run")
    started_at = node.await_lease("s-LONG", LeaseState.RUNNING).started_at
    node.kill()
    forget(node)
    node.start()
    report = node.await_lease("s-LONG", LeaseState.RUNNING)
    assert report.started_at == started_at
    assert node.report.tenancy == 1
    assert node.report.phase is Phase.READY
    (folder / "go").touch()
    assert node.await_lease("s-LONG").exit_code == 3
    assert (folder / "runs").read_text() == "run\n"


def test_an_exit_while_the_node_was_away_is_reported(new_node: Callable[[str], Node]) -> None:
    node = ready(new_node, "away", "j-AWAY")
    node.lease("s-ENDS", "bash", "-c", RECORD)
    folder = node.scratch / "tenancy/lib/steps/s-ENDS"
    wait_for((folder / "started").exists, "the step to run")
    node.kill()
    forget(node)
    (folder / "go").touch()
    wait_for((node.scratch / "tenancy/lib/leases/s-ENDS/1/exit.json").exists, "the exit code to be written")
    node.start()
    assert node.await_lease("s-ENDS").exit_code == 3
    assert (folder / "runs").read_text() == "run\n"


def test_a_step_that_vanished_is_never_run_again(new_node: Callable[[str], Node]) -> None:
    node = ready(new_node, "vanished", "j-VANISHED")
    node.lease("s-LOST", "bash", "-c", RECORD)
    folder = node.scratch / "tenancy/lib/steps/s-LOST"
    wait_for((folder / "started").exists, "the step to run")
    node.kill()
    forget(node)
    for process in node.processes():  # as when the machine itself went down
        process.kill()
    wait_for(lambda: not node.processes(), "all processes to be gone")
    node.start()
    report = node.await_lease("s-LOST")
    assert (report.state, report.exit_code) == (LeaseState.VANISHED, None)
    assert (folder / "runs").read_text() == "run\n"


def test_sigterm_ends_everything_within_ten_seconds(new_node: Callable[[str], Node]) -> None:
    node = ready(new_node, "stopped", "j-STOPPED")
    node.lease("s-STUBBORN", "bash", "-c", "trap '' TERM; touch started; while :; do sleep 1; done")
    wait_for((node.scratch / "tenancy/lib/steps/s-STUBBORN/started").exists, "the step to run")
    records = list((node.scratch / "processes").glob("*.json"))
    assert records
    began = time.monotonic()
    assert node.terminate() == 0
    assert time.monotonic() - began < 10
    assert not node.processes()
    assert not [file for file in (node.scratch / "processes").glob("*.json") if psutil.pid_exists(int(file.stem))]


def test_while_the_control_plane_is_away_steps_go_on(new_node: Callable[[str], Node]) -> None:
    node = ready(new_node, "alone", "j-ALONE")
    node.lease("s-ALONE", "bash", "-c", RECORD)
    folder = node.scratch / "tenancy/lib/steps/s-ALONE"
    node.await_lease("s-ALONE", LeaseState.RUNNING)  # nothing is news any more: the node waits on a kept connection
    wait_for((folder / "started").exists, "the step to run")
    node.control_plane.leave()
    try:
        forget(node)
        wait_for(lambda: "cannot be reached" in node.log, "the node to notice")
        (folder / "go").touch()
        wait_for((node.scratch / "tenancy/lib/leases/s-ALONE/1/exit.json").exists, "the step to end")
    finally:
        node.control_plane.come()
    assert node.await_lease("s-ALONE").exit_code == 3


def test_a_new_tenancy_begins_clean_after_the_last_logs(new_node: Callable[[str], Node], gateway: Gateway) -> None:
    node = ready(new_node, "changed", "j-CHANGED")
    hidden = "env -i setsid sleep 2000 & touch ~/left-behind; echo last words; sleep 1000"
    node.lease("s-LAST", "bash", "-c", hidden)
    wait_for((node.scratch / "tenancy/home/left-behind").exists, "the step to run")
    former = (node.scratch / "tenancy/spark/daemons.properties").stat()
    assert stat.S_IMODE(former.st_mode) == 0o600
    before = set(node.processes())
    node.leave()
    ending = node.await_report(lambda report: report.tenancy == 2, "to speak of the new tenancy")
    if ending.cluster_id is not None:  # the step's end is still told to its cluster
        assert ending.phase is Phase.PREPARING
    node.await_report(lambda report: report.phase is Phase.IDLE and report.tenancy == 2, "to be IDLE anew")
    assert node.report.cluster_id is None
    assert node.report.logs_shipped
    assert node.report.leases == ()
    assert not [process for process in before if process.is_running()]
    assert not (node.scratch / "tenancy/home/left-behind").exists()
    assert not list(node.scratch.glob("discarded-*"))
    assert gateway.log("logs/j-CHANGED/steps/s-LAST/stdout.gz") == "last words\n"
    assert "Step failed" in gateway.log("logs/j-CHANGED/steps/s-LAST/controller.gz")


def test_logs_that_cannot_be_delivered_are_named_and_decide_nothing(new_node: Callable[[str], Node]) -> None:
    node = new_node("undelivered")
    node.join("j-UNDELIVERED", log_uri="s3://no-such-bucket/logs")
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    node.lease("s-FINE", "true")
    assert node.await_lease("s-FINE").exit_code == 0
    wait_for(lambda: "could not be delivered" in node.log, "the node to name the log")
    assert "s3://no-such-bucket/logs/j-UNDELIVERED/steps/s-FINE/" in node.log


def test_taking_a_port_that_is_held_is_a_sentence(new_node: Callable[[str], Node]) -> None:
    first = new_node("first")
    second = Node("second", first.host, first.home, first.control_plane, first.gateway_url)
    second.credentials_port = first.credentials_port
    second.start()
    assert second.process.wait(20) == 2
    assert f"Port {first.credentials_port} of 127.0.0.1 (NODE_CREDENTIALS_PORT) cannot be used" in second.log
    assert "Traceback" not in second.log
