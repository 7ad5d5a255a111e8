"""`make destroy-aws` where Terraform's state is gone: nothing is called gone that is there."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from drydock import destroy_aws
from drydock.errors import DrydockError
from drydock.on_aws import account, kestra_host

from .scripted_emr import Emr
from .scripted_host import Ec2, Ssm
from .scripted_s3 import site


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An account without the bucket of the state, and with nothing else either."""
    where = site(ec2=Ec2(None), ssm=Ssm(), emr=Emr())
    where.state_bucket, where.buckets = "acme-spark-kestra-platform", []
    where.existing = lambda asked: [each for each in asked if each in where.buckets]
    monkeypatch.setattr(account, "opened", lambda _: SimpleNamespace(site=where, title="account 1, us-east-1"))
    monkeypatch.setattr(account, "held", lambda *_: nullcontext())
    return where


def test_where_nothing_is_it_says_so(where: Any, capsys: pytest.CaptureFixture[str]) -> None:
    where.account.client("emr").has(1, "drydock", "WAITING")
    where.buckets = ["drydock-spark-job-data-input"]
    destroy_aws.destroy_aws()
    assert "✓ Nothing of the platform is in account 1, us-east-1." in capsys.readouterr().out


def test_what_is_there_is_named_with_what_to_do(where: Any) -> None:
    where.account.client("ec2").state = "stopped"
    where.account.client("emr").has(1, "acme", "WAITING")
    where.account.client("emr").has(2, "acme", "TERMINATED")
    where.buckets = ["acme-spark-job-data-output", "acme-builditall-logs"]
    kestra_host.ensure_password(where)
    with pytest.raises(DrydockError) as told:
        destroy_aws.destroy_aws()
    assert told.value.exit_code == 1
    assert str(told.value).splitlines()[:6] == [
        "`acme-spark-kestra-platform`, the bucket of Terraform's state, is not in account 1, us-east-1, but there "
        "still is:",
        "    Kestra's host: `aws ec2 terminate-instances --instance-ids i-0123`",
        "    clusters: `aws emr terminate-clusters --cluster-ids j-1`",
        "    a bucket, which the S3 console empties and removes: `acme-spark-job-data-output`",
        "    a bucket, which the S3 console empties and removes: `acme-builditall-logs`",
        "    Kestra's password: `aws ssm delete-parameter --name /drydock/acme-kestra-password`",
    ]


@pytest.mark.parametrize("left", ["a bucket", "a cluster", "the host", "the password"])
def test_each_alone_is_enough(where: Any, left: str) -> None:
    if left == "a bucket":
        where.buckets = ["acme-builditall-logs"]
    elif left == "a cluster":
        where.account.client("emr").has(1, "acme", "STARTING")
    elif left == "the host":
        where.account.client("ec2").state = "running"
    else:
        kestra_host.ensure_password(where)
    with pytest.raises(DrydockError, match="there still is"):
        destroy_aws.destroy_aws()


class TestLateLogs:
    """What EMR delivers while Terraform destroys keeps it from removing the bucket."""

    class Terraform:
        """Fails once for a bucket that is not empty."""

        def __init__(self, buckets: dict[str, int]) -> None:
            self.buckets, self.carried_out, self.planned = buckets, 0, 0

        def plan(self, *, destroy: bool) -> object:
            assert destroy
            self.planned += 1
            return object()

        def carry_out(self, _plan: object) -> None:
            self.carried_out += 1
            if any(self.buckets.values()) or self.carried_out == 1:
                raise DrydockError("BucketNotEmpty")

    @pytest.fixture
    def where(self, where: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        held = {"acme-emr-cluster-spark-logs": 2, "acme-builditall-logs": 0}
        where.held, where.buckets = held, list(held)
        where.account.client = lambda _: None
        monkeypatch.setattr(destroy_aws.emptying, "is_empty", lambda _, bucket: held[bucket] == 0)
        monkeypatch.setattr(destroy_aws.emptying, "empty", lambda _, bucket: held.update({bucket: 0}) or 2)
        return where

    def test_they_are_removed_and_it_goes_on(self, where: Any, capsys: pytest.CaptureFixture[str]) -> None:
        terraform = self.Terraform(where.held)
        destroy_aws._destroy(where, terraform, object())  # type: ignore[arg-type]
        assert (terraform.planned, terraform.carried_out) == (1, 2)
        said = capsys.readouterr()
        assert "written meanwhile to acme-emr-cluster-spark-logs: once more" in said.err
        assert "Emptied `acme-emr-cluster-spark-logs`: 2 versions" in said.out

    def test_a_failure_of_another_kind_stays_one(self, where: Any) -> None:
        where.held.update(dict.fromkeys(where.held, 0))
        with pytest.raises(DrydockError, match="BucketNotEmpty"):
            destroy_aws._destroy(where, self.Terraform(where.held), object())  # type: ignore[arg-type]
