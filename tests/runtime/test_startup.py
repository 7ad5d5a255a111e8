"""Bringing services up under a real supervisor: the order, the gates, failures, interruptions."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import tiny_platform
from tiny_platform import alive, notes, tiny

from drydock import processes, startup, teardown
from drydock.errors import DrydockError, PortTaken, ServiceFailed
from drydock.services import FURNISHED_WAVE
from drydock.supervision import Supervisor, socket_path
from tests.running import wait_for


def test_a_wave_begins_when_the_one_before_is_healthy(paths, free_ports):
    services = [
        tiny(paths, "first", 1, free_ports[0], delay=1),
        tiny(paths, "second-a", FURNISHED_WAVE, free_ports[1]),
        tiny(paths, "second-b", FURNISHED_WAVE, free_ports[2]),
    ]
    seen = []

    def meanwhile():
        tiny_platform.answers(free_ports[0])
        seen.append({name for name, state in Supervisor(paths).states().items() if state.is_up})

    started = startup.bring_up(paths, services, meanwhile)

    assert started == ["first", "second-a", "second-b"]
    assert seen == [set(started)]
    first, second = notes(paths, "first"), [notes(paths, name) for name in ("second-a", "second-b")]
    assert all(it["began"] > first["listened"] for it in second)


def test_bringing_up_what_is_up_starts_nothing(paths, free_ports):
    services = [tiny(paths, "first", 1, free_ports[0]), tiny(paths, "second", 2, free_ports[1])]
    startup.bring_up(paths, services)
    before = {name: notes(paths, name)["pid"] for name in ("first", "second")}

    begun_at = time.monotonic()
    assert startup.bring_up(paths, services) == []

    assert time.monotonic() - begun_at < 1
    assert {name: state.pid for name, state in Supervisor(paths).states().items()} == before


def test_what_is_missing_is_started_and_the_rest_left_alone(paths, free_ports):
    first, second = tiny(paths, "first", 1, free_ports[0]), tiny(paths, "second", 2, free_ports[1])
    startup.bring_up(paths, [first, second])
    kept = notes(paths, "first")["pid"]
    Supervisor(paths).stop(["second"], 10)

    assert startup.bring_up(paths, [first, second]) == ["second"]

    assert Supervisor(paths).states()["first"].pid == kept


def test_a_service_sees_exactly_its_declared_environment(paths, free_ports, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the caller's own")
    service = tiny(paths, "first", 1, free_ports[0], odd='a "quoted", 100% odd = value; # not a comment')

    startup.bring_up(paths, [service])

    seen = notes(paths, "first")["environment"]
    seen.pop("LC_CTYPE", None)  # Python sets it for itself (PEP 538)
    assert seen == dict(service.environment)
    assert psutil.Process(notes(paths, "first")["pid"]).cmdline() == list(service.command)


def test_a_service_that_ends_is_named_with_its_last_words_and_nothing_stays(paths, free_ports):
    services = [tiny(paths, "first", 1, free_ports[0]), tiny(paths, "broken", 2, free_ports[1], exit=3)]

    with pytest.raises(ServiceFailed) as failure:
        startup.bring_up(paths, services)

    message = str(failure.value)
    assert message.startswith("broken did not come up: it ended again and again, and was given up")
    assert "the flux capacitor is missing" in message
    assert "`make local-logs SERVICE=broken`" in message
    assert not alive(notes(paths, "first")["pid"])
    assert not Supervisor(paths).is_running()


def test_a_service_that_stays_unhealthy_is_given_up_at_its_deadline(paths, free_ports):
    service = tiny(paths, "slow", 1, free_ports[0], delay=60, start_seconds=1)

    begun_at = time.monotonic()
    with pytest.raises(ServiceFailed, match=r"slow was not healthy after 1 s: no answer: ConnectError"):
        startup.bring_up(paths, [service])

    assert time.monotonic() - begun_at < 10


def test_a_failed_start_leaves_alone_what_ran_before(paths, free_ports):
    first = tiny(paths, "first", 1, free_ports[0])
    slow = tiny(paths, "slow", 2, free_ports[1], delay=60, start_seconds=1)
    third = tiny(paths, "third", 3, free_ports[2])
    supervisor = Supervisor(paths)
    supervisor.launch([first, slow, third])
    supervisor.start(first)
    wait_for(lambda: (paths.home / "first.notes").exists(), "first's start", seconds=15)

    with pytest.raises(ServiceFailed, match="slow was not healthy"):
        startup.bring_up(paths, [first, slow, third])

    assert alive(notes(paths, "first")["pid"])
    assert supervisor.states()["slow"].pid is None


def test_what_is_done_meanwhile_may_fail_and_then_nothing_stays(paths, free_ports):
    def refuse():
        raise DrydockError("Terraform is out of order.")

    with pytest.raises(DrydockError, match="out of order"):
        startup.bring_up(
            paths,
            [tiny(paths, "first", 1, free_ports[0]), tiny(paths, "second", FURNISHED_WAVE, free_ports[1])],
            refuse,
        )

    assert not alive(notes(paths, "first")["pid"])


def test_a_taken_port_is_named_with_its_holder_before_anything_starts(paths, free_ports):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_ports[1]))
        holder.listen()
        services = [tiny(paths, "first", 1, free_ports[0]), tiny(paths, "second", 2, free_ports[1])]

        with pytest.raises(PortTaken) as failure:
            startup.bring_up(paths, services)

    message = str(failure.value)
    assert f"Port {free_ports[1]} on 127.0.0.1 (second) is held by pid {os.getpid()}" in message
    assert "pytest" in message
    assert str(free_ports[0]) not in message
    assert not (paths.home / "first.notes").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_start_ends_what_it_started(paths, free_ports, number):
    services = [
        {"name": "first", "wave": 1, "port": free_ports[0], "children": 1},
        {"name": "slow", "wave": 2, "port": free_ports[1], "delay": 60},
    ]
    command = [sys.executable, tiny_platform.__file__, str(paths.home), json.dumps(services)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as starting:
        wait_for(lambda: (paths.logs / "slow.log").exists(), "the second wave", seconds=15)
        starting.send_signal(number)
        starting.send_signal(signal.SIGINT)  # an impatient second Ctrl-C does not stop the cleaning up
        said = starting.communicate(timeout=30)[0]

    assert starting.returncode == 130
    assert "Ending what this command had started" in said
    first = notes(paths, "first")
    assert not alive(first["pid"])
    assert not alive(first["child"])
    assert processes.running(paths) == {}


def test_a_crashed_service_is_started_again(paths, free_ports):
    startup.bring_up(paths, [tiny(paths, "first", 1, free_ports[0])])
    crashed = notes(paths, "first")["pid"]

    os.kill(crashed, signal.SIGKILL)

    wait_for(lambda: notes(paths, "first")["pid"] != crashed, "the restart", seconds=15)
    tiny_platform.answers(free_ports[0])


def test_a_home_with_a_long_path(paths, free_ports):
    deep = type(paths)(paths.home / ("long" * 20) / ("deep" * 20))
    deep.home.mkdir(parents=True)
    try:
        startup.bring_up(deep, [tiny(deep, "first", 1, free_ports[0])])
        assert Supervisor(deep).states()["first"].is_up
    finally:
        teardown.end_all(deep)
    assert processes.running(deep) == {}
    assert not socket_path(deep).parent.exists()
