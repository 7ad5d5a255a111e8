"""What reaches LocalStack and what does not: hosts, origins, internal paths, addresses."""

import json
import os
import shutil
import socket
import subprocess
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .rig import PYTHON, Gateway

OWN_HOSTS = ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "127.0.0.1", "[::1]:{port}", "gateway.test:{port}"]
FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "bucket.localhost:{port}",
    "localhost.localstack.cloud:{port}",
    "things.s3-website.localhost.localstack.cloud:{port}",
    "f.lambda-url.us-east-1.localhost.localstack.cloud",
    "169.254.169.254",
    "user@localhost",
    "",
    "[",
]  # fmt: skip
CLOSED = "are open, for reading"


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_own_hosts(gateway: Gateway, host: str) -> None:
    answer = gateway.send("GET", "/_localstack/health", {"Host": host.format(port=gateway.port)})
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/_localstack/health", "/", "/_drydock/service-sessions"])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_hosts(gateway: Gateway, host: str, path: str) -> None:
    host = host.format(port=gateway.port)
    if host == "user@localhost":
        host = "localhost@evil.example"
    answer = gateway.send("GET", path, {"Host": host})
    assert answer.status == 403
    assert answer.text.startswith("The gateway is not called")
    assert answer.headers["content-type"].startswith("text/plain")


def test_two_hosts(gateway: Gateway) -> None:
    hosts = [("Host", "localhost"), ("Host", "evil.example")]
    for pair in (hosts, hosts[::-1]):
        assert gateway.send("GET", "/_localstack/health", pair).status in (400, 403)


def test_absolute_target(gateway: Gateway) -> None:
    """What a client of a proxy sends; there is no reading of it on which Host and target could not differ."""
    answer = gateway.send("GET", "http://evil.example/_localstack/health", {"Host": "localhost"})
    assert (answer.status, answer.text.startswith("The request's target has to be a path")) == (400, True)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://evil.example", "null", "http://localhost:1", "http://localhost", "file://", ""],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_foreign_origins(gateway: Gateway, bucket: str, origin: str, method: str) -> None:
    answer = gateway.send(method, f"/{bucket}/key", {"Origin": origin})
    assert answer.status == 403
    assert "may not use the gateway" in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_signature_does_not_make_an_origin_ours(gateway: Gateway) -> None:
    headers = gateway.signed("GET", "/")
    assert gateway.send("GET", "/", headers).status == 200
    assert gateway.send("GET", "/", {**headers, "Origin": "http://evil.example"}).status == 403
    assert gateway.send("GET", "/", {**headers, "Origin": gateway.url}).status == 200


def test_referer_is_nobodys_origin(gateway: Gateway) -> None:
    """S3A writes an audit string there; a missing bucket has to be 404 nevertheless."""
    headers = gateway.signed("HEAD", "/no-such-bucket")
    headers["Referer"] = "https://audit.example.org/hadoop/1/op_exists/?principal=root"
    assert gateway.send("HEAD", "/no-such-bucket", headers).status == 404


def test_health_and_info_can_be_read(gateway: Gateway) -> None:
    services = json.loads(gateway.send("GET", "/_localstack/health").body)["services"]
    assert services["emr"] == "running"
    assert services["s3"] in ("available", "running")
    assert json.loads(gateway.send("GET", "/_localstack/info").body)["version"].startswith("4.12")
    assert gateway.send("HEAD", "/_localstack/health").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/_localstack/health", "/_localstack/info"])
def test_health_and_info_can_only_be_read(gateway: Gateway, path: str, method: str) -> None:
    answer = gateway.send(method, path, {"Content-Type": "application/json"}, b'{"action": "kill"}')
    assert (answer.status, CLOSED in answer.text) == (403, True)


SERVED = """
import json
from localstack.http.resources.swagger.plugins import register_swagger_endpoints
from localstack.services.edge import ROUTER
from localstack.services.internal import get_internal_apis
from localstack.services.plugins import SERVICE_PLUGINS
for service in ("s3", "iam", "sts", "ec2"):
    SERVICE_PLUGINS.require(service)
register_swagger_endpoints()
rules = [*ROUTER.url_map.iter_rules(), *get_internal_apis().url_map.iter_rules()]
print("\\n" + json.dumps(sorted({(rule.host, rule.rule) for rule in rules})))
"""


