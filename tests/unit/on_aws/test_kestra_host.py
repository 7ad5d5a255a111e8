"""Kestra's host: found or not, waited for, stopped; and the password that is made for it."""

import json
import re
from typing import Any

import pytest

from drydock import settings
from drydock.errors import NotRunning, RunFailed
from drydock.on_aws import kestra_host
from drydock.on_aws.kestra_host import Host

from .scripted_host import Ec2, Ssm
from .scripted_s3 import S3, site

HOST = Host("i-0123", "running", "t3.large")


def where(state: str | None = "running", ping: str | None = "Online", s3: S3 | None = None) -> Any:
    return site(ec2=Ec2(state), ssm=Ssm(ping), s3=s3 or S3())


def test_it_is_found_by_its_name() -> None:
    assert kestra_host.find(where()) == kestra_host.running(where(), "account 1") == HOST
    assert kestra_host.find(where(None)) is None
    assert kestra_host.find(where("terminated")) is None


@pytest.mark.parametrize(
    ("state", "ping", "message"),
    [
        (None, None, r"There is no host for Kestra in account 1\. `kestra_host = \{\}` in .*aws\.tfvars"),
        ("stopped", None, r"i-0123 is stopped\. `aws ec2 start-instances --instance-ids i-0123` starts it"),
        ("running", None, r"does not reach Kestra's host i-0123 \(unknown\)"),
        ("running", "ConnectionLost", r"\(ConnectionLost\)"),
    ],
)
def test_one_that_cannot_be_reached_is_a_sentence(state: str | None, ping: str | None, message: str) -> None:
    with pytest.raises(NotRunning, match=message):
        kestra_host.running(where(state, ping), "account 1")


class TestAwait:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kestra_host, "POLL_SECONDS", 0.0)

    @staticmethod
    def saying(bundle: str, state: str, *said: str, host: str = HOST.instance_id) -> bytes:
        at = "2026-01-15T10:00:00+00:00"
        document = {"instance_id": host, "bundle": bundle, "state": state, "at": at, "said": said}
        return json.dumps(document).encode()

    def test_it_says_that_it_runs_what_was_deployed(self) -> None:
        s3 = S3()
        sayings = [
            None,
            self.saying("a/2", "runs", host="i-before"),
            self.saying("a/2", "failed", "no space"),
            self.saying("a/2", "runs"),
        ]
        told: list[str] = []

        def tell(news: str) -> None:
            told.append(news)
            s3.objects["kestra/host.json"] = next(said for said in sayings[len(told) :] if said)

        kestra_host.await_bundle(where(s3=s3), HOST, "a/2", tell)
        assert told == [
            "it has not said that it runs yet",
            "it has not said that it runs yet",
            "it has failed and tries again",
        ]

    def test_one_that_never_does_is_told_with_its_last_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kestra_host, "TAKE_UP_SECONDS", 0)
        s3 = S3()
        s3.objects["kestra/host.json"] = self.saying("a/2", "failed", "no space left")
        with pytest.raises(
            RunFailed, match=r"It said last:\n    no space left\n`aws ssm start-session --target i-0123`"
        ):
            kestra_host.await_bundle(where(s3=s3), HOST, "a/2", lambda _: None)
        with pytest.raises(RunFailed, match=r"tries on by itself\. `aws ssm"):
            kestra_host.await_bundle(where(s3=s3), HOST, "a/3", lambda _: None)


def test_it_is_stopped_and_waited_for() -> None:
    ec2 = Ec2()
    kestra_host.stop(site(ec2=ec2), HOST)
    assert (ec2.stopped, ec2.waited_for) == (["i-0123"], ["instance_stopped ['i-0123']"])


def test_the_password_is_made_once_encrypted_and_as_kestra_wants_it() -> None:
    ssm = Ssm()
    assert [kestra_host.ensure_password(site(ssm=ssm)) for _ in range(2)] == [True, False]
    [(name, parameter)] = ssm.parameters.items()
    assert name == "/drydock/acme-kestra-password"
    assert parameter["Type"] == "SecureString"
    assert re.fullmatch(r"K1[\w-]{43}", parameter["Value"])
    kestra_host.remove_password(site(ssm=ssm))
    kestra_host.remove_password(site(ssm=ssm))
    assert ssm.parameters == {}


def test_its_names_are_those_of_terraform() -> None:
    root = (settings.REPOSITORY / "terraform" / "main.tf").read_text()
    module = (settings.REPOSITORY / "terraform" / "modules" / "kestra_host" / "main.tf").read_text()
    assert 'password_parameter = "/drydock/${var.name_prefix}kestra-password"' in root
    assert 'bundles     = "kestra"' in root
    assert 'name = "${var.name_prefix}kestra-host"' in module
    take_up = (settings.REPOSITORY / "terraform" / "modules" / "kestra_host" / "files" / "take-up").read_text()
    assert "$BUNDLES_URI/host.json" in take_up
    assert "say runs" in take_up
