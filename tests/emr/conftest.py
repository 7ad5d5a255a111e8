"""A real control plane on a port of its own, with doubles for what stands around it: the gateway's part (who the caller
is, which roles may be assumed) and nodes that speak the protocol but run nothing."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import boto3
import httpx
import jwt
import pytest
import uvicorn
from botocore.config import Config as BotoConfig
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from drydock_emr import app
from drydock_emr.config import Config
from drydock_emr.node_protocol import Assignment, LeaseReport, LeaseState, NodeFailure, Phase, Report
from tests import postgres, running
from tests.postgres import PostgresServer
from tests.running import free_port

GATEWAY_SECRET = "gateway-secret-of-the-tests-0123456789"
NODE_SECRET = "node-secret-of-the-tests-0123456789"
ACCOUNT_ID = "000000000000"
NO_TLS = False  # nothing here is encrypted, and to read the authorities' certificates takes long
SESSION = boto3.Session()  # one for all tests: it keeps the service's model, which takes long to read


wait_for = partial(running.wait_for, seconds=10, pause=0.01)


class Server:
    """An ASGI application under uvicorn in a thread."""

    def __init__(self, application: Any, port: int) -> None:
        config = uvicorn.Config(application, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server.started, "the server to listen")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@dataclass
class GatewayDouble:
    """Grants sessions of the instance profiles it is told to know."""

    # instance profile: the role in it
    instance_profiles: dict[str, str] = field(
        default_factory=lambda: {"emr_instance_profile": "emr_instance_profile", "misnamed": "another_role"}
    )
    roles: set[str] = field(default_factory=lambda: {"emr-service-role"})
    refused: set[str] = field(default_factory=set)
    vpcs_of_subnets: dict[str, str] = field(default_factory=lambda: {"subnet-1": "vpc-1"})
    vpcs_of_groups: dict[str, str] = field(default_factory=lambda: {"sg-1": "vpc-1", "sg-2": "vpc-1", "sg-9": "vpc-9"})
    is_away: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def service_session(self, request: Request) -> Response:
        body = await request.body()
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, GATEWAY_SECRET, ["HS256"], audience="gateway", issuer="emr")
        assert claims["body_sha256"] == hashlib.sha256(body).hexdigest()
        asked = json.loads(body)
        self.requests.append(asked)
        if self.is_away:
            return JSONResponse({"error": "ServiceUnavailable", "message": "away"}, 503)
        name = asked.get("role") or self.instance_profiles.get(asked["instance_profile"])
        if name is None or ("role" in asked and name not in self.roles):
            return JSONResponse({"error": "NoSuchEntity", "message": f"The role {name} cannot be found."}, 404)
        if name in self.refused:
            return JSONResponse({"error": "AccessDenied", "message": f"{name} does not trust the service"}, 403)
        return JSONResponse(
            {
                "AccessKeyId": "LSIAQAAAAAAAEXAMPLE0",
                "SecretAccessKey": "secret",
                "Token": "token",
                "Expiration": "2030-01-01T00:00:00Z",
                "RoleArn": f"arn:aws:iam::{asked['account_id']}:role/{name}",
            }
        )

    async def ec2(self, request: Request) -> Response:
        """DescribeSubnets and DescribeSecurityGroups, in EC2's XML."""
        form = parse_qs((await request.body()).decode())
        subnets = form["Action"] == ["DescribeSubnets"]
        known = self.vpcs_of_subnets if subnets else self.vpcs_of_groups
        asked = [values[0] for name, values in form.items() if name.startswith(("SubnetId.", "GroupId."))]
        for unknown in set(asked) - known.keys():
            kind = "InvalidSubnetID.NotFound" if subnets else "InvalidGroup.NotFound"
            message = f"The {'subnet ID' if subnets else 'security group'} '{unknown}' does not exist"
            error = f"<Error><Code>{kind}</Code><Message>{escape(message)}</Message></Error>"
            body = f"<Response><Errors>{error}</Errors></Response>"
            return Response(body, 400, media_type="text/xml")
        outer, inner = ("subnetSet", "subnetId") if subnets else ("securityGroupInfo", "groupId")
        items = "".join(f"<item><{inner}>{escape(i)}</{inner}><vpcId>{known[i]}</vpcId></item>" for i in asked)
        return Response(f"<r><{outer}>{items}</{outer}></r>", media_type="text/xml")

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/_drydock/service-sessions", self.service_session, methods=["POST"]),
                Route("/", self.ec2, methods=["POST"]),
            ]
        )


