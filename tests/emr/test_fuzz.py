"""Requests by the hundred, by the ten thousand in `make test-full`: whatever is sent, the answer is one of EMR's, the
log has no traceback, and nothing is written but the database."""

import json
import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drydock_emr.api.shapes import service_model
from tests.emr.conftest import NO_TLS, NODE_SECRET, Emr, Fleet, caller_token, run_job_flow, state_of, step
from tests.emr.generated_requests import GARBAGE_BODIES, GARBAGE_TARGETS, HOSTILE_TEXTS, Known, broken, satisfying
from tests.emr.test_console import TOKEN

FEW, MANY = 100, 10_000
SLOWEST_ANSWER_SECONDS = 5.0  # of processor time, of client and server together; on a busy machine a clock says nothing
LARGEST_ANSWER_BYTES = 1 << 20
CLEARED_AFTER = 50  # examples; clusters that pile up would slow down all that follow

EXCEPTIONS = {
    "AccessDeniedException",
    "InvalidRequestException",
    "NotImplementedException",
    "RequestEntityTooLargeException",
    "SerializationException",
    "UnknownOperationException",
    "ValidationException",
}
COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.full)]
SMALLER_COUNTS = [FEW, pytest.param(MANY // 5, marks=pytest.mark.full)]


@pytest.mark.both_databases
@pytest.mark.parametrize("count", COUNTS)
def test_what_satisfies_the_model_is_not_refused_for_its_form(world: "World", count: int) -> None:
    @_examples(count)
    @given(satisfying(world.known))
    def attempt(request: Any) -> None:
        answer = world.ask(request.operation, request.body)
        assert not answer.refuses_form, (request, answer.text)

    attempt()
    # A guard against requests that all are refused; of ten thousand about a fifth were accepted.
    assert world.statuses[200] > count / 10, "too few of the requests mean anything"


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_broken_in_one_place_is_answered_by_the_exception_for_it(world: "World", count: int) -> None:
    @_examples(count)
    @given(broken(world.known))
    def attempt(request: Any) -> None:
        answer = world.ask(request.operation, request.body)
        if request.expected:
            assert (answer.status, answer.code) == (400, request.expected), (request, answer.text)
            assert answer.refuses_form
        elif request.well_formed:
            assert not answer.refuses_form, (request, answer.text)

    attempt()


@pytest.mark.parametrize("count", COUNTS)
def test_garbage_is_answered_and_harms_nothing(world: "World", count: int) -> None:
    @_examples(count)
    @given(GARBAGE_TARGETS, GARBAGE_BODIES)
    def attempt(target: str, body: bytes) -> None:
        sent = target.encode("utf-8", "replace").translate(None, b"\r\n\0")
        signed_for = sent.strip().decode("latin-1")
        answer = world.raw(sent, body, caller_token(signed_for, body))
        if not answer.is_no_http:
            world.check(answer)

    attempt()


TOKENS = st.one_of(
    st.binary(max_size=60).map(lambda garbage: b"Bearer " + garbage),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"",
            b"Bearer",
            b"Bearer " + b"." * 1000,
            b"Bearer " + b"W1tb" * 5000 + b".e30.x",  # a header of nested lists
            b"Bearer eyJhbGciOiJub25lIn0.e30.",  # algorithm none
            b"Basic eDp5",
            b"AWS4-HMAC-SHA256 Credential=x",
        ]
    ),
)


@pytest.mark.parametrize("count", SMALLER_COUNTS)
def test_garbage_for_a_token_is_no_token(world: "World", count: int) -> None:
    @_examples(count)
    @given(TOKENS)
    def attempt(authorization: bytes) -> None:
        answer = world.raw(b"ElasticMapReduce.ListClusters", b"{}", None, authorization)
        if not answer.is_no_http:
            world.check(answer)
            assert answer.code == "AccessDeniedException"

    attempt()


@pytest.mark.parametrize("count", SMALLER_COUNTS)
def test_garbage_reports_of_nodes_are_refused(world: "World", count: int) -> None:
    @_examples(count)
    @given(GARBAGE_BODIES)
    def attempt(body: bytes) -> None:
        headers = {"Authorization": f"Bearer {NODE_SECRET}"}
        assert world.http.post("/node/v1/sync", content=body, headers=headers).status_code == 400
        world.check_log()

    attempt()


