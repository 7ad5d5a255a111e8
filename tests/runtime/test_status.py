"""What is said of services that are well, begin, have crashed or were given up."""

import time

import psutil
import pytest
from tiny_platform import tiny

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


def told(supervisor, name):
    state = supervisor.states()[name]
    return status(supervisor.services[name], state, processes.memory_bytes(state.pid) if state.pid else 0)


def kill(supervisor, name):
    process = psutil.Process(supervisor.states()[name].pid)
    process.kill()
    deadline = time.monotonic() + 10
    while supervisor.states()[name].pid == process.pid:
        assert time.monotonic() < deadline, f"the supervisor has not noticed that {name} ended"
        time.sleep(0.05)


def until(supervisor, name, state, seconds=20):
    deadline = time.monotonic() + seconds
    while (row := told(supervisor, name)).state != state:
        assert time.monotonic() < deadline, f"{name} is {row.state} ({row.why_not}), not {state}, after {seconds} s"
        time.sleep(0.1)
    return row


def await_count(supervisor, told_then, seconds=20):
    """Until the service is healthy and said to have been restarted so often: its state is asked for before its health,
    and a restart that falls in between is counted with the next look."""
    deadline = time.monotonic() + seconds
    while ((row := told(supervisor, "well")).state, row.why_not) != ("healthy", told_then):
        assert time.monotonic() < deadline, f"it is {row.state} ({row.why_not}), not {told_then}, after {seconds} s"
        time.sleep(0.1)


def test_each_state_and_its_reason(supervisor, free_ports):
    well = until(supervisor, "well", "healthy")
    assert (well.why_not, well.url) == ("", f"http://127.0.0.1:{free_ports[0]}")
    assert 0 <= well.since_seconds < 20
    assert well.memory_bytes > 5 << 20

    slow = told(supervisor, "slow")
    assert (slow.state, slow.why_not) == ("starting", "no answer: ConnectError")

    broken = until(supervisor, "broken", "failed")
    assert broken.why_not.startswith("it ended ")
    assert (broken.since_seconds, broken.memory_bytes) == (None, 0)

    assert (told(supervisor, "idle").state, told(supervisor, "idle").why_not) == ("stopped", "it is stopped")


def test_restarts_are_counted_until_the_next_up(supervisor, paths):
    assert until(supervisor, "well", "healthy").why_not == ""

    for told_then in ("restarted once", "restarted 2 times"):
        kill(supervisor, "well")
        await_count(supervisor, told_then)

    startup.bring_up(paths, [supervisor.services["well"]])
    assert told(supervisor, "well").why_not == ""
    kill(supervisor, "well")
    await_count(supervisor, "restarted once")


def test_after_some_restarts_a_service_is_given_up_until_the_next_up(supervisor, paths, monkeypatch):
    monkeypatch.setattr("drydock.supervision.RESTARTS_AT_MOST", 1)
    startup.bring_up(paths, [supervisor.services["idle"]])
    kill(supervisor, "idle")
    until(supervisor, "idle", "healthy")
    kill(supervisor, "idle")

    deadline = time.monotonic() + 30
    while supervisor.states()["idle"].state != "FATAL":  # at first it is tried again
        assert time.monotonic() < deadline, "it was not given up"
        time.sleep(0.1)
    row = told(supervisor, "idle")
    assert (row.state, row.why_not) == ("failed", "it ended again and again, and was given up; restarted once")
    log = (paths.logs / "idle.log").read_text()
    assert "Given up: its restarts within 10 minutes have reached 1. `make local-up` starts it again." in log

    assert startup.bring_up(paths, [supervisor.services["idle"]]) == ["idle"]
    assert told(supervisor, "idle").why_not == ""


def test_no_reason_is_cut_however_narrow_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    reason = "it is FAILED: [Errno 13] " + "a long story " * 9 + "at last"

    output.show(table([Status("node-1", "unhealthy", 3700, 200 << 20, "http://127.0.0.1:8090", reason)]))

    row = capsys.readouterr().out.splitlines()[1].split(maxsplit=8)
    assert row == ["node-1", "unhealthy", "1", "h", "1", "min", "200", "MiB", f"http://127.0.0.1:8090  {reason}"]
