"""How fast EMR's API answers with a big history: the local control plane beside moto's server, as a Markdown table.

    .drydock/envs/workspace/bin/python bench/emr_api.py --moto .drydock/envs/bench/bin/moto_server

`make bench` runs it, and makes the environment with moto first. Both servers get the same history by the same API:
clusters with 25 steps each, all of them ended. Then clients ask for the steps and clusters of that history:

- polling: each asks every `--interval` seconds, as programs do that wait for a step; what counts is how long one waits;
- as fast as they can: each asks again at once; what counts is how many requests a second there are.

Requests go to the servers themselves, past the gateway, and are signed as each of the two wants it. The memory is that
of the server's process after everything (resident set).
"""

import argparse
import hashlib
import json
import os
import platform
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import psutil

STEPS_IN_A_CLUSTER = 25
START_SECONDS = 60
ACCOUNT_ID, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True)
class Server:
    """A running server of EMR's API."""

    name: str
    port: int
    process: psutil.Process
    authorization: Callable[[str, bytes], str]

    def client(self) -> "Client":
        return Client(self)

    @property
    def memory_mib(self) -> float:
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in processes) / 2**20


class Client:
    """One connection, kept as long as the server keeps it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(self, operation: str, **document: Any) -> dict[str, Any]:
        """The answer. Raises RuntimeError for any that is not 200."""
        target, body = f"ElasticMapReduce.{operation}", json.dumps(document).encode()
        headers = {
            "X-Amz-Target": target,
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": self._server.authorization(target, body),
        }
        try:
            self._connection.request("POST", "/", body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (HTTPException, OSError):
            self._connection.close()
            raise
        if response.status != 200:
            raise RuntimeError(f"{self._server.name} answered {response.status} to {operation}: {content[:300]!r}")
        answer: dict[str, Any] = json.loads(content or b"{}")
        return answer

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Result:
    """Of one load on one server."""

    server: str
    load: str
    seconds: float
    latencies_seconds: Sequence[float]
    errors: int

    def row(self, memory_mib: float) -> str:
        percentiles = statistics.quantiles(self.latencies_seconds, n=100)
        p50, p99 = (1000 * percentiles[index] for index in (49, 98))
        rate = len(self.latencies_seconds) / self.seconds
        return (
            f"| {self.server} | {self.load} | {p50:.1f} | {p99:.1f} | {rate:.0f} | {self.errors} | {memory_mib:.0f} |"
        )


def main() -> None:
    arguments = _arguments()
    history = f"{arguments.clusters} clusters, {arguments.clusters * STEPS_IN_A_CLUSTER:,} steps"
    print(f"{machine()}; {history}; load average {os.getloadavg()[0]:.1f} at first.\n")
    print("| server | load | p50 ms | p99 ms | requests/s | errors | memory MiB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
        with control_plane(Path(folder)) as server:
            measure(server, arguments)
        if arguments.moto:
            with moto(arguments.moto, Path(folder)) as server:
                measure(server, arguments)


def machine() -> str:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores, {processor}, Python {platform.python_version()}"


def measure(server: Server, arguments: argparse.Namespace) -> None:
    """Fill the server with a history, then print a row for each load."""
    steps = make_history(server, arguments.clusters)
    clients: int = arguments.clients

    def describe_step(client: Client) -> None:
        cluster_id, step_id = random.choice(steps)
        client.ask("DescribeStep", ClusterId=cluster_id, StepId=step_id)

    def list_clusters(client: Client) -> None:
        client.ask("ListClusters")

    loads: tuple[tuple[str, Callable[[Client], None], float], ...] = (
        (f"{clients} poll DescribeStep", describe_step, arguments.interval),
        (f"{clients} poll ListClusters", list_clusters, arguments.interval),
        (f"{clients} ask DescribeStep as fast as they can", describe_step, 0.0),
    )
    for load, ask, interval_seconds in loads:
        result = under_load(server, load, ask, clients, arguments.seconds, interval_seconds)
        print(result.row(server.memory_mib), flush=True)


def make_history(server: Server, clusters: int) -> list[tuple[str, str]]:
    """Ended clusters, each with its steps; the ids of all (cluster, step)."""
    client = server.client()
    jar = {"Jar": "command-runner.jar", "Args": ["true"]}
    steps = [
        {"Name": f"step {i}", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar} for i in range(STEPS_IN_A_CLUSTER)
    ]
    group = {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Name": "master"}
    found = []
    for number in range(clusters):
        cluster_id = client.ask(
            "RunJobFlow",
            Name=f"cluster {number}",
            ReleaseLabel="emr-7.13.0",
            ServiceRole="service-role",
            JobFlowRole="instance-profile",
            Instances={"InstanceGroups": [group], "KeepJobFlowAliveWhenNoSteps": True},
            Steps=steps,
        )["JobFlowId"]
        listed = client.ask("ListSteps", ClusterId=cluster_id)["Steps"]
        found += [(cluster_id, step["Id"]) for step in listed]
        client.ask("TerminateJobFlows", JobFlowIds=[cluster_id])
    client.close()
    if len(found) != clusters * STEPS_IN_A_CLUSTER:
        raise RuntimeError(f"{server.name} lists {len(found)} steps, {clusters * STEPS_IN_A_CLUSTER} were submitted.")
    return found


def under_load(
    server: Server, load: str, ask: Callable[[Client], None], clients: int, seconds: float, interval_seconds: float
) -> Result:
    """Have that many clients ask for that long, beginning at different moments of the interval."""
    latencies: list[float] = []
    failed: list[Exception] = []
    began = time.monotonic()
    end = began + seconds

    def run() -> None:
        client = server.client()
        due = time.monotonic() + random.random() * interval_seconds
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            asked = time.monotonic()
            try:
                ask(client)
            except (HTTPException, OSError, RuntimeError) as error:
                failed.append(error)
            else:
                latencies.append(time.monotonic() - asked)
            due = max(due + interval_seconds, time.monotonic())
        client.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) < 2:
        raise RuntimeError(f"{server.name} answered {len(latencies)} requests under load: {failed[:1]}")
    return Result(server.name, load, time.monotonic() - began, latencies, len(failed))


@contextmanager
def control_plane(folder: Path) -> Iterator[Server]:
    """The local EMR's control plane, with a database of its own and no nodes."""
    secret = secrets.token_urlsafe(40)
    for name in ("gateway", "node", "console"):
        (folder / name).write_text(secret)
    with _service_sessions() as gateway_port:
        port = _free_port()
        environment = {
            "EMR_LISTEN": f"127.0.0.1:{port}",
            "EMR_DATABASE_URL": f"sqlite:///{folder}/emr.db",
            "DRYDOCK_GATEWAY_URL": f"http://127.0.0.1:{gateway_port}",
            "DRYDOCK_GATEWAY_SECRET_FILE": str(folder / "gateway"),
            "DRYDOCK_NODE_SECRET_FILE": str(folder / "node"),
            "EMR_CONSOLE_TOKEN_FILE": str(folder / "console"),
        }

        def authorization(target: str, body: bytes) -> str:
            """As the gateway passes a caller's request on."""
            now = int(time.time())
            claims = {
                "iss": "gateway",
                "aud": "emr",
                "sub": f"arn:aws:iam::{ACCOUNT_ID}:root",
                "account": ACCOUNT_ID,
                "region": REGION,
                "target": target,
                "iat": now,
                "exp": now + 30,
                "body_sha256": hashlib.sha256(body).hexdigest(),
            }
            return f"Bearer {jwt.encode(claims, secret, 'HS256')}"

        command = [sys.executable, "-m", "drydock_emr"]
        with _running("local EMR", command, environment, port, authorization, folder / "emr.log") as server:
            yield server


