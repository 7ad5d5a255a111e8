"""Ending everything that was started, and nothing else, whatever has happened to the supervisor."""

import json
import signal
import subprocess
import sys

import psutil
import pytest
from tiny_platform import alive, notes, tiny

from drydock import processes, startup, teardown
from drydock.supervision import Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def foreign():
    """A process that is none of the platform's."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


@pytest.fixture
def platform(paths, free_ports):
    """Two running services, the second with a child in a session of its own."""
    services = [tiny(paths, "first", 1, free_ports[0]), tiny(paths, "second", 2, free_ports[1], children=1)]
    startup.bring_up(paths, services)
    return services


def pids(paths):
    return notes(paths, "first")["pid"], notes(paths, "second")["pid"], notes(paths, "second")["child"]


def kill_supervisor(paths):
    supervisor = psutil.Process(Supervisor(paths).pid())
    supervisor.kill()
    supervisor.wait(10)


def test_everything_ends_also_what_has_left_its_session(paths, platform):
    ended = teardown.end_all(paths)

    assert not any(map(alive, pids(paths)))
    assert ended[0] == "second"
    assert ended[-1] == "first"
    assert not Supervisor(paths).is_running()


def test_ending_twice_is_fine(paths, platform):
    assert teardown.end_all(paths)
    assert teardown.end_all(paths) == []


def test_after_the_supervisor_was_killed_everything_still_ends(paths, platform):
    kill_supervisor(paths)

    ended = teardown.end_all(paths)

    assert not any(map(alive, pids(paths)))
    assert {"first", "second"} <= set(ended)
    assert ended[-1] == "first"


def test_after_the_supervisor_was_killed_a_start_replaces_everything(paths, platform, capsys):
    before = pids(paths)
    kill_supervisor(paths)

    assert startup.bring_up(paths, platform) == ["first", "second"]

    assert not any(map(alive, before))
    assert all(map(alive, pids(paths)))
    assert "The supervisor of an earlier start is gone. Ended what it had left: 3 processes" in capsys.readouterr().err


def test_what_was_restarted_and_so_never_recorded_ends_too(paths, platform):
    """Only the marker in its environment finds it once the supervisor is gone."""
    recorded = processes.record_file(paths).read_text()
    kill_supervisor(paths)
    entries = [entry for entry in json.loads(recorded) if entry["what"] != "second"]
    processes.record_file(paths).write_text(json.dumps(entries))

    teardown.end_all(paths)

    assert not any(map(alive, pids(paths)))


def test_a_node_s_own_records_are_honoured(paths, platform):
    """A step is its node's child in a session of its own, and carries no environment of ours."""
    with subprocess.Popen(SLEEP, start_new_session=True, env={}) as step:
        folder = paths.home / "nodes" / "node-1" / "processes"
        folder.mkdir(parents=True)
        entry = {"pid": step.pid, "create_time": psutil.Process(step.pid).create_time(), "what": "step s-1"}
        (folder / f"{step.pid}.json").write_text(json.dumps(entry))
        (folder / "half-written.json").write_text('{"pid": 1, "cre')

        assert "step s-1" in teardown.end_all(paths)

        assert step.wait(timeout=5) == -signal.SIGTERM


def test_a_foreign_process_with_a_recycled_pid_is_left_alone(paths, platform, foreign):
    kill_supervisor(paths)
    entries = json.loads(processes.record_file(paths).read_text())
    created = psutil.Process(foreign.pid).create_time()
    entries.append({"pid": foreign.pid, "create_time": created - 60, "what": "node-9"})
    processes.record_file(paths).write_text(json.dumps(entries))

    assert "node-9" not in teardown.end_all(paths)

    assert foreign.poll() is None


def test_another_install_is_left_alone(paths, platform, tmp_path):
    environment = {processes.MARKER: processes.install_id(type(paths)(tmp_path / "another"))}
    with subprocess.Popen(SLEEP, env=environment) as other:
        teardown.end_all(paths)
        assert other.poll() is None
        other.kill()


def test_a_service_that_ignores_sigterm_is_killed(paths, free_ports):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"

        assert processes.end([psutil.Process(process.pid)], grace_seconds=0.3) == []

        assert process.wait(timeout=5) == -signal.SIGKILL
