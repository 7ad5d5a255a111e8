"""What `aws-status` tells of Kestra's host, and that `destroy-aws` stops it before anything else."""

import json
from typing import Any

import pytest

from drydock import aws_status, destroy_aws

from .scripted_host import Ec2, Ssm
from .scripted_s3 import S3, site


def where(state: str | None = "running", ping: str = "Online") -> Any:
    return site(s3=S3(), ec2=Ec2(state), ssm=Ssm(ping))


def says(of: Any, bundle: str, state: str, instance_id: str = "i-0123") -> None:
    said = {
        "instance_id": instance_id,
        "bundle": bundle,
        "state": state,
        "at": "2026-01-15T10:00:00+00:00",
        "said": ["pulling", "no space left"],
    }
    of.account.client("s3").objects |= {"kestra/current": b"a/2\n", "kestra/host.json": json.dumps(said).encode()}


def shown(of: Any, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    aws_status._show_host(of)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_without_one_it_says_that_no_schedule_fires(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(where(None), capsys)[0].startswith("Kestra: no host, so no schedule fires; `kestra_host = {}` in")
    assert "i-0123 (t3.large) is stopped: no schedule fires" in shown(where("stopped"), capsys)[0]


def test_one_that_runs_what_is_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    of = where()
    says(of, "a/2", "runs")
    assert shown(of, capsys) == (
        "Kestra: on i-0123 (t3.large), Systems Manager says Online; `make aws-ui`\n"
        "  it runs what is deployed, since 2026-01-15T10:00:00+00:00\n",
        "",
    )


def test_one_that_does_not_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    of = where()
    assert "It does not run what is deployed yet. `aws ssm start-session --target i-0123`" in shown(of, capsys)[1]
    for of_before in ({"bundle": "a/1"}, {"bundle": "a/2", "instance_id": "i-BEFORE"}):
        says(of, state="runs", **of_before)
        assert "It does not run what is deployed yet." in shown(of, capsys)[1]
    says(of, "a/2", "failed")
    assert "not been able to start what is deployed, and tries again: no space left" in shown(of, capsys)[1]


def test_one_that_is_only_being_started_is_stopped_when_it_runs() -> None:
    of = where("pending")
    destroy_aws._stop_host(of)
    assert of.account.client("ec2").waited_for == ["instance_running ['i-0123']", "instance_stopped ['i-0123']"]


def test_it_is_stopped_before_it_could_make_another_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    of = where()
    destroy_aws._stop_host(of)
    assert of.account.client("ec2").stopped == ["i-0123"]
    assert "Kestra's host i-0123: stopped" in capsys.readouterr().out
    destroy_aws._stop_host(where(None))
    assert capsys.readouterr().out == ""
