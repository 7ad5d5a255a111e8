"""How programs are told of the gateway, and what the user is told when it does not do what it was asked to."""

import socket
import stat
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import ClientError

from drydock import aws, secrets, settings
from drydock.errors import ServiceFailed


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    paths = settings.Paths(tmp_path)
    secrets.ensure(paths)
    return paths


def test_a_started_program_finds_the_gateway_and_the_key_and_nothing_of_the_user_s_own(
    paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    key = secrets.operator_key(paths)
    with aws.operator_environment(paths, settings.Ports(offset=0), paths.home / "private") as variables:
        assert not [name for name, value in variables.items() if key.secret_access_key in value]
        file = Path(variables["AWS_SHARED_CREDENTIALS_FILE"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        session = botocore.session.Session()
        found = session.get_credentials()
        assert (found.access_key, found.secret_key) == (key.access_key_id, key.secret_access_key)
        client = session.create_client("s3")
        assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:4566", "us-east-1")
    assert list((paths.home / "private").iterdir()) == []


def test_a_gateway_that_is_away_is_a_sentence(paths: settings.Paths) -> None:
    with socket.socket() as held:  # bound, and nobody listens
        held.bind((settings.LOOPBACK, 0))
        ports = settings.Ports(offset=held.getsockname()[1] - 4566)
        s3 = aws.operator_client("s3", paths, ports, attempts=1)
        with pytest.raises(ServiceFailed) as failure, aws.explained(ports, "list its buckets"):
            s3.list_buckets()
    assert str(failure.value).startswith(
        f"The gateway at {ports.gateway_url} does not answer when asked to list its buckets: "
    )


def test_a_refusal_is_a_sentence() -> None:
    refusal = ClientError({"Error": {"Code": "AccessDenied", "Message": "Not for you"}}, "ListBuckets")
    with pytest.raises(ServiceFailed) as failure, aws.explained(settings.Ports(offset=0), "list its buckets"):
        raise refusal
    assert str(failure.value) == (
        "The gateway refuses to list its buckets: "
        "An error occurred (AccessDenied) when calling the ListBuckets operation: Not for you."
    )
