"""`make aws-ui`: a session that leads to Kestra's pages, and what is said when there is none."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from drydock import aws_ui, ports, settings
from drydock.errors import NotRunning, PortTaken, ServiceFailed, SetupError
from drydock.on_aws import account, kestra_host
from drydock.on_aws.kestra_host import Host

# Serves what Kestra would, at the port that it is told; soon after it has been asked `make aws-ui` is interrupted.
CLI = f"""#!{sys.executable}
import http.server, json, os, pathlib, sys, threading
home = pathlib.Path({{home!r}})
home.joinpath("called.json").write_text(json.dumps([sys.argv[1:], os.environ["AWS_REGION"], os.getpid()]))
print("Starting session with SessionId: acme-1", flush=True)
class Kestra(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"pong")
        threading.Timer(0.5, os.kill, ({os.getpid()}, {signal.SIGINT.value})).start()
    def log_message(self, *_): pass
port = int(sys.argv[-1].split("localPortNumber=")[1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Kestra).serve_forever()
"""


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    paths = settings.Paths(tmp_path / "home")
    (paths.environment("workspace") / "bin").mkdir(parents=True)
    return paths


@pytest.fixture
def where(paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Any) -> Any:
    """A deployment whose host is up, on a machine that has the plug-in."""

    @contextmanager
    def environment(_: Path) -> Iterator[dict[str, str]]:
        yield {"AWS_REGION": "eu-central-1"}

    where = SimpleNamespace(
        paths=paths, directory=tmp_path, name_prefix="acme-", account=SimpleNamespace(environment=environment)
    )
    monkeypatch.setattr(account, "opened", lambda _: SimpleNamespace(site=where, title="account 1, eu-central-1"))
    monkeypatch.setattr(kestra_host, "running", lambda *_: Host("i-0123", "running", "t3.large"))
    programs("session-manager-plugin", "exit 0")
    cli(paths, CLI.format(home=str(tmp_path)))
    monkeypatch.setenv("DRYDOCK_PORT_OFFSET", str(10_000 + os.getpid() % 20_000))
    return where


def cli(paths: settings.Paths, source: str) -> None:
    program = paths.environment("workspace") / "bin" / "aws"
    program.write_text(source)
    program.chmod(0o755)


def test_the_pages_are_led_to_until_ctrl_c(where: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws_ui.aws_ui()
    said, port = capsys.readouterr().out, settings.Ports().aws_ui
    arguments, region, pid = json.loads((tmp_path / "called.json").read_text())
    assert arguments == [
        *("ssm", "start-session", "--target", "i-0123"),
        *("--document-name", "AWS-StartPortForwardingSession"),
        *("--parameters", f"portNumber=8080,localPortNumber={port}"),
    ]
    assert region == "eu-central-1"
    assert f"Kestra of account 1, eu-central-1: http://127.0.0.1:{port}\n" in said
    assert "operator@drydock.local" in said
    assert "aws ssm get-parameter --name /drydock/acme-kestra-password --with-decryption" in said
    assert "The session is over." in said
    assert not psutil.pid_exists(pid)


def test_a_session_that_ends_is_told_with_its_last_words(where: Any, paths: settings.Paths) -> None:
    cli(paths, "#!/bin/sh\necho 'An error occurred (TargetNotConnected)' >&2; exit 254\n")
    with pytest.raises(
        ServiceFailed, match=r"ended \(254\)\.\nIt said last:\n    An error occurred \(TargetNotConnected\)"
    ):
        aws_ui.aws_ui()


def test_without_the_plug_in_it_says_what_to_install(
    where: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"`session-manager-plugin`.* is not on the PATH\. AWS's documentation"):
        aws_ui.aws_ui()


def test_a_port_that_is_taken_is_named(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "taken", lambda listeners: {each: ports.Holder(1, "pid 1") for each in listeners})
    with pytest.raises(PortTaken, match=rf"Port {settings.Ports().aws_ui} on 127\.0\.0\.1 \(Kestra's pages on AWS\)"):
        aws_ui.aws_ui()


def test_without_a_host_nothing_is_opened(where: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def running(*_: object) -> None:
        raise NotRunning("There is no host.")

    monkeypatch.setattr(kestra_host, "running", running)
    with pytest.raises(NotRunning):
        aws_ui.aws_ui()
    assert not (tmp_path / "called.json").exists()
