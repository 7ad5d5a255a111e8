"""What surrounds a node in its tests: a real gateway, a way to it that can be shut, a double of the control plane."""

import gzip
import io
import json
import select
import socket
import socketserver
import threading
import weakref
import zipfile
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from drydock import aws
from drydock.settings import Paths, Ports
from drydock_emr.node_protocol import Assignment, Daemons, InstanceGroup, Report
from tests.running import free_port

PATHS = Paths()
HOLD_SECONDS = 2.0
BUCKET = "node-tests"
LOG_PUSH_SECONDS = 0.3
NODE_SECRET = "node-secret-of-the-tests-0123456789"
SPARK_SECRET = "spark-secret-of-the-tests-0123456789"
PRIMARY = InstanceGroup(
    group_id="ig-1",
    name="Primary",
    role="MASTER",
    market="ON_DEMAND",
    instance_type="m5.xlarge",
    requested_count=1,
)


class ControlPlane:
    """Holds each node's assignment and last report; the tests are its mind."""

    def __init__(self, credentials: dict[str, str]) -> None:
        self.credentials = credentials
        self.reports: dict[str, Report] = {}
        self.syncs = 0
        self._assignments: dict[str, Assignment] = {}
        self._changed = threading.Condition()
        self.port = free_port()
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._server: ThreadingHTTPServer | None = None
        self.come()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def assignment(self, node: str) -> Assignment:
        return self._assignments.get(node) or Assignment(version=0, tenancy=1, daemons=Daemons())

    def assign(self, node: str, **changes: Any) -> None:
        """Change what is asked of a node."""
        with self._changed:
            present = self.assignment(node)
            self._assignments[node] = present.model_copy(update={**changes, "version": present.version + 1})
            self._changed.notify_all()

    def sync(self, report: Report) -> Assignment:
        with self._changed:
            self.syncs += 1
            self.reports[report.node] = report
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.assignment(report.node).version != report.seen_version, HOLD_SECONDS)
            return self.assignment(report.node)

    def come(self) -> None:
        """Answer on its port."""
        control_plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                report = Report.model_validate_json(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(200, control_plane.sync(report).model_dump_json().encode())

            def do_GET(self) -> None:
                node = parse_qs(urlsplit(self.path).query)["node"][0]
                serves = control_plane.reports.get(node)
                if serves is None or serves.cluster_id is None:
                    self._answer(404, b'{"error": "the node serves no cluster"}')
                else:
                    self._answer(200, json.dumps(control_plane.credentials).encode())

            def _answer(self, status: int, body: bytes) -> None:
                if self.headers["Authorization"] != f"Bearer {NODE_SECRET}":
                    status, body = 401, b"{}"
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the node had news and sent another request

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[socket.socket, Any]:
                connection, address = super().get_request()
                control_plane._connections.add(connection)
                return connection, address

            def handle_error(self, *_: Any) -> None:
                pass  # aborted requests are part of the protocol

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def leave(self) -> None:
        """Be away: connections are refused, and those that were kept open break."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Gateway:
    """A running gateway, with one bucket, and the session of a role that the nodes' programs act as."""

    def __init__(self, paths: Paths, ports: Ports) -> None:
        self.port = ports.gateway
        self.url = ports.gateway_url
        self._client = partial(aws.operator_client, paths=paths, ports=ports)
        self.s3 = self._client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.session = self._assume_role()

    def put(self, key: str, text: str) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        return f"s3://{BUCKET}/{key}"

    def put_jar(self, key: str, *, main_class: str | None = None, **files: str) -> str:
        """A jar without classes: of a class that is on the class path it can say that it is its main class."""
        manifest = "Manifest-Version: 1.0\n" + (f"Main-Class: {main_class}\n" if main_class else "")
        with io.BytesIO() as packed:
            with zipfile.ZipFile(packed, "w") as jar:
                for name, text in {"META-INF/MANIFEST.MF": manifest, **files}.items():
                    jar.writestr(name, text)
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def log(self, key: str) -> str:
        """A delivered log, unpacked; empty while there is none."""
        return self.log_bytes(key).decode()

    def log_bytes(self, key: str) -> bytes:
        try:
            body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return b""
        return gzip.decompress(body)

    def _assume_role(self) -> dict[str, str]:
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        }
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam = self._client("iam")
        role = iam.create_role(RoleName="node-tests", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="node-tests", PolicyName="all", PolicyDocument=json.dumps(everything))
        session = self._client("sts").assume_role(RoleArn=role, RoleSessionName="node-tests")["Credentials"]
        return {
            "AccessKeyId": session["AccessKeyId"],
            "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"],
            "Expiration": session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "RoleArn": role,
        }


class Door:
    """A way to the gateway that can be shut: connections are then refused, and those that were open break."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway_port = gateway.port
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: socketserver.ThreadingTCPServer | None = None
        self.open()

    def open(self) -> None:
        door = self

        class Passage(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", door._gateway_port)) as gateway:
                    others = {self.request: gateway, gateway: self.request}
                    while door._server is self.server:
                        for source in select.select(others, (), (), 0.1)[0]:
                            try:
                                data = source.recv(1 << 16)
                                others[source].sendall(data)
                            except OSError:
                                return
                            if not data:
                                return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self.port), Passage)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()  # waits for those who pass, who notice soon
