"""Reading a day back from a gateway that goes away in the midst of it, by the clients that really do it."""

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from drydock import read_back, secrets, settings
from drydock.errors import RunFailed

DAY = date(2026, 3, 1)
PLATFORM = {"platform": "drydock", "source_uri": "s3://source/raw", "output_uri": "s3://output"}


class Gateway(ThreadingHTTPServer):
    """Knows the platform and no cluster; what it does when it is asked for a Delta log is the test's to say."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__((settings.LOOPBACK, 0), Handler)
        self.asked_for_delta: Literal["ends", "is silent", "has none"] = "has none"
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def ports(self) -> settings.Ports:
        return settings.Ports(offset=self.server_port - 4566)

    def end(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        if self.path.startswith("/spark-job-data-input/config/platform.json"):
            self.answer(200, json.dumps(PLATFORM))
        elif "_delta_log" in self.path and self.server.asked_for_delta == "ends":
            self.close_connection = True
            self.server.end()
        elif "_delta_log" in self.path and self.server.asked_for_delta == "is silent":
            self.server.over.wait(60)
        elif "list-type=2" in self.path:
            self.answer(200, "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
        else:
            self.answer(404, "<Error><Code>NoSuchKey</Code><Message>Nothing there</Message></Error>")

    def do_POST(self) -> None:
        """EMR's ListClusters."""
        self.answer(200, '{"Clusters": []}')

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing of it on the terminal."""


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    paths = settings.Paths(tmp_path)
    secrets.ensure(paths)
    return paths


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    if not gateway.over.is_set():
        gateway.end()


def read(paths: settings.Paths, gateway: Gateway) -> tuple[str, float]:
    """What reading the day is refused with, and after how many seconds."""
    begun_at = time.monotonic()
    with pytest.raises(RunFailed) as failure:
        read_back.read(paths, gateway.ports, DAY)
    return str(failure.value), time.monotonic() - begun_at


def test_a_gateway_that_ends_under_the_delta_read_is_told_within_seconds(
    paths: settings.Paths, gateway: Gateway
) -> None:
    gateway.asked_for_delta = "ends"
    told, seconds = read(paths, gateway)
    assert seconds < 10  # half of one on an idle machine
    assert told.startswith("The day 2026-03-01 cannot be read back: ")
    assert told.endswith("Connection refused (os error 111). `make local-status` shows the platform.")
    assert not any(character in told for character in "\n\x1b↳")


def test_a_gateway_that_falls_silent_under_the_delta_read_is_given_up(
    paths: settings.Paths, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_back, "DELTA_ANSWER_SECONDS", 1)
    gateway.asked_for_delta = "is silent"
    told, seconds = read(paths, gateway)
    assert seconds < 15  # two or three
    assert "timed out" in told


def test_no_proxy_is_asked_and_the_environment_stays_as_it_is(
    paths: settings.Paths, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    found = read_back.read(paths, gateway.ports, DAY)
    assert found.tables == ()
    assert len(found.missing) == 6
    assert os.environ == before