@contextmanager
def moto(program: Path, folder: Path) -> Iterator[Server]:
    """moto's server, which takes any signature of the service's name."""
    port = _free_port()

    def authorization(_target: str, _body: bytes) -> str:
        scope = f"{time.strftime('%Y%m%d')}/{REGION}/elasticmapreduce/aws4_request"
        return f"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/{scope}, SignedHeaders=host, Signature={'0' * 64}"

    command = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    with _running("moto", command, {}, port, authorization, folder / "moto.log") as server:
        yield server


@contextmanager
def _running(
    name: str,
    command: list[str],
    environment: dict[str, str],
    port: int,
    authorization: Callable[[str, bytes], str],
    log_file: Path,
) -> Iterator[Server]:
    with (
        log_file.open("wb") as log,
        subprocess.Popen(command, env={"PATH": os.defpath, **environment}, stdout=log, stderr=log) as process,
    ):
        try:
            server = Server(name, port, psutil.Process(process.pid), authorization)
            deadline = time.monotonic() + START_SECONDS
            while not _answers(server):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not answer:\n{log_file.read_text()}")
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()


def _answers(server: Server) -> bool:
    client = server.client()
    try:
        client.ask("ListClusters")
    except OSError:
        return False
    finally:
        client.close()
    return True


@contextmanager
def _service_sessions() -> Iterator[int]:
    """In the gateway's place: grants every role, so that clusters are accepted. Yields its port."""

    class Grant(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            role = asked.get("role") or asked.get("instance_profile")
            session = {
                "AccessKeyId": "LSIAEXAMPLE",
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": "2100-01-01T00:00:00Z",
                "RoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/{role}",
            }
            content = json.dumps(session).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Grant)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--moto", type=Path, help="moto's server; without it only the local EMR is measured")
    parser.add_argument("--clusters", type=int, default=200, help=f"of {STEPS_IN_A_CLUSTER} steps each")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two looks of a polling client")
    return parser.parse_args()


if __name__ == "__main__":
    main()
