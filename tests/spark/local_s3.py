"""The gateway with S3 alone, as a process: the jobs' environment has nothing of Drydock's own. And bad ways to it."""

import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATOR = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "of the example"}
START_SECONDS = 120
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start it with its files in `folder`; its URL."""
    home = Path(os.environ.get("DRYDOCK_HOME") or REPOSITORY / ".drydock")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, secret in (
        ("operator.json", json.dumps(OPERATOR)),
        ("gateway.secret", "a secret of this test and no other"),
        ("orchestrator.token", "another secret of this test alone"),
    ):
        (folder / name).touch(0o600)
        (folder / name).write_text(secret)
    (folder / "tmp").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TEMP": str(folder / "tmp"),
        "FILESYSTEM_ROOT": str(folder / "files"),
        "GATEWAY_SERVER": "drydock",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": "s3",
        "PROVIDER_OVERRIDE_S3": "drydock",
        "OVERRIDE_IN_DOCKER": "0",
        "DISABLE_CORS_CHECKS": "1",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "DRYDOCK_OPERATOR_KEY_FILE": str(folder / "operator.json"),
        "DRYDOCK_GATEWAY_SECRET_FILE": str(folder / "gateway.secret"),
        "DRYDOCK_ORCHESTRATOR_ROLE": "nobody",
        "DRYDOCK_ORCHESTRATOR_TOKEN_FILE": str(folder / "orchestrator.token"),
        "DRYDOCK_GATEWAY_STORE": str(folder / "store"),
        "DRYDOCK_EMR_URL": "http://127.0.0.1:9",  # nobody asks for EMR here
    }
    command = [str(home / "envs/gateway/bin/python"), "-m", "localstack.runtime.main"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            _await(f"http://127.0.0.1:{port}/_localstack/health", server, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def client(endpoint: str) -> Any:
    """boto3's client of this S3."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=OPERATOR["access_key_id"],
        aws_secret_access_key=OPERATOR["secret_access_key"],
    )


def hadoop_settings(endpoint: str) -> dict[str, str]:
    """What makes `s3://` URIs lead to this S3 in Hadoop and Spark."""
    return {
        "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.s3a.access.key": OPERATOR["access_key_id"],
        "fs.s3a.secret.key": OPERATOR["secret_access_key"],
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.endpoint.region": "us-east-1",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
        "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    }


@contextmanager
def way_to(
    endpoint: str,
    answer_lost: Callable[[int], bool] = lambda puts: False,
    throttled: Callable[[int], bool] = lambda requests: False,
    lost: Callable[[str, str], bool] = lambda method, path: False,
) -> Iterator[tuple[str, list[int]]]:
    """A way to S3 on which the answers to some PUTs are lost, by their number, from 1; some requests never arrive and
    are answered with SlowDown, by theirs; and some are lost, by method and path.

    Yields its URL, and the status codes with which PUTs are answered.
    """
    answers: list[int] = []
    requests = itertools.count(1)

    class Passage(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if lost(self.command, self.path):
                self.close_connection = True
                return
            if throttled(next(requests)):
                status, headers, content = 503, {"Content-Type": "application/xml"}, SLOW_DOWN
            else:
                status, headers, content = self.answer(body)
            if self.command == "PUT":
                answers.append(status)
                if answer_lost(len(answers)):
                    self.close_connection = True
                    return
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            there = HTTPConnection(urlsplit(endpoint).netloc)
            there.request(self.command, self.path, body, dict(self.headers.items()))
            answer = there.getresponse()
            content = answer.read()
            there.close()
            headers = {name: value for name, value in answer.getheaders() if name.lower() != "transfer-encoding"}
            return answer.status, headers, content

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Passage) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", answers
        finally:
            server.shutdown()


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"The gateway did not come up:\n{log.read_text()[-2000:]}")
