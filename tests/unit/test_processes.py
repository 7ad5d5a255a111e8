import json
import os
import subprocess
import sys

import psutil
import pytest

from drydock import processes, settings

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "run").mkdir()
    return settings.Paths(tmp_path)


@pytest.fixture
def sleeper():
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def test_a_recorded_process_is_found_again(paths, sleeper):
    processes.record(paths, {"emr": sleeper.pid})

    (entry,) = processes.recorded(paths)

    assert (entry.pid, entry.what) == (sleeper.pid, "emr")
    assert processes.find(entry) == psutil.Process(sleeper.pid)
    assert processes.running(paths) == {psutil.Process(sleeper.pid): "emr"}


def test_another_process_with_the_same_pid_is_not_it(sleeper):
    created = psutil.Process(sleeper.pid).create_time()

    assert processes.find(processes.Recorded(sleeper.pid, created - 10, "emr")) is None
    assert processes.find(processes.Recorded(sleeper.pid, created + 10, "emr")) is None


def test_what_has_ended_is_neither_recorded_nor_found(paths, sleeper):
    processes.record(paths, {"emr": sleeper.pid})
    sleeper.kill()
    sleeper.wait()

    assert processes.running(paths) == {}
    processes.record(paths, {"emr": sleeper.pid})
    assert processes.recorded(paths) == []


def test_a_zombie_is_gone(paths, sleeper):
    processes.record(paths, {"emr": sleeper.pid})
    os.kill(sleeper.pid, 9)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has read its exit code

    assert processes.running(paths) == {}


def test_the_marker_finds_what_no_record_names(paths):
    environment = {processes.MARKER: processes.install_id(paths)}
    with subprocess.Popen(SLEEP, env=environment) as marked:
        assert set(processes.running(paths)) == {psutil.Process(marked.pid)}
        marked.kill()


def test_this_process_is_never_one_of_the_platform_s(paths, sleeper):
    """`make local-down` from a shell that carries the marker ends neither that shell nor itself."""
    file = processes.record_file(paths)
    entries = [
        {"pid": pid, "create_time": psutil.Process(pid).create_time(), "what": "emr"}
        for pid in (os.getpid(), os.getppid())
    ]
    file.write_text(json.dumps(entries))

    found = {process.pid for process in processes.running(paths)}

    assert os.getpid() not in found
    assert os.getppid() not in found


def test_memory_counts_the_descendants():
    hungry = "x = b'1' * (64 << 20); print('fed', flush=True); import time; time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"fed\n"
        assert processes.memory_bytes(process.pid) > 64 << 20
        processes.end([*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)])
    assert processes.memory_bytes(process.pid) == 0
