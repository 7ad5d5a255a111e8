"""The gateway as a process: how it starts, where its files go, what it logs, how it ends."""

import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .rig import PYTHON, Gateway, Process, Recorder, make_gateway


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
    assert log.count("ElasticMapReduce.ListClusters") == 1
    assert "GET / => 403 (SignatureDoesNotMatch)" in log
    for secret in (unreachable.secret, unreachable.operator["secret_access_key"], "X-Amz-Signature"):
        assert secret not in log

    assert stray_files() == strays
    left = {path.relative_to(unreachable.home).parts[0] for path in tmp_path.rglob("*")}
    assert left == {"data", "gateway.log", "gateway.secret", "operator.json"}


def stray_files() -> set[Path]:
    """Where LocalStack puts files when it is not told otherwise."""
    places = ("/tmp/localstack", "/tmp/localstack-s3-storage", "/var/lib/localstack")
    return {path for place in places for path in Path(place).rglob("*")}


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "curl"))),
    reason="needs root, unshare, ip and curl to cut the network",
)
def test_it_starts_without_a_network(unreachable: Gateway) -> None:
    """In a network namespace with nothing but loopback; curl asks for its health from inside."""
    script = (
        "ip link set lo up && { $PYTHON -m localstack.runtime.main & } && "
        f"for _ in $(seq 300); do curl -sf {unreachable.url}/_localstack/health && kill $! && exit 0; sleep 0.1; done; "
        "kill $!; exit 1"
    )
    data = unreachable.home / "data"
    for folder in ("tmp", "cache", "config", "files"):
        (data / folder).mkdir(parents=True)
    run = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script],
        env={**unreachable.environment, "PATH": os.environ["PATH"], "PYTHON": str(PYTHON)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"emr": "running"' in run.stdout


BROKEN: dict[str, tuple[Callable[[Gateway, dict[str, str]], object], str]] = {
    "no key file": (
        lambda _gateway, environment: environment.pop("DRYDOCK_OPERATOR_KEY_FILE"),
        "DRYDOCK_OPERATOR_KEY_FILE is not set",
    ),
    "key file gone": (
        lambda gateway, _environment: (gateway.home / "operator.json").unlink(),
        "operator.json cannot be read: No such file or directory.",
    ),
    "no key in it": (
        lambda gateway, _environment: (gateway.home / "operator.json").write_text(json.dumps({"access_key_id": "A"})),
        "does not hold an operator's key",
    ),
    "short secret": (
        lambda gateway, _environment: (gateway.home / "gateway.secret").write_text("short"),
        "has 5 bytes; it needs 32",
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
