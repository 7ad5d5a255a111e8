"""What is hard to bring about from outside: IAM's delays, clusters that die under their steps, long waits."""

from datetime import date

import boto3
import pytest

from drydock_driver import creation, steps, waiting
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import Emr
from drydock_driver.errors import AwsRefused, AwsUnreachable, ClusterFailed, TimedOut
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Liveness
from drydock_driver.logs import StepLogs
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Look, Patience, wait_until
from tests.driver.scripted_aws import Refusal, ScriptedAws

BRIEFLY = Patience(timeout_seconds=30, unreachable_seconds=1)


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
    def create() -> str:
        run = JobRun("a", date(2026, 11, 21), "r1")
        return creation.create(emr, platform, run, Liveness(emr, platform, reporter), Interruption(), reporter, 1)

    assert creation.IAM_PATIENCE_SECONDS == 120
    monkeypatch.setattr(creation, "IAM_PAUSE_SECONDS", 0.01)
    aws.answer("RunJobFlow", refusal, refusal, {"JobFlowId": "j-1"})
    assert create() == "j-1"

    monkeypatch.setattr(creation, "IAM_PATIENCE_SECONDS", -1)
    aws.answer("RunJobFlow", refusal)
    with pytest.raises(AwsRefused, match="nstance"):
        create()


def test_a_step_left_open_by_a_dead_cluster_is_not_waited_for_for_ever(
    aws: ScriptedAws,
    emr: Emr,
    platform: Platform,
    reporter: Reporter,
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs = StepLogs(session.client("s3"), "s3n://logs/emr/", "j-1", "s-1", reporter)
    liveness = Liveness(emr, platform, reporter)
    monkeypatch.setattr(steps, "SETTLING_SECONDS", 0)
    aws.step_states("PENDING")
    reason = "The master node was terminated."
    aws.cluster_states("RUNNING", "TERMINATED_WITH_ERRORS", reason=reason, code="INSTANCE_FAILURE")
    with pytest.raises(ClusterFailed, match=r"TERMINATED_WITH_ERRORS \(INSTANCE_FAILURE\): The master node was"):
        steps.wait_for_steps(emr, "j-1", [logs], liveness, Interruption(), reporter, BRIEFLY)


def test_looks_grow_rarer_and_a_change_makes_them_quick_again() -> None:
    assert waiting.interval_seconds(0) == 1
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
