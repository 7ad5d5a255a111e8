"""What a deployment brings to Kestra: of the checkout or of before, shown, validated, and seen to run."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from drydock import deploy_aws, jobs
from drydock.deploy_aws import Delivery
from drydock.errors import DrydockError
from drydock.on_aws import account, bundles, kestra_host, orchestrator, trial
from drydock.on_aws.bundles import Bundle
from drydock.on_aws.kestra_host import Host

from .scripted_host import Ec2, Ssm
from .scripted_s3 import S3, site

OLD = jobs.Named("0a1b2c", "wheels/000000000000")
HERE = jobs.Revision("1b2c3d", "wheels/000000000000", {}, {})


class WithFlows(Bundle):
    """A bundle of which only the flows count."""

    @property
    def flows(self) -> dict[str, str]:
        return dict(line.split("=") for line in self.content.decode().split())


BEFORE, AFTER = WithFlows(b"a.yaml=one b.yaml=two"), WithFlows(b"a.yaml=other c.yaml=three")


@pytest.fixture
def where() -> Any:
    return site(s3=S3(), ec2=Ec2(), ssm=Ssm())


def test_the_checkouts_flows_go_with_the_checkouts_jobs(where: Any) -> None:
    delivery = deploy_aws._delivery(where, HERE)
    assert delivery == Delivery(bundles.of_checkout(), None)
    assert not delivery.is_deployed
    assert {change.kind for change in delivery.changes} == {"new"}


def test_jobs_of_before_bring_back_what_went_with_them(where: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bundles.upload(where, OLD.name, BEFORE)
    bundles.upload(where, HERE.name, AFTER)
    bundles.point(where, HERE.name, AFTER)
    delivery = deploy_aws._delivery(where, OLD)
    assert (delivery.bundle.sha256, delivery.before and delivery.before.sha256) == (BEFORE.sha256, AFTER.sha256)
    assert capsys.readouterr().err == ""


def test_jobs_that_no_flows_are_known_of_leave_them_as_they_are(where: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bundles.upload(where, HERE.name, AFTER)
    bundles.point(where, HERE.name, AFTER)
    assert deploy_aws._delivery(where, OLD).is_deployed
    assert (
        "No flows are known that went with the jobs of 0a1b2c: the flows stay as they are." in capsys.readouterr().err
    )


def test_what_becomes_of_each_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    deploy_aws._show_flows(Delivery(AFTER, BEFORE))
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Flows, against those that are deployed:", "  a is changed"]
    assert [line for line in said if line.startswith("      ") and "@@" not in line] == ["      -one", "      +other"]
    assert said[-2:] == ["  b is removed", "  c is new"]
    deploy_aws._show_flows(Delivery(AFTER, AFTER))
    assert capsys.readouterr().out == "✓ Flows: 2, as they are deployed\n"
    deploy_aws._show_flows(Delivery(WithFlows(AFTER.content + b"\n"), AFTER))
    assert "Something else that Kestra's host runs is different" in capsys.readouterr().out


class Engine:
    """Refuses what is to be refused."""

    def __init__(self, refuses: dict[str, str]) -> None:
        self.refuses = refuses
        self.asked: list[str] = []

    def validate(self, source: str) -> str | None:
        self.asked.append(source)
        return self.refuses.get(source)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine({})

    @contextmanager
    def validating(_: object) -> Iterator[Engine]:
        yield engine

    monkeypatch.setattr(orchestrator, "validating", validating)
    return engine


def test_flows_that_are_not_deployed_yet_are_validated(
    where: Any, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy_aws._validate(where, Delivery(AFTER, BEFORE))
    assert engine.asked == ["other", "three"]
    assert capsys.readouterr().out == "✓ Flows validated: a, c\n"
    deploy_aws._validate(where, Delivery(AFTER, AFTER))
    assert len(engine.asked) == 2


def test_one_that_is_refused_ends_it_before_anything_is_changed(where: Any, engine: Engine) -> None:
    engine.refuses["three"] = "no such task"
    with pytest.raises(DrydockError, match=r"Kestra refuses flows:\n    c\.yaml: no such task") as refused:
        deploy_aws._validate(where, Delivery(AFTER, BEFORE))
    assert refused.value.__notes__ == ["Nothing was changed."]


def test_the_trial_is_given_what_is_deployed(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    @contextmanager
    def opened(*asked: Any) -> Iterator[str]:
        given.append(asked)
        yield "the engine"

    monkeypatch.setattr(orchestrator, "opened", opened)
    monkeypatch.setattr(trial, "run", lambda *_: {"versions": trial.expected_versions()})
    deploy_aws._try(where, {"format": 1}, "a1", BEFORE)
    assert given == [(where, {"format": 1}, BEFORE)]


class TestStateBucket:
    """It comes before the plan, so whoever declines the plan is told of it."""

    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        where = SimpleNamespace(state_bucket="acme-state", verbs=SimpleNamespace(end="destroy-aws"))
        monkeypatch.setattr(account, "confirm", lambda *_: None)
        return SimpleNamespace(site=where, title="account 1")

    def test_one_that_is_there_changes_nothing(self, found: Any) -> None:
        found.site.existing = lambda buckets: buckets
        assert deploy_aws._confirm_state_bucket(found, "") == "Nothing was changed."

    def test_one_that_is_made_is_a_change(self, found: Any) -> None:
        found.site.existing = lambda _: []
        assert deploy_aws._confirm_state_bucket(found, "") == (
            "Only the bucket of Terraform's state was made: `make destroy-aws` removes it."
        )


class TestHost:
    def test_without_one_nothing_is_waited_for(self, where: Any, capsys: pytest.CaptureFixture[str]) -> None:
        deploy_aws._see_to_host(where, None, {}, "a/1")
        assert capsys.readouterr().out == ""

    def test_one_that_runs_is_waited_for(
        self, where: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        waited: list[str] = []
        monkeypatch.setattr(kestra_host, "await_bundle", lambda _, host, bundle, tell: waited.append(bundle))
        deploy_aws._see_to_host(where, None, {"kestra_host": "i-0123"}, "a/1")
        assert waited == ["a/1"]
        assert "Kestra runs on i-0123: `make aws-ui` shows its pages" in capsys.readouterr().out

    def test_one_that_is_stopped_is_told(self, where: Any, capsys: pytest.CaptureFixture[str]) -> None:
        where.account.client("ec2").state = "stopped"
        deploy_aws._see_to_host(where, None, {"kestra_host": "i-0123"}, "a/1")
        assert "Kestra's host i-0123 is stopped: it takes this up when it runs." in capsys.readouterr().err

    def test_the_password_of_one_that_is_gone_goes(self, where: Any) -> None:
        kestra_host.ensure_password(where)
        deploy_aws._see_to_host(where, Host("i-0123", "running", "t3.large"), {}, "a/1")
        assert where.account.client("ssm").parameters == {}
