"""Reading a day back: which cluster, step and application is whose; and a gateway that goes away in the midst of it."""

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest

from drydock import aws, read_back, secrets, settings, site
from drydock.errors import RunFailed

DAY = date(2026, 3, 1)
PLATFORM = {"platform": "drydock", "source_uri": "s3://source/raw", "output_uri": "s3://output", "core_count": 2}
BEGUN_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ENDED_AT = BEGUN_AT + timedelta(minutes=1)
SINCE = "2026-03-02T11:59:58.000GMT"  # of a step that began with the cluster; clocks may differ a little


class Gateway(ThreadingHTTPServer):
    """Knows the platform; of clusters, and of what it does when it is asked for a Delta log, what the test says.

    It plays the History Server as well, where a test says so: `applications` has the properties of each by its id, and
    every application had one executor, on 127.0.0.12.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__((settings.LOOPBACK, 0), Handler)
        self.asked_for_delta: Literal["ends", "is silent", "has none"] = "has none"
        self.emr: dict[str, dict[str, Any]] = {"ListClusters": {"Clusters": []}}
        self.applications: dict[str, dict[str, str]] = {}
        self.paths_asked_for: list[str] = []
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
        self.server.paths_asked_for.append(self.path)
        if self.path.startswith("/spark-job-data-input/config/platform.json"):
            self.answer(200, json.dumps(PLATFORM))
        elif "_delta_log" in self.path and self.server.asked_for_delta == "ends":
            self.close_connection = True
            self.server.end()
        elif "_delta_log" in self.path and self.server.asked_for_delta == "is silent":
            self.server.over.wait(60)
        elif self.path == f"/api/v1/applications?minDate={SINCE}":
            self.answer(200, json.dumps([{"id": application} for application in self.server.applications]))
        elif self.path.endswith("/environment"):
            properties = self.server.applications[self.path.split("/")[4]]
            self.answer(200, json.dumps({"sparkProperties": list(properties.items())}))
        elif self.path.startswith("/api/v1/applications/"):
            executor = {"id": "0", "hostPort": "127.0.0.12:1", "totalTasks": 1}
            self.answer(200, json.dumps([executor, {"id": "driver", "hostPort": "127.0.0.11:1", "totalTasks": 0}]))
        elif "list-type=2" in self.path:
            self.answer(200, "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
        else:
            self.answer(404, "<Error><Code>NoSuchKey</Code><Message>Nothing there</Message></Error>")

    def do_POST(self) -> None:
        """EMR: what the test says, for one group of instances where it is asked for that."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        answer = self.server.emr[operation]
        self.answer(200, json.dumps(answer[asked["InstanceGroupTypes"][0]] if operation == "ListInstances" else answer))

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
        read_back.read(site.local(paths, gateway.ports), DAY)
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
    monkeypatch.setattr(aws, "DELTA_ANSWER_SECONDS", 1)
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
    found = read_back.read(site.local(paths, gateway.ports), DAY)
    assert found.tables == ()
    assert len(found.missing) == 6
    assert os.environ == before


@pytest.fixture
def a_step_has_run(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of data-generation, on a cluster of one master and two cores, of which a third had not come up."""
    monkeypatch.setattr(settings.Ports, "history_server_url", gateway.ports.gateway_url)
    times = {"CreationDateTime": BEGUN_AT.timestamp(), "EndDateTime": ENDED_AT.timestamp()}
    status = {"State": "TERMINATED", "Timeline": times}
    cluster = {"Id": "j-1", "Name": "drydock-data-generation-2026-03-01-r1", "Status": status}
    step = {"Id": "s-1", "Name": "a step", "Status": {"State": "COMPLETED", "Timeline": times}}
    step["Status"]["Timeline"] = times | {"StartDateTime": BEGUN_AT.timestamp()}
    ready = {"Status": {"State": "TERMINATED", "Timeline": times | {"ReadyDateTime": BEGUN_AT.timestamp()}}}
    gateway.emr = {
        "ListClusters": {"Clusters": [cluster]},
        "DescribeCluster": {"Cluster": cluster | {"LogUri": "s3n://logs/emr/"}},
        "ListSteps": {"Steps": [step]},
        "ListInstances": {
            "MASTER": {"Instances": [ready]},
            "CORE": {"Instances": [ready, {"Status": status}, ready]},
        },
    }


@pytest.mark.usefixtures("a_step_has_run")
def test_a_step_s_applications_are_those_that_bear_its_id_and_no_log_is_read(
    paths: settings.Paths, gateway: Gateway
) -> None:
    gateway.applications = {
        "app-20260302120010-0004": {"spark.drydock.step": "s-1"},
        "app-20260302120010-0001": {"spark.drydock.step": "s-1"},
        "app-20260302120010-0002": {"spark.drydock.step": "s-2", "spark.app.name": "s-1"},
        "app-20260302120010-0003": {},
    }
    [cluster] = read_back.read(site.local(paths, gateway.ports), DAY).clusters
    [step] = cluster.steps
    assert step.applications == ("app-20260302120010-0001", "app-20260302120010-0004")
    assert step.executor_hosts == ("127.0.0.12",)
    assert step.logs == "s3://logs/emr/j-1/steps/s-1"
    assert not any(path.startswith("/logs") for path in gateway.paths_asked_for)


@pytest.mark.usefixtures("a_step_has_run")
def test_the_history_server_is_asked_again_about_a_step_that_has_just_ended(
    paths: settings.Paths, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_back, "HISTORY_SETTLES", datetime.now(UTC) - ENDED_AT + timedelta(seconds=60))
    looks = []

    def appear(_seconds: float) -> None:
        looks.append(len(gateway.paths_asked_for))
        gateway.applications = {"app-1": {"spark.drydock.step": "s-1"}}

    monkeypatch.setattr(read_back.time, "sleep", appear)
    [cluster] = read_back.read(site.local(paths, gateway.ports), DAY).clusters
    assert (cluster.steps[0].applications, len(looks)) == (("app-1",), 1)


@pytest.mark.usefixtures("a_step_has_run")
def test_a_cluster_s_instances_are_those_that_became_ready(paths: settings.Paths, gateway: Gateway) -> None:
    found = read_back.read(site.local(paths, gateway.ports), DAY)
    [cluster] = found.clusters
    assert (cluster.masters, cluster.cores, found.core_count) == (1, 2, 2)
    assert cluster.steps[0].applications == ()
