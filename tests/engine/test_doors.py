"""Who may call the engine, and where it can be called."""

import httpx
import psutil
import pytest

from drydock import kestra, settings
from tests.engine.engine_rig import Engine

FLOWS = "/api/v1/main/flows/search"


def test_it_listens_on_loopback_at_one_port(engine: Engine):
    """Kestra's own controller would hand out work to anybody who calls, on every interface."""
    assert engine.process is not None
    process = psutil.Process(engine.process.pid)
    listening = [found for found in process.net_connections("inet") if found.status == psutil.CONN_LISTEN]
    assert [(found.laddr.ip.removeprefix("::ffff:"), found.laddr.port) for found in listening] == [
        (settings.LOOPBACK, engine.port)
    ]


def test_only_ping_is_open(engine: Engine):
    assert httpx.get(f"{engine.url}/ping", trust_env=False).text == "pong"
    for login in (None, (settings.KESTRA_USERNAME, "wrong"), ("somebody@else.where", "Tested-by-1-person")):
        assert httpx.get(engine.url + FLOWS, auth=login, trust_env=False).status_code == 401


@pytest.mark.parametrize("headers", [{"Host": "evil.example:8080"}, {"Origin": "http://127.0.0.1:8080"}])
def test_web_pages_are_kept_out(engine: Engine, headers: dict[str, str]):
    login = (settings.KESTRA_USERNAME, engine.password_file.read_text().strip())
    assert httpx.get(engine.url + FLOWS, auth=login, trust_env=False).status_code == 200
    assert httpx.get(engine.url + FLOWS, auth=login, headers=headers, trust_env=False).status_code == 403


def test_who_is_not_there_is_unreachable(tmp_path):
    (tmp_path / "password").write_text("x")
    with (
        kestra.client("http://127.0.0.1:9", tmp_path / "password") as client,
        pytest.raises(kestra.KestraUnreachable, match="does not answer"),
    ):
        client.await_up(lambda: False)
