"""A real gateway on a port of its own, and a recorder in the control plane's place."""

import hashlib
import json
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import botocore.auth
import jwt
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from drydock import services
from drydock.secrets import Secrets
from drydock.settings import Paths, Ports
from tests.running import free_port

REGION = "us-east-1"
ACCOUNT = "000000000000"
OPERATOR_ARN = f"arn:aws:iam::{ACCOUNT}:root"
START_SECONDS = 60
PYTHON = Paths().environment("gateway") / "bin" / "python"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Gateway:
    port: int
    home: Path
    operator: dict[str, str]
    secret: str
    emr: "Recorder"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home / "gateway.log"

    @property
    def paths(self) -> Paths:
        return Paths(self.home)

    @property
    def secret_files(self) -> Secrets:
        return Secrets(self.paths.secrets)

    @property
    def service(self) -> services.Service:
        return services.gateway(self.paths, Ports(offset=self.port - Ports(offset=0).gateway))

    @property
    def environment(self) -> dict[str, str]:
        """What the platform gives the process, with the recorder for a control plane and one more name for itself."""
        return {**self.service.environment, "DRYDOCK_EMR_URL": self.emr.url, "DRYDOCK_GATEWAY_HOSTS": "gateway.test"}

    def credentials(self, **changes: str) -> Credentials:
        values = {"access_key": self.operator["access_key_id"], "secret_key": self.operator["secret_access_key"]}
        return Credentials(**{**values, **changes})

    def client(self, service: str, credentials: Credentials | None = None, **config: Any) -> Any:
        """A boto3 client; no retries, so that a test sees the first answer."""
        who = credentials or self.credentials()
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            aws_session_token=who.token,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
        )

    def send(
        self, method: str, target: str, headers: dict[str, str] | list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> Answer:
        """Send a request as it is: no signature, no change to the target."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            pairs = list(headers.items()) if isinstance(headers, dict) else headers or []
            names = {name.lower() for name, _ in pairs}
            connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
            for name, value in pairs:
                connection.putheader(name, value)
            if body or method in ("POST", "PUT"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def signed(
        self,
        method: str,
        target: str,
        service: str = "s3",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        credentials: Credentials | None = None,
        at: datetime | None = None,
    ) -> dict[str, str]:
        """The headers botocore's signer gives the request, its own and `headers`."""
        signer_class = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
        request = AWSRequest(method, f"{self.url}{target}", headers or {}, data=body)
        if service == "s3":
            request.context["payload_signing_enabled"] = True
        moment = (at or datetime.now(UTC)).replace(tzinfo=None)
        with patch.object(botocore.auth, "get_current_datetime", lambda: moment):
            signer_class(credentials or self.credentials(), service, REGION).add_auth(request)
        return {**dict(request.headers.items()), "Host": urlsplit(self.url).netloc}


@dataclass
class Recorded:
    headers: dict[str, str]
    body: bytes
    claims: dict[str, Any]


class Recorder(ThreadingHTTPServer):
    """Takes what the gateway passes on, after checking its token as the control plane does."""

    daemon_threads = True

    def __init__(self, secret: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secret = secret
        self.requests: list[Recorded] = []
        self.answer: tuple[int, dict[str, str], bytes] = (
            200,
            {"Content-Type": "application/x-amz-json-1.1"},
            b'{"Clusters": []}',
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        token = self.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, self.server.secret, algorithms=["HS256"], issuer="gateway", audience="emr")
        assert claims["body_sha256"] == hashlib.sha256(body).hexdigest()
        assert claims["target"] == self.headers.get("X-Amz-Target", "")
        self.server.requests.append(
            Recorded({name.lower(): value for name, value in self.headers.items()}, body, claims)
        )
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        pass


@dataclass
class Process:
    """A running gateway's process, ended by `stop`."""

    gateway: Gateway
    popen: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        directory = self.gateway.service.directory
        directory.mkdir(parents=True, exist_ok=True)
        with self.gateway.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [PYTHON, "-m", "localstack.runtime.main"],
                env=self.gateway.environment,
                cwd=directory,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.popen.returncode}:\n{self.gateway.log.read_text()}")
            try:
                if self.gateway.send("GET", "/_localstack/health").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"no health after {START_SECONDS} s:\n{self.gateway.log.read_text()}")

    def stop(self) -> float:
        """End it by SIGTERM; how many seconds that took."""
        started = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(30)
        finally:
            self.popen.kill()
            self.popen.wait()
        return time.monotonic() - started


@contextmanager
def running_recorder(secret: str) -> Iterator[Recorder]:
    recorder = Recorder(secret)
    threading.Thread(target=recorder.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield recorder
    finally:
        recorder.shutdown()
        recorder.server_close()


def make_gateway(home: Path, recorder: Recorder) -> Gateway:
    """The files a gateway needs; nothing runs yet."""
    operator = {"access_key_id": "AKIAOPERATOROPERATOR", "secret_access_key": secrets.token_urlsafe(30)}
    gateway = Gateway(free_port(), home, operator, recorder.secret, recorder)
    gateway.secret_files.directory.mkdir()
    gateway.secret_files.operator_key.write_text(json.dumps(operator))
    gateway.secret_files.gateway.write_text(recorder.secret)
    gateway.secret_files.orchestrator_token.write_text(secrets.token_urlsafe(48))
    return gateway


def session_token(secret: str, body: bytes, **changes: Any) -> str:
    """The token with which the control plane asks for a service session."""
    now = int(time.time())
    claims = {
        "iss": "emr",
        "aud": "gateway",
        "iat": now,
        "exp": now + 30,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm="HS256")
