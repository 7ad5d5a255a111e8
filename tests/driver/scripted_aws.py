"""An AWS endpoint that answers as a test tells it to, for failures that no real endpoint can be made to show.

It holds no behaviour of EMR: each operation answers from a list, the last answer again and again.
"""

import gzip
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

ACCOUNT = "111122223333"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/kestra-role"
OPERATOR_KEY = "AKIAOPERATOROPERATOR"
ROLE_KEY = "ASIAKESTRAROLEKESTRA"


@dataclass(frozen=True)
class Refusal:
    """An error of AWS's."""

    code: str
    message: str
    status: int = 400


class LostAnswer:
    """The request arrives and the connection breaks before an answer."""


Answer = dict[str, Any] | Refusal | LostAnswer


@dataclass
class Call:
    """A request that arrived."""

    operation: str
    body: dict[str, Any]
    access_key: str


@dataclass
class ScriptedAws:
    """EMR by script, S3 objects by `bucket/key`, STS for one role. Use as a context manager."""

    objects: dict[str, bytes] = field(default_factory=dict)
    modified: str = "Thu, 01 Jan 2026 00:00:00 GMT"  # every object
    missing: Refusal = field(default_factory=lambda: Refusal("NoSuchKey", "no such key", 404))
    calls: list[Call] = field(default_factory=list)
    caller_arn: str = f"arn:aws:iam::{ACCOUNT}:user/operator"
    assume_role: Refusal | None = None

    def __post_init__(self) -> None:
        self._answers: dict[str, list[Answer | Callable[[dict[str, Any]], Answer]]] = {}
        self._arrived = threading.Condition()
        self._connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ScriptedAws":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on nobody answers."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, operation: str, *answers: Answer | Callable[[dict[str, Any]], Answer]) -> None:
        """What EMR answers to `operation`, one after the other; the last stays."""
        self._answers[operation] = list(answers)

    def cluster_states(self, *states: str, reason: str = "", code: str = "", **more: Any) -> None:
        """What DescribeCluster shows, one look after the other."""
        change = ({"Message": reason} if reason else {}) | ({"Code": code} if code else {})
        self.answer(
            "DescribeCluster",
            *(
                {
                    "Cluster": {
                        "Id": "j-1",
                        "Name": "a cluster",
                        "LogUri": "s3n://logs/emr/",
                        "Status": {"State": state, "StateChangeReason": change},
                        **more,
                    }
                }
                for state in states
            ),
        )

    def step_states(self, *states: str, failure: dict[str, str] | None = None) -> None:
        """What DescribeStep shows, one look after the other; FailureDetails with the last."""

        def step(state: str, *, last: bool) -> Answer:
            details = {"FailureDetails": failure} if failure and last else {}
            return {"Step": {"Id": "s-1", "Name": "a step", "Status": {"State": state, **details}}}

        self.answer("DescribeStep", *(step(state, last=i == len(states) - 1) for i, state in enumerate(states)))

    def put_log(self, name: str, text: str) -> None:
        """Deliver a log of step s-1 on cluster j-1."""
        self.objects[f"logs/emr/j-1/steps/s-1/{name}.gz"] = gzip.compress(text.encode())

    def drop_log(self, name: str) -> None:
        """As if that log of step s-1 had never been delivered."""
        self.objects.pop(f"logs/emr/j-1/steps/s-1/{name}.gz", None)

    def operations(self) -> list[str]:
        """Names of the EMR and STS operations that arrived."""
        return [call.operation for call in self.calls]

    def bodies(self, operation: str) -> list[dict[str, Any]]:
        """What was asked of one operation."""
        return [call.body for call in self.calls if call.operation == operation]

    def wait_for(self, operation: str, times: int = 1, deadline_seconds: float = 20) -> None:
        """Until `operation` has arrived so many times."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self.operations().count(operation) >= times, deadline_seconds):
                raise AssertionError(f"{operation} did not arrive {times} times, but {self.operations()}")

    def _record(self, call: Call) -> None:
        with self._arrived:
            self.calls.append(call)
            self._arrived.notify_all()

    def _next(self, operation: str, body: dict[str, Any]) -> Answer:
        answers = self._answers.get(operation) or [Refusal("UnknownOperation", f"nothing scripted for {operation}")]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer(body) if callable(answer) else answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        aws = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                aws._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                access_key = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
                if target := self.headers.get("X-Amz-Target"):
                    self._emr(target.rpartition(".")[2], json.loads(body), access_key)
                else:
                    self._sts(parse_qs(body.decode())["Action"][0], access_key)

            def do_GET(self) -> None:
                content = aws.objects.get(urlsplit(self.path).path.lstrip("/"))
                if content is None:
                    no = aws.missing
                    error = f"<Error><Code>{no.code}</Code><Message>{no.message}</Message></Error>"
                    self._send(no.status, error.encode(), "text/xml")
                    return
                etag = f'"{hash(content)}"'
                if self.headers.get("If-None-Match") == etag:
                    self._send(304, b"", "text/plain")
                else:
                    headers = {"ETag": etag, "Last-Modified": aws.modified}
                    self._send(200, content, "binary/octet-stream", **headers)

            def _emr(self, operation: str, body: dict[str, Any], access_key: str) -> None:
                answer = aws._next(operation, body)
                aws._record(Call(operation, body, access_key))
                if isinstance(answer, LostAnswer):
                    self.close_connection = True
                elif isinstance(answer, Refusal):
                    error = json.dumps({"__type": answer.code, "message": answer.message}).encode()
                    self._send(answer.status, error, "application/x-amz-json-1.1")
                else:
                    self._send(200, json.dumps(answer).encode(), "application/x-amz-json-1.1")

            def _sts(self, action: str, access_key: str) -> None:
                aws._record(Call(action, {}, access_key))
                if action == "AssumeRole" and aws.assume_role is not None:
                    refusal = aws.assume_role
                    error = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
                    self._send(403, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode(), "text/xml")
                    return
                result = {
                    "GetCallerIdentity": f"<Arn>{aws.caller_arn}</Arn>",
                    "AssumeRole": f"<Credentials><AccessKeyId>{ROLE_KEY}</AccessKeyId>"
                    "<SecretAccessKey>x</SecretAccessKey>"
                    "<SessionToken>t</SessionToken><Expiration>2199-01-01T00:00:00Z</Expiration></Credentials>",
                }[action]
                xml = f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"
                self._send(200, xml.encode(), "text/xml")

            def _send(self, status: int, content: bytes, kind: str, **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output to the test."""

        return Handler