@pytest.fixture(scope="module")
def served(running: Gateway, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Host and path of all that LocalStack's routers serve, with our services loaded and all its switches on."""
    store = str(tmp_path_factory.mktemp("store"))  # the running gateway's is its own
    environment = {**running.environment, "DRYDOCK_GATEWAY_STORE": store, "DEBUG": "1", "ENABLE_CONFIG_UPDATES": "1"}
    run = subprocess.run(
        [PYTHON, "-c", SERVED], env=environment, cwd=running.home, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return [(host, path) for host, path in json.loads(run.stdout.strip().splitlines()[-1])]


def test_all_that_localstack_serves_beside_aws_is_closed(gateway: Gateway, served: list[tuple[str, str]]) -> None:
    assert ("<__host__>", "/_localstack/config") in served  # the listing sees what it should
    assert ("<__host__>", "/_localstack/diagnose") in served
    for host, rule in served:
        path = rule.replace("<stage>", "READY").replace("<path:path>", "any")
        # S3's websites are the only ones told apart by host.
        headers = {} if host == "<__host__>" else {"Host": "things.s3-website.localhost.localstack.cloud"}
        for method in ("GET", "POST", "PUT", "DELETE"):
            if method == "GET" and path in ("/_localstack/health", "/_localstack/info"):
                continue
            answer = gateway.send(method, path, headers)
            assert answer.status == 403, (method, host, path)
            if path.startswith("/_"):
                assert CLOSED in answer.text or headers, (method, host, path)


@pytest.mark.parametrize(
    "path",
    [
        "/_localstack",
        "/_localstack/",
        "/_localstack/state/s3/reset",
        "/_localstack/state/reset",
        "/_localstack/config",
        "/_localstack/diagnose",
        "/_localstack/init",
        "/_localstack/plugins",
        "/_localstack/usage",
        "/_localstack/swagger",
        "/_aws/execute-api/a/b",
        "/_aws/dynamodb/expired",
        "/_aws/ses",
        "/_aws/sqs/messages",
        "/_extension/any",
        "/_drydock/",
        "/_drydock/service-sessions",
        "/_unknown",
        "//_localstack/health",
        "/%5Flocalstack/health",
        "/%5flocalstack/config",
        "/%2F_localstack/config",
        "/_localstack/../_localstack/config",
    ],
)
def test_closed_paths(gateway: Gateway, path: str) -> None:
    answer = gateway.send("GET", path)
    assert (answer.status, CLOSED in answer.text) == (403, True)
    answer = gateway.send("GET", path, gateway.signed("GET", path))  # for the operator too
    assert (answer.status, CLOSED in answer.text) == (403, True)


@pytest.mark.parametrize("path", ["/things/_localstack/config", "/things/../_localstack/config", "/health"])
def test_other_paths_are_for_callers_only(gateway: Gateway, path: str) -> None:
    assert gateway.send("GET", path).status == 403


def test_localstacks_own_headers_are_not_believed(gateway: Gateway) -> None:
    """With them, LocalStack's parts tell each other who asks."""
    headers = gateway.signed("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "sts")
    internal = {"x-localstack-data": '{"service_principal": "ec2"}', "x-moto-account-id": "999999999999"}
    answer = gateway.send("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", {**headers, **internal})
    assert answer.status == 200
    assert "<Account>000000000000</Account>" in answer.text
    assert gateway.send("GET", "/", internal).status == 403


def test_websockets_are_refused(gateway: Gateway) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert gateway.send("GET", "/", upgrade).status in (400, 403)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl, which speaks HTTP/2")
@pytest.mark.parametrize(("host", "status"), [("localhost", "200"), ("evil.example", "403")])
def test_http_2_is_guarded_too(gateway: Gateway, host: str, status: str) -> None:
    command = ["curl", "--silent", "--http2-prior-knowledge", "--header", f"Host: {host}", "--output", os.devnull]
    command += ["--write-out", "%{http_version} %{http_code}", f"{gateway.url}/_localstack/health"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == f"2 {status}"


def test_a_path_writes_no_line_into_the_log(gateway: Gateway) -> None:
    gateway.send("GET", "/things/key%0AINFO%20forged")
    assert "\nINFO forged" not in gateway.log.read_text()


def test_service_that_is_not_served(gateway: Gateway) -> None:
    with pytest.raises(ClientError) as caught:
        gateway.client("sqs").list_queues()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_it_listens_on_one_address_only(gateway: Gateway) -> None:
    listening: list[Any] = []
    for address in ("127.0.0.1", "127.0.0.2", socket.gethostbyname(socket.gethostname())):
        with socket.socket() as client:
            client.settimeout(2)
            if client.connect_ex((address, gateway.port)) == 0:
                listening.append(address)
    assert set(listening) <= {"127.0.0.1"}
    assert listening
