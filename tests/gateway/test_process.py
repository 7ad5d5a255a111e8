"""The gateway as a process: how it starts, where its files go, what it logs, how it ends."""

import json
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .rig import OPERATOR_ARN, PYTHON, Gateway, Process, Recorder, make_gateway


@contextmanager
def started(gateway: Gateway) -> Iterator[Process]:
    process = Process(gateway)
    process.start()
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.stop()


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose control plane's port is held, and nobody listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        recorder = Recorder(secrets.token_urlsafe(48))
        recorder.server_close()
        recorder.server_port = held.getsockname()[1]
        yield make_gateway(tmp_path, recorder)


def test_a_life(unreachable: Gateway, tmp_path: Path) -> None:
    """One start for all that needs a gateway of its own."""
    strays = stray_files()
    with started(unreachable) as process:
        s3 = unreachable.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="large", Body=b"x" * (3 << 20))
        url = unreachable.client("s3", signature_version="s3v4").generate_presigned_url(
            "get_object", Params={"Bucket": "bucket", "Key": "large"}
        )
        assert unreachable.send("GET", url.removeprefix(unreachable.url)).status == 200
        for service, operation in (("iam", "list_roles"), ("sts", "get_caller_identity"), ("ec2", "describe_vpcs")):
            getattr(unreachable.client(service), operation)()

        with pytest.raises(ClientError, match="the EMR control plane cannot be reached") as caught:
            unreachable.client("emr").list_clusters()
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        with pytest.raises(ClientError):
            unreachable.client("s3", unreachable.credentials(secret_key="guessed-secret")).list_buckets()
        assert process.stop() < 5
        assert process.popen.returncode == 0

    log = unreachable.log.read_text()
    assert "WARN" not in log
    assert "ERROR" not in log
    assert "Traceback" not in log
    assert log.count("s3.PutObject") == 1
    assert f"s3.PutObject /bucket/large => 200, {OPERATOR_ARN}" in log
    assert f"s3.GetObject /bucket/large => 200, {OPERATOR_ARN}" in log
    assert f"iam.ListRoles => 200, {OPERATOR_ARN}" in log
    assert log.count("ElasticMapReduce.ListClusters") == 1
    assert "GET / => 403 (SignatureDoesNotMatch)" in log
    for secret in (unreachable.secret, unreachable.operator["secret_access_key"], "X-Amz-Signature"):
        assert secret not in log

    assert stray_files() == strays
    left = {path.relative_to(unreachable.home).parts[0] for path in tmp_path.rglob("*")}
    assert left == {"data", "gateway.log", "secrets"}


def stray_files() -> set[Path]:
    """Where LocalStack puts files when it is not told otherwise."""
    places = ("/tmp/localstack", "/tmp/localstack-s3-storage", "/var/lib/localstack")
    return {path for place in places for path in Path(place).rglob("*")}


NO_NETWORK = """
import errno, os, socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # else a unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if not host or host in ("localhost", "::1", "0.0.0.0", "::") or host.startswith("127."):
        return
    with open(os.environ["NETWORK_ATTEMPTS"], "a") as attempts:
        attempts.write(f"{event} {host}\\n")
    if event.startswith("socket.get"):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    raise OSError(errno.ENETUNREACH, "Network is unreachable")

sys.addaudithook(refuse)
"""


def test_it_starts_and_works_without_a_network(
    unreachable: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever in the process reaches for more than loopback finds no network, and is written down."""
    attempts = tmp_path / "attempts"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    seen = {"PYTHONPATH": str(tmp_path / "site"), "NETWORK_ATTEMPTS": str(attempts)}
    for name, written in (("localhost", ""), ("example.com", "socket.getaddrinfo example.com\n")):
        attempts.write_text("")
        probe = [PYTHON, "-c", f"import socket; socket.getaddrinfo({name!r}, 80)"]
        subprocess.run(probe, env=seen, capture_output=True, check=False)
        assert attempts.read_text() == written
    attempts.write_text("")
    environment = {**unreachable.environment, **seen}
    monkeypatch.setattr(Gateway, "environment", property(lambda _: environment))
    with started(unreachable):
        s3 = unreachable.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=b"body")
        assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"body"
    # LocalStack asks whether its own public name for S3 leads somewhere, and goes on without an answer.
    assert set(attempts.read_text().splitlines()) <= {"socket.gethostbyname s3.localhost.localstack.cloud"}


BROKEN: dict[str, tuple[Callable[[Gateway, dict[str, str]], object], str]] = {
    "no key file": (
        lambda _gateway, environment: environment.pop("DRYDOCK_OPERATOR_KEY_FILE"),
        "DRYDOCK_OPERATOR_KEY_FILE is not set",
    ),
    "key file gone": (
        lambda gateway, _environment: gateway.secret_files.operator_key.unlink(),
        "operator.json cannot be read: No such file or directory.",
    ),
    "no key in it": (
        lambda gateway, _environment: gateway.secret_files.operator_key.write_text(json.dumps({"access_key_id": "A"})),
        "does not hold an operator's key",
    ),
    "short secret": (
        lambda gateway, _environment: gateway.secret_files.gateway.write_text("short"),
        "has 5 bytes; it needs 32",
    ),
    "no role": (
        lambda _gateway, environment: environment.pop("DRYDOCK_ORCHESTRATOR_ROLE"),
        "DRYDOCK_ORCHESTRATOR_ROLE is not set",
    ),
    "no token": (
        lambda gateway, _environment: gateway.secret_files.orchestrator_token.unlink(),
        "orchestrator.token cannot be read: No such file or directory.",
    ),
    "no URL": (
        lambda _gateway, environment: environment.update(DRYDOCK_EMR_URL="127.0.0.1:8088"),
        "DRYDOCK_EMR_URL is '127.0.0.1:8088'; it has to be",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "server"), [*((name, "drydock") for name in BROKEN), ("no key file", "twisted")])
def test_it_does_not_start_half_configured(unreachable: Gateway, name: str, server: str) -> None:
    """Nor with LocalStack's own server: whichever is configured, it is the guarded one that serves."""
    damage, sentence = BROKEN[name]
    environment = {**unreachable.environment, "GATEWAY_SERVER": server}
    damage(unreachable, environment)
    run = subprocess.run(
        [PYTHON, "-m", "localstack.runtime.main"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert sentence in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_a_port_that_is_taken(unreachable: Gateway) -> None:
    with socket.create_server(("127.0.0.1", unreachable.port)):
        run = subprocess.run(
            [PYTHON, "-m", "localstack.runtime.main"],
            env=unreachable.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 1
    assert f"cannot listen on 127.0.0.1:{unreachable.port}: Address already in use." in run.stdout
    assert "Traceback" not in run.stdout + run.stderr