def test_the_console_shows_whatever_was_accepted(world: "World") -> None:
    client = world.emr.client()
    for text in HOSTILE_TEXTS:
        request = run_job_flow(Name=text, Steps=[step(text, text)], Tags=[{"Key": text or "k", "Value": text}])
        world.ask("RunJobFlow", json.dumps(request).encode())
    assert len(client.list_clusters()["Clusters"]) > len(HOSTILE_TEXTS) / 2
    cookies = {"drydock_console": TOKEN}
    with httpx.Client(base_url=world.emr.url, cookies=cookies, verify=NO_TLS) as browser:
        assert browser.get("/clusters").status_code == 200
        for cluster in client.list_clusters()["Clusters"]:
            client.describe_cluster(ClusterId=cluster["Id"])
            assert browser.get(f"/clusters/{cluster['Id']}").status_code == 200
        for text in HOSTILE_TEXTS:
            path = text.encode("utf-8", "surrogatepass").hex("%")
            assert browser.get(f"/clusters/%{path or '20'}").status_code in {307, 404}
    world.check_log()


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()[:2000]

    @property
    def document(self) -> Any:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self.body, parse_constant=refuse)

    @property
    def code(self) -> str:
        return self.document.get("__type", "") if self.status != 200 else ""

    @property
    def is_no_http(self) -> bool:
        """The server's own refusal of bytes that no header may have."""
        return self.status == 400 and self.body == b"Invalid HTTP request received."

    @property
    def refuses_form(self) -> bool:
        return self.code == "SerializationException" or (
            self.code == "ValidationException" and b"failed to satisfy constraint" in self.body
        )


