"""kestra-role's credentials on loopback: real SDKs find them, nobody else does, and they are renewed."""

import json
import os
import stat
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError

import botocore.session
import pytest
from botocore.exceptions import ClientError

from drydock import aws
from drydock.errors import ServiceFailed
from drydock.on_aws import role_credentials
from drydock.on_aws.role_credentials import Served

ROLE = "arn:aws:iam::123456789012:role/acme-kestra-role"


class Sts:
    """Gives sessions that last so long, numbered."""

    def __init__(self) -> None:
        self.lasting = timedelta(hours=1)
        self.given = 0
        self.refuses = False
        self.refuses_first = 0

    def assume_role(self, **asked: str) -> dict[str, object]:
        assert asked == {"RoleArn": ROLE, "RoleSessionName": "drydock-driver"}
        self.refuses_first -= 1
        if self.refuses or self.refuses_first >= 0:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "AssumeRole")
        self.given += 1
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{self.given}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": datetime.now(UTC) + self.lasting,
            }
        }


@pytest.fixture
def sts() -> Sts:
    return Sts()


@pytest.fixture
def account(sts: Sts) -> SimpleNamespace:
    caller = aws.CallersAccount(botocore.session.Session(), "us-east-1")
    return SimpleNamespace(client=lambda _: sts, explained=caller.explained)


@pytest.fixture
def served(account: SimpleNamespace, tmp_path: Path) -> Iterator[Served]:
    with role_credentials.served(account, ROLE, tmp_path) as served:
        yield served
    assert list(tmp_path.iterdir()) == []


def ask(served: Served, token: str | None = None, **headers: str) -> dict[str, str]:
    token = served.token_file.read_text() if token is None else token
    request = urllib.request.Request(served.uri, headers={"Authorization": token, **headers})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
        found: dict[str, str] = json.load(answer)
    return found


def test_an_sdk_finds_the_role_and_nothing_of_the_callers(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in served.environment().items():
        monkeypatch.setenv(name, value)
    credentials = botocore.session.Session().get_credentials()
    assert credentials is not None
    assert (credentials.method, credentials.access_key, credentials.token) == ("container-role", "ASIA1", "token")


def test_the_token_is_its_owners_alone(served: Served) -> None:
    assert stat.S_IMODE(served.token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.token_file.parent.stat().st_mode) == 0o700
    assert served.token_file.read_text() not in served.uri


@pytest.mark.parametrize("refused", [{"token": ""}, {"token": "guessed"}, {"Host": "attacker.example"}])
def test_others_are_told_nothing(refused: dict[str, str], served: Served) -> None:
    with pytest.raises(HTTPError) as error:
        ask(served, **refused)
    assert error.value.code == 403
    assert "ASIA" not in error.value.read().decode()


def test_a_session_is_kept_until_it_nears_its_end(served: Served, sts: Sts) -> None:
    assert [ask(served)["AccessKeyId"] for _ in range(3)] == ["ASIA1"] * 3
    assert sts.given == 1


def test_a_session_that_nears_its_end_is_renewed(account: SimpleNamespace, sts: Sts, tmp_path: Path) -> None:
    sts.lasting = timedelta(minutes=10)
    with role_credentials.served(account, ROLE, tmp_path) as served:
        assert [ask(served)["AccessKeyId"] for _ in range(2)] == ["ASIA2", "ASIA3"]
        sts.refuses = True
        with pytest.raises(HTTPError) as error:
            ask(served)
        assert (error.value.code, "AccessDenied" in error.value.read().decode()) == (502, True)


def test_a_role_that_is_refused_is_told_before_anything_begins(
    account: SimpleNamespace, sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_credentials, "SEEN_LATE_SECONDS", 0.0)
    sts.refuses = True
    with (
        pytest.raises(ServiceFailed, match=r"act as .*acme-kestra-role"),
        role_credentials.served(account, ROLE, tmp_path),
    ):
        pytest.fail("it began")
    assert list(tmp_path.iterdir()) == []


def test_a_role_that_iam_tells_of_late_is_waited_for(
    sts: Sts, account: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_credentials, "POLL_SECONDS", 0.0)
    sts.refuses_first = 3
    with role_credentials.served(account, ROLE, tmp_path) as served:
        assert ask(served)["AccessKeyId"] == "ASIA1"
