import json
import os
import socket

import pytest

from drydock import settings
from drydock.errors import PortTaken, SetupError
from drydock.ports import Listener, require_free


@pytest.fixture
def held():
    """A port that this process listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_held_port_is_named_with_purpose_pid_user_and_command(held):
    with pytest.raises(PortTaken) as failure:
        require_free([Listener("127.0.0.1", held, "gateway")])

    message = str(failure.value)
    assert f"Port {held} on 127.0.0.1 (gateway) is held by pid {os.getpid()}, " in message
    assert "pytest" in message
    assert "DRYDOCK_PORT_OFFSET=1000" in message


def test_one_that_listens_everywhere_holds_the_port_too():
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        with pytest.raises(PortTaken, match=rf"pid {os.getpid()}"):
            require_free([Listener("127.0.0.1", holder.getsockname()[1], "gateway")])


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_so_does_one_that_listens_as_java_does():
    with socket.socket(socket.AF_INET6) as holder:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        holder.bind(("::ffff:127.0.0.1", 0))
        holder.listen()
        with pytest.raises(PortTaken, match=rf"pid {os.getpid()}"):
            require_free([Listener("127.0.0.1", holder.getsockname()[1], "kestra")])


def test_the_same_port_of_another_address_is_free(held):
    require_free([Listener("127.0.0.11", held, "node-1")])


def test_an_address_of_another_machine_is_explained():
    with pytest.raises(SetupError, match=r"192\.0\.2\.1 \(node-1\) is no address of this machine"):
        require_free([Listener("192.0.2.1", 7077, "node-1")])


def test_a_senseless_offset_is_refused(monkeypatch):
    for text in ("-1", "many", "60000"):
        monkeypatch.setenv("DRYDOCK_PORT_OFFSET", text)
        with pytest.raises(SetupError, match=f"DRYDOCK_PORT_OFFSET is `{text}`"):
            settings.Ports()


def test_the_running_platform_s_offset_counts_unless_one_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    monkeypatch.delenv("DRYDOCK_PORT_OFFSET", raising=False)
    assert settings.Ports().gateway == 4566

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "platform.json").write_text(json.dumps({"port_offset": 2000}))
    assert settings.Ports().gateway == 6566

    monkeypatch.setenv("DRYDOCK_PORT_OFFSET", "3000")
    assert settings.Ports().gateway == 7566