class World:
    """A control plane with three nodes, clusters in several states, and an eye on what it logs and writes."""

    def __init__(self, emr: Emr, fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
        self.emr = emr
        self.fleet = fleet
        self.http = httpx.Client(base_url=emr.url, timeout=30, trust_env=False, verify=NO_TLS)
        self.statuses: Counter[int] = Counter()
        self._caplog = caplog
        self._asked = 0
        self._client = emr.client()
        self.known = Known(self._exist())

    def ask(self, operation: str, body: bytes) -> Answer:
        """Send a request as the gateway would, check the answer, the log and the clock."""
        self._asked += 1
        if self._asked % CLEARED_AFTER == 0:
            self._clear()
        target = f"ElasticMapReduce.{operation}"
        headers = {
            "X-Amz-Target": target,
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"Bearer {caller_token(target, body)}",
        }
        began = time.process_time()
        response = self.http.post("/", content=body, headers=headers)
        assert time.process_time() - began < SLOWEST_ANSWER_SECONDS
        answer = Answer(response.status_code, dict(response.headers), response.content)
        self.check(answer, operation)
        return answer

    def check(self, answer: Answer, operation: str | None = None) -> None:
        self.check_log()
        self.statuses[answer.status] += 1
        assert answer.status in {200, 400, 413}, answer.text
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
        assert answer.headers["x-amzn-requestid"]
        assert len(answer.body) < LARGEST_ANSWER_BYTES
        document = answer.document
        if answer.status != 200:
            assert document["__type"] in EXCEPTIONS
            assert answer.headers["x-amzn-errortype"] == document["__type"]
            assert document.get("message") or document.get("Message")
        elif operation and (shape := service_model().operation_model(operation).output_shape):
            report = ParamValidator().validate(document, shape)
            assert not report.has_errors(), report.generate_report()

    def check_log(self) -> None:
        """Nothing that is logged tells of an error of the program's own."""
        records = [record for record in self._caplog.records if record.exc_info or record.levelno >= logging.ERROR]
        assert not records, "\n".join(self._caplog.handler.format(record) for record in records)
        self._caplog.clear()

    def raw(self, target: bytes, body: bytes, token: str | None, authorization: bytes = b"") -> Answer:
        """A request whose headers no library would send."""
        host, _, port = self.emr.url.removeprefix("http://").partition(":")
        authorization = f"Bearer {token}".encode() if token else authorization
        lines = [
            b"POST / HTTP/1.1",
            b"Host: emr",
            b"Connection: close",
            b"X-Amz-Target: " + target,
            b"Authorization: " + authorization.translate(None, b"\r\n"),
            b"Content-Length: %d" % len(body),
        ]
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            response = HTTPResponse(connection, method="POST")
            response.begin()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def _exist(self) -> dict[str, Sequence[str]]:
        client = self._client
        client.create_security_configuration(Name="plain", SecurityConfiguration="{}")
        ended = self.fleet.start(client, Name="ended")
        client.terminate_job_flows(JobFlowIds=[ended])
        self.fleet.until(lambda: state_of(client, ended) == "TERMINATED", "the end of a cluster")
        self.fleet.nodes[0].exit_codes["done"] = 0
        live = self.fleet.start(client, Name="live", Steps=[step("done"), step("runs"), step("waits")])
        self.fleet.turns()
        starting = client.run_job_flow(**run_job_flow(Name="starting"))["JobFlowId"]
        clusters = [live, live, starting, ended, "j-NONE"]
        steps = [found["Id"] for found in client.list_steps(ClusterId=live)["Steps"]]
        groups = [found["Id"] for found in client.list_instance_groups(ClusterId=live)["InstanceGroups"]]
        instances = [found["Ec2InstanceId"] for found in client.list_instances(ClusterId=live)["Instances"]]
        return {
            **dict.fromkeys(("ClusterId", "JobFlowId", "JobFlowIds", "ResourceId"), tuple(clusters)),
            **dict.fromkeys(("StepId", "StepIds"), (*steps, *steps, "s-NONE")),
            "InstanceGroupId": [*groups, "ig-NONE"],
            "EC2InstanceIdsToTerminate": instances,
            "EC2InstanceIds": instances,
            "Marker": ["", "b2Zmc2V0OjA=", "b2Zmc2V0OjUw", "x"],
            "NextToken": ["", "b2Zmc2V0OjA=", "b2Zmc2V0OjE=", "x"],
        }

    def _clear(self) -> None:
        """Let nodes do what came of the requests so far; then end the clusters that these have made."""
        self.fleet.turns(2)
        mine = set(self.known.values["ClusterId"])
        for state in ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"):
            for page in self._client.get_paginator("list_clusters").paginate(ClusterStates=[state]):
                others = [found["Id"] for found in page["Clusters"] if found["Id"] not in mine]
                for begin in range(0, len(others), 10):
                    ids = others[begin : begin + 10]
                    self._client.set_termination_protection(JobFlowIds=ids, TerminationProtected=False)
                    self._client.terminate_job_flows(JobFlowIds=ids)


@pytest.fixture
def world(emr: Emr, fleet: Fleet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    with only_written_below(tmp_path):
        world = World(emr, fleet, caplog)
        world.check_log()
        yield world
        fleet.turns(2)
        assert world.http.get("/health").status_code == 200
        world.check_log()
        world.http.close()


_watched: list[Callable[[str, tuple[Any, ...]], None]] = []


@contextmanager
def only_written_below(folder: Path) -> Iterator[None]:
    """Fails when another thread than the test's writes to, makes, moves or removes a file outside of the folder."""
    outside: list[str] = []

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if threading.current_thread() is threading.main_thread():
            return
        outside.extend(
            f"{event} {path}" for path in _changed(event, arguments) if not Path(path).is_relative_to(folder)
        )

    _watched.append(look)
    try:
        yield
    finally:
        _watched.remove(look)
    assert not outside, outside


def _changed(event: str, arguments: tuple[Any, ...]) -> list[str]:
    """The paths that an event of Python's audit hooks is about to change."""
    if event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return [_absolute(arguments[0])]
    if event in {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}:
        return [_absolute(path) for path in arguments if isinstance(path, str | bytes)]
    if event in {"sqlite3.connect", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}:
        return [_absolute(arguments[0])]
    return []


def _absolute(path: str | bytes) -> str:
    return str(Path(os.fsdecode(path)).absolute())


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for look in _watched:
        look(event, arguments)


sys.addaudithook(_hook)  # for the life of the process: Python knows no way to take one back


def _examples(count: int) -> settings:
    """The same examples every time when they are few, new ones when they are many."""
    return settings(
        max_examples=count,
        database=None,
        derandomize=count == FEW,
        suppress_health_check=list(HealthCheck),
    )
