"""What is hard to bring about from outside: IAM's delays, clusters that die under their steps, late and broken logs."""

import gzip
import json
from datetime import date
from typing import Any

import boto3
import pytest

from drydock_driver import cluster, steps, waiting
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import Emr
from drydock_driver.errors import AwsRefused, AwsUnreachable, ClusterFailed, TimedOut
from drydock_driver.interruption import Interruption
from drydock_driver.logs import StepLogs
from drydock_driver.platform_config import Platform, parse
from drydock_driver.reporting import Output, Reporter
from drydock_driver.waiting import Look, Patience, wait_until
from tests.driver.scripted_aws import Refusal, ScriptedAws

BRIEFLY = Patience(timeout_seconds=30, unreachable_seconds=1)


@pytest.fixture
def session(aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    return boto3.Session("AKIAANYBODY", "secret", region_name="eu-west-1")


@pytest.fixture
def emr(session: boto3.Session) -> Emr:
    return Emr(session, "eu-west-1")


@pytest.fixture
def platform(document: dict[str, Any]) -> Platform:
    return parse(document, "here")


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(Output.EVENTS)


@pytest.fixture
def logs(session: boto3.Session, reporter: Reporter) -> StepLogs:
    return StepLogs(session.client("s3"), "s3n://logs/emr/", "j-1", "s-1", reporter)


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("ValidationException", "Invalid InstanceProfile: emr_instance_profile."),
        Refusal("AccessDeniedException", "Failed to authorize instance profile arn:aws:iam::1:instance-profile/x"),
    ],
)
def test_an_instance_profile_that_iam_has_not_spread_yet_is_asked_for_again(
    aws: ScriptedAws,
    emr: Emr,
    platform: Platform,
    reporter: Reporter,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Refusal,
) -> None:
    monkeypatch.setattr(cluster, "IAM_PAUSE_SECONDS", 0.01)
    run = JobRun("a", date(2026, 11, 21), "r1")
    aws.answer("RunJobFlow", refusal, refusal, {"JobFlowId": "j-1"})
    assert cluster.create(emr, platform, run, Interruption(), reporter) == ("j-1", False)

    monkeypatch.setattr(cluster, "IAM_PATIENCE_SECONDS", -1)
    aws.answer("RunJobFlow", refusal)
    with pytest.raises(AwsRefused, match="nstance"):
        cluster.create(emr, platform, run, Interruption(), reporter)


def test_a_step_left_open_by_a_dead_cluster_is_not_waited_for_for_ever(
    aws: ScriptedAws, emr: Emr, reporter: Reporter, logs: StepLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SETTLING_SECONDS", 0)
    aws.step_states("PENDING")
    reason = "The master node was terminated."
    aws.cluster_states("RUNNING", "TERMINATED_WITH_ERRORS", reason=reason, code="INSTANCE_FAILURE")
    with pytest.raises(ClusterFailed, match=r"TERMINATED_WITH_ERRORS \(INSTANCE_FAILURE\): The master node was"):
        steps.wait_for_steps(emr, "j-1", [logs], Interruption(), reporter, BRIEFLY)


def test_logs_grow_arrive_late_and_are_shown_once(
    aws: ScriptedAws, logs: StepLogs, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown() -> list[str]:
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [event["line"] for event in events if event["event"] == "log"]

    logs.follow()
    assert shown() == []  # not there yet
    aws.put_log("stdout", "one\ntwo\nhal")
    logs.follow()
    assert shown() == ["one", "two"]
    logs.follow()
    assert shown() == []  # not changed
    whole = gzip.compress(b"one\ntwo\nhalf\nthree\n")
    aws.objects["logs/emr/j-1/steps/s-1/stdout.gz"] = whole[:-9]
    logs.follow()
    assert shown() == []  # broken off
    aws.objects["logs/emr/j-1/steps/s-1/stdout.gz"] = whole
    logs.follow()
    assert shown() == ["half", "three"]
    logs.finish(failed=False, patience_seconds=0)
    assert shown() == []
    aws.put_log("stdout", "one\ntwo\nhalf\nthree\nlast words")
    aws.put_log("stderr", "\n".join(str(n) for n in range(30)))
    logs.finish(failed=True, patience_seconds=0)
    assert shown() == ["last words", *(str(n) for n in range(10, 30))]


def test_logs_that_never_arrive_are_no_failure(logs: StepLogs, capsys: pytest.CaptureFixture[str]) -> None:
    logs.finish(failed=True, patience_seconds=0)
    assert "no stderr has arrived yet; it will be s3://logs/emr/j-1/steps/s-1/stderr.gz" in capsys.readouterr().out


def test_looks_grow_rarer_and_a_change_makes_them_quick_again() -> None:
    assert waiting.interval_seconds(0) == 0.5
    assert waiting.interval_seconds(100) == 5
    assert waiting.interval_seconds(86400) == 30


def test_an_endpoint_may_be_away_for_a_while_and_no_longer() -> None:
    answers: list[Look | Exception] = [AwsUnreachable("away", sent=False)] * 3 + [Look.SAME, Look.DONE]

    def look() -> Look:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pauses: list[float] = []
    wait_until(look, pauses.append, Patience(30, 30), "it")
    assert len(pauses) == 4

    answers = [AwsUnreachable("away", sent=False)]
    with pytest.raises(AwsUnreachable):
        wait_until(look, pauses.append, Patience(30, 0), "it")


def test_a_refusal_is_not_waited_out_and_time_runs_out() -> None:
    def refused() -> Look:
        raise AwsRefused("no", "AccessDenied", "")

    with pytest.raises(AwsRefused):
        wait_until(refused, lambda _: None, Patience(30, 30), "it")
    with pytest.raises(TimedOut, match="Waited 0 s for it"):
        wait_until(lambda: Look.SAME, lambda _: None, Patience(0, 30), "it")