@dataclass
class Emr:
    """A running control plane."""

    url: str
    gateway: GatewayDouble
    restart: Callable[[], None]
    clients: list[Any] = field(default_factory=list)

    def client(self, account_id: str = ACCOUNT_ID, region: str = "us-east-1") -> Any:
        """A boto3 client whose requests arrive as the gateway would pass them on."""
        client = SESSION.client(
            "emr",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=BotoConfig(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

        def pass_on(request: Any, **_: Any) -> None:
            target = request.headers["X-Amz-Target"].decode()
            request.headers["Authorization"] = f"Bearer {caller_token(target, request.body, account_id, region)}"

        client.meta.events.register("before-send.emr", pass_on)
        self.clients.append(client)
        return client

    def send(self, operation: str, body: bytes) -> httpx.Response:
        """A raw request, as nobody's SDK would send it."""
        target = f"ElasticMapReduce.{operation}"
        return httpx.post(
            self.url,
            verify=NO_TLS,
            content=body,
            headers={
                "X-Amz-Target": target,
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": f"Bearer {caller_token(target, body)}",
            },
        )


def caller_token(
    target: str, body: bytes | str, /, account_id: str = ACCOUNT_ID, region: str = "us-east-1", **changed: Any
) -> str:
    """The gateway's token for a request, with these claims changed."""
    body = body.encode() if isinstance(body, str) else body
    now = int(time.time())
    claims = {
        "iss": "gateway",
        "aud": "emr",
        "sub": f"arn:aws:iam::{account_id}:root",
        "account": account_id,
        "region": region,
        "target": target,
        "iat": now,
        "exp": now + 30,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        **changed,
    }
    return jwt.encode(claims, GATEWAY_SECRET, "HS256")


@dataclass(frozen=True)
class Database:
    """An empty one; `password_file` is Postgres's."""

    url: str
    password_file: Path | None = None

    @property
    def password(self) -> str | None:
        return self.password_file.read_text() if self.password_file else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever uses a database is run on both; on Postgres with the long tests alone unless it is marked."""
    if "database" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("both_databases") is not None
        on_postgres = pytest.param("postgres", marks=() if marked else pytest.mark.full)
        metafunc.parametrize("database", ["sqlite", on_postgres], indirect=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with postgres.server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres_database(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Database:
    password_file = tmp_path_factory.mktemp("postgres") / "password"
    password_file.write_text(postgres.PASSWORD)
    return Database(postgres_server.new_database(), password_file)


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, shared_postgres_database: Database) -> Iterator[Database]:
    yield shared_postgres_database
    postgres_server.empty(shared_postgres_database.url)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "postgres":
        found: Database = request.getfixturevalue("postgres_database")
        return found
    return Database(f"sqlite:///{tmp_path}/emr.db")


@pytest.fixture
def provisioning_timeout_seconds() -> float:
    """How long a cluster waits for nodes that are not there. A test that waits for its end chooses its own."""
    return 600.0


@pytest.fixture
def emr(tmp_path: Path, database: Database, provisioning_timeout_seconds: float) -> Iterator[Emr]:
    for name, secret in (("gateway", GATEWAY_SECRET), ("node", NODE_SECRET), ("console", "console-token-0123456789")):
        (tmp_path / name).write_text(secret)
    gateway_port, emr_port = free_port(), free_port()
    gateway = GatewayDouble()
    gateway_server = Server(gateway.application(), gateway_port)
    config = Config(
        host="127.0.0.1",
        port=emr_port,
        database_url=database.url,
        gateway_url=f"http://127.0.0.1:{gateway_port}",
        gateway_secret_file=tmp_path / "gateway",
        node_secret_file=tmp_path / "node",
        console_token_file=tmp_path / "console",
        log_push_seconds=3,
        provisioning_timeout_seconds=provisioning_timeout_seconds,
        database_password_file=database.password_file,
    )
    servers = [Server(app.create(config), emr_port)]

    def restart() -> None:
        servers.pop().stop()
        servers.append(Server(app.create(config), emr_port))

    emr = Emr(f"http://127.0.0.1:{emr_port}", gateway, restart)
    yield emr
    for client in emr.clients:
        client.close()
    servers.pop().stop()
    gateway_server.stop()


class NodeDouble:
    """Speaks the node's side of the protocol; what it reports is up to the test."""

    def __init__(self, url: str, index: int) -> None:
        self.name = f"node-{index}"
        self.assignment: Assignment | None = None
        self.phase = Phase.PREPARING
        self.failure: NodeFailure | None = None
        self.exit_codes: dict[str, int] = {}
        self.bootstraps = True
        self._index = index
        headers = {"Authorization": f"Bearer {NODE_SECRET}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=15, trust_env=False, verify=NO_TLS)
        self._seen_version = -1
        self._tenancy = -1
        self._cluster_id: str | None = None
        self._leases: dict[str, LeaseReport] = {}

    def turn(self) -> Assignment:
        """Report, take the answer in, and do at once what it asks for."""
        response = self._http.post("/node/v1/sync", content=self.report().model_dump_json())
        response.raise_for_status()
        self.assignment = assignment = Assignment.model_validate(response.json())
        self._seen_version = -1  # never held: the tests drive time
        cluster_id = assignment.cluster.cluster_id if assignment.cluster else None
        if assignment.tenancy != self._tenancy or (cluster_id is None and self._cluster_id is not None):
            self._tenancy, self.phase, self.failure, self._leases = assignment.tenancy, Phase.IDLE, None, {}
        if cluster_id and self.phase is Phase.IDLE:
            self.phase = Phase.BOOTSTRAPPING
        elif cluster_id and self.phase is Phase.BOOTSTRAPPING and self.bootstraps:
            self.phase = Phase.READY
        self._cluster_id = cluster_id
        if self.phase is Phase.READY:
            self._run_leases(assignment)
        return assignment

    def report(self) -> Report:
        return Report(
            node=self.name,
            host=f"127.0.0.{10 + self._index}",
            rpc_port=7076 + self._index,
            ui_url=f"http://127.0.0.1:{8089 + self._index}",
            seen_version=self._seen_version,
            tenancy=self._tenancy,
            cluster_id=self._cluster_id,
            phase=self.phase,
            failure=self.failure,
            alive_workers=2,
            leases=tuple(self._leases.values()),
        )

    def credentials(self) -> httpx.Response:
        return self._http.get("/node/v1/credentials", params={"node": self.name})

    def close(self) -> None:
        self._http.close()

    def _run_leases(self, assignment: Assignment) -> None:
        """A step named in `exit_codes` ends with that code, one that is cancelled ends by a signal, others run on."""
        for lease in assignment.leases:
            state, exit_code, ended_at = LeaseState.RUNNING, None, None
            if lease.cancel:
                state, exit_code, ended_at = LeaseState.EXITED, -15, time.time()
            elif lease.name in self.exit_codes:
                state, exit_code, ended_at = LeaseState.EXITED, self.exit_codes[lease.name], time.time()
            known = self._leases.get(lease.step_id)
            self._leases[lease.step_id] = LeaseReport(
                step_id=lease.step_id,
                attempt=lease.attempt,
                state=state,
                started_at=known.started_at if known else time.time(),
                ended_at=ended_at,
                exit_code=exit_code,
            )


class Fleet:
    """Three nodes that take turns."""

    def __init__(self, url: str) -> None:
        self.nodes = [NodeDouble(url, i) for i in (1, 2, 3)]

    def turns(self, count: int = 4) -> None:
        for _ in range(count):
            for node in self.nodes:
                node.turn()

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Take turns until the condition holds."""
        wait_for(lambda: self.turns(1) or condition(), what)

    def start(self, client: Any, **changed: Any) -> str:
        """The id of a new cluster that has been provisioned and bootstrapped, or has ended without."""
        cluster_id = client.run_job_flow(**run_job_flow(**changed))["JobFlowId"]
        self.until(lambda: state_of(client, cluster_id) not in {"STARTING", "BOOTSTRAPPING"}, "a cluster that is up")
        return cluster_id


@pytest.fixture
def fleet(emr: Emr) -> Iterator[Fleet]:
    fleet = Fleet(emr.url)
    fleet.turns()
    yield fleet
    for node in fleet.nodes:
        node.close()


def run_job_flow(**changed: Any) -> dict[str, Any]:
    """RunJobFlow's input for one master and two cores, with these members changed."""
    instances = {
        "InstanceGroups": [
            {"Name": "Master", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
            {"Name": "Core", "InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 2},
        ],
        "KeepJobFlowAliveWhenNoSteps": True,
        **changed.pop("Instances", {}),
    }
    return {
        "Name": "a cluster",
        "ReleaseLabel": "emr-7.13.0",
        "Applications": [{"Name": "Spark"}],
        "ServiceRole": "emr-service-role",
        "JobFlowRole": "emr_instance_profile",
        "Instances": instances,
        **changed,
    }


def state_of(client: Any, cluster_id: str) -> str:
    return client.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]


def step(name: str, *args: str, on_failure: str | None = "CONTINUE") -> dict[str, Any]:
    config: dict[str, Any] = {
        "Name": name,
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(args) or ["true"]},
    }
    if on_failure:
        config["ActionOnFailure"] = on_failure
    return config
