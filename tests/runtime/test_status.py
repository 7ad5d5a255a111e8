"""What is said of services that are well, begin, have crashed or were given up."""

import os
import signal
import time

import pytest
from tiny_platform import notes, tiny

from drydock import output, processes, startup
from drydock.local_status import Status, status, table
from drydock.supervision import Supervisor


@pytest.fixture
def supervisor(paths, free_ports):
    """A running supervisor that knows a service that works, one that takes its time and one that ends at once."""
    supervisor = Supervisor(paths)
    services = [
        tiny(paths, "well", 1, free_ports[0]),
        tiny(paths, "slow", 1, free_ports[1], delay=60),
        tiny(paths, "broken", 1, free_ports[2], exit=1),
        tiny(paths, "idle", 1, free_ports[3]),
    ]
    supervisor.launch(services)
    for service in services[:3]:
        supervisor.start(service)
    supervisor.services = {service.name: service for service in services}
    return supervisor


def told(supervisor, name, **recorded):
    return status(supervisor.services[name], supervisor.states()[name], **recorded)


def until(supervisor, name, state, seconds=20):
    deadline = time.monotonic() + seconds
    while (row := told(supervisor, name)).state != state:
        assert time.monotonic() < deadline, f"{name} is {row.state} ({row.why_not}), not {state}, after {seconds} s"
        time.sleep(0.1)
    return row


def test_each_state_and_its_reason(supervisor, free_ports):
    well = until(supervisor, "well", "healthy")
    assert (well.why_not, well.url) == ("", f"http://127.0.0.1:{free_ports[0]}")
    assert 0 <= well.since_seconds < 20
    assert well.memory_bytes > 5 << 20

    slow = told(supervisor, "slow")
    assert (slow.state, slow.why_not) == ("starting", "no answer: ConnectError")

    broken = until(supervisor, "broken", "failed")
    assert broken.why_not.startswith("it ended within seconds of its start")
    assert (broken.since_seconds, broken.memory_bytes) == (None, 0)

    assert (told(supervisor, "idle").state, told(supervisor, "idle").why_not) == ("stopped", "it is stopped")


def test_a_restart_is_told_until_the_next_up(supervisor, paths):
    until(supervisor, "well", "healthy")
    supervisor.record_processes()
    recorded = {entry.what: entry.pid for entry in processes.recorded(paths)}["well"]
    assert told(supervisor, "well", recorded_pid=recorded).why_not == ""

    os.kill(notes(paths, "well")["pid"], signal.SIGKILL)
    until(supervisor, "well", "healthy")

    row = told(supervisor, "well", recorded_pid=recorded)
    assert row.why_not == "it had ended, and the supervisor started it again"
    startup.bring_up(paths, [supervisor.services["well"]])
    recorded = {entry.what: entry.pid for entry in processes.recorded(paths)}["well"]
    assert told(supervisor, "well", recorded_pid=recorded).why_not == ""


def test_no_reason_is_cut_however_narrow_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    reason = "it is FAILED: [Errno 13] " + "a long story " * 9 + "at last"

    output.show(table([Status("node-1", "unhealthy", 3700, 200 << 20, "http://127.0.0.1:8090", reason)]))

    row = capsys.readouterr().out.splitlines()[1].split(maxsplit=8)
    assert row == ["node-1", "unhealthy", "1", "h", "1", "min", "200", "MiB", f"http://127.0.0.1:8090  {reason}"]
