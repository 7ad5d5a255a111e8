"""The same run started again, and answers that were lost: no cluster and no step is there twice."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import boto3
import pytest

from drydock_driver import asking, waiting
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import Emr
from drydock_driver.errors import AwsUnreachable, OutcomeUnknown, StepFailed
from drydock_driver.interruption import Interruption
from drydock_driver.job import Driver, Limits
from drydock_driver.liveness import Liveness
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Output, Reporter
from tests.driver.conftest import Run
from tests.driver.scripted_aws import LostAnswer, Refusal, ScriptedAws

NAME = "drydock-data-generation-2026-11-21-r1"
COMMAND = [
    "spark-submit",
    "s3://input/spark_app/job.py",
    "--date",
    "2026-11-21",
    "--target",
    "s3://source/data_source/shipment",
]


RunAgain = Callable[[], dict[str, Any]]


@pytest.fixture
def run_again(
    session: boto3.Session, emr: Emr, platform: Platform, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> RunAgain:
    """The run, in this process; what has become of it, as for programs."""
    monkeypatch.setattr(waiting, "SHORTEST_SECONDS", 0.01)
    s3, liveness = session.client("s3"), Liveness(emr, platform, reporter)
    driver = Driver(platform, emr, s3, liveness, Interruption(), reporter, Limits(5, 30, 30, 1))
    run = JobRun("data-generation", date(2026, 11, 21), "r1")
    return lambda: driver.run(run, COMMAND, "TERMINATE_CLUSTER", stderr_too=False)


def _listed(*clusters: tuple[str, str, str]) -> dict[str, Any]:
    return {"Clusters": [{"Id": id, "Name": name, "Status": {"State": state}} for id, name, state in clusters]}


def _step(state: str, command: list[str] = COMMAND) -> dict[str, Any]:
    name = "data-generation 2026-11-21"
    return {"Id": "s-1", "Name": name, "Config": {"Args": command}, "Status": {"State": state}}


def test_a_run_takes_over_the_living_cluster_and_step_of_its_name(aws: ScriptedAws, run_again: RunAgain) -> None:
    aws.answer("ListClusters", _listed(("j-9", f"{NAME}2", "RUNNING"), ("j-1", NAME, "RUNNING")))
    aws.answer("ListSteps", {"Steps": [_step("RUNNING")]})
    run_again()
    assert "RunJobFlow" not in aws.operations()
    assert "AddJobFlowSteps" not in aws.operations()
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_who_takes_a_cluster_over_marks_it_before_anything_else(aws: ScriptedAws, run_again: RunAgain) -> None:
    aws.answer("ListClusters", _listed(("j-1", NAME, "RUNNING")))
    run_again()
    operations = aws.operations()
    assert operations[operations.index("ListClusters") + 1] == "AddTags"
    [body] = aws.bodies("AddTags")
    assert body["ResourceId"] == "j-1"
    assert [tag["Key"] for tag in body["Tags"]] == [
        "for-use-with-amazon-emr-managed-policies",  # the role may add tags only along with the platform's
        "platform",
        "driver-seen-at",
    ]


def test_a_step_that_was_cancelled_is_run_after_all(aws: ScriptedAws, run_again: RunAgain) -> None:
    aws.answer("ListClusters", _listed(("j-1", NAME, "WAITING")))
    aws.answer("ListSteps", {"Steps": [_step("CANCELLED")]})
    run_again()
    assert len(aws.bodies("AddJobFlowSteps")) == 1


def test_a_run_that_is_done_has_its_result_taken_over(
    aws: ScriptedAws, run_again: RunAgain, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answer("ListClusters", _listed(("j-1", NAME, "TERMINATED")))
    aws.answer("ListSteps", {"Steps": [_step("COMPLETED")]})
    aws.cluster_states("TERMINATED")
    aws.put_log("stdout", "wrote 5 blocks\n")
    document = run_again()
    assert (document["cluster_id"], document["state"]) == ("j-1", "TERMINATED")
    assert [(step["step_id"], step["state"]) for step in document["steps"]] == [("s-1", "COMPLETED")]
    assert "wrote 5 blocks" in capsys.readouterr().out
    assert not {"RunJobFlow", "AddJobFlowSteps", "TerminateJobFlows"} & set(aws.operations())


def test_a_run_that_has_failed_fails_again_and_runs_nothing(
    aws: ScriptedAws, run_again: RunAgain, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answer("ListClusters", _listed(("j-1", NAME, "TERMINATED_WITH_ERRORS")))
    aws.answer("ListSteps", {"Steps": [_step("FAILED")]})
    aws.cluster_states("TERMINATED_WITH_ERRORS")
    aws.put_log("stderr", "boom\n")
    with pytest.raises(StepFailed, match=r"Cluster j-1: step s-1 \(data-generation 2026-11-21\) is FAILED\."):
        run_again()
    assert '"line": "boom"' in capsys.readouterr().out
    assert "RunJobFlow" not in aws.operations()


def test_the_result_of_a_cluster_that_is_ending_is_waited_for(aws: ScriptedAws, run_again: RunAgain) -> None:
    aws.answer("ListClusters", _listed(("j-1", NAME, "TERMINATING")))
    aws.answer("ListSteps", {"Steps": [_step("COMPLETED")]})
    aws.cluster_states("TERMINATING", "TERMINATED")
    run_again()
    assert aws.operations().index("ListSteps") > aws.operations().index("DescribeCluster")
    assert "RunJobFlow" not in aws.operations()


@pytest.mark.parametrize(
    "steps", [[], [_step("CANCELLED")], [_step("INTERRUPTED")], [_step("COMPLETED", [*COMMAND, "--rows", "7"])]]
)
def test_a_past_cluster_without_a_result_is_no_result(
    aws: ScriptedAws, run_again: RunAgain, steps: list[dict[str, Any]]
) -> None:
    """It did not start, or was ended by a signal; or it ran another command."""
    aws.answer("ListClusters", _listed(("j-0", NAME, "TERMINATED_WITH_ERRORS")))
    aws.answer("ListSteps", {"Steps": steps})
    aws.cluster_states("TERMINATED_WITH_ERRORS", "WAITING", "TERMINATED")
    run_again()
    assert len(aws.bodies("RunJobFlow")) == 1
    assert len(aws.bodies("AddJobFlowSteps")) == 1


def test_submit_again_finds_the_step_of_that_name_and_command(aws: ScriptedAws, driver: Run) -> None:
    aws.answer("ListSteps", {"Steps": [_step("PENDING")]})
    name = "data-generation 2026-11-21"
    done = driver("submit", "--cluster", "j-1", "--name", name, "--output", "json", "--", *COMMAND)
    assert json.loads(done.stdout) == {"cluster_id": "j-1", "step_id": "s-1", "adopted": True}
    done = driver("submit", "--cluster", "j-1", "--name", name, "--output", "json", "--", *COMMAND, "--more")
    assert json.loads(done.stdout)["adopted"] is False
    assert len(aws.bodies("AddJobFlowSteps")) == 1


def test_a_create_whose_answer_is_lost_finds_its_cluster_and_makes_no_second(
    aws: ScriptedAws, run_again: RunAgain
) -> None:
    aws.answer("RunJobFlow", LostAnswer())
    listed = _listed(("j-2", "another", "STARTING"), ("j-1", NAME, "STARTING"))
    aws.answer("ListClusters", _listed(), _listed(), listed)
    run_again()
    assert len(aws.bodies("RunJobFlow")) == 1
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]


def test_a_step_whose_answer_is_lost_is_found_and_not_submitted_again(aws: ScriptedAws, run_again: RunAgain) -> None:
    aws.answer("AddJobFlowSteps", LostAnswer())
    aws.answer("ListSteps", {"Steps": []}, {"Steps": []}, {"Steps": [_step("RUNNING")]})
    run_again()
    assert len(aws.bodies("AddJobFlowSteps")) == 1


def test_an_endpoint_that_is_away_when_the_list_is_asked_for_is_waited_for(
    aws: ScriptedAws, run_again: RunAgain
) -> None:
    away = Refusal("ServiceUnavailableException", "restarting", status=503)
    aws.answer("ListClusters", *[away] * 5, _listed())  # more than botocore itself repeats
    run_again()


class _Aws:
    """Answers of one kind, in their order; what is asked again is counted."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LOST = AwsUnreachable("no answer.", sent=True)
NOBODY = AwsUnreachable("nobody there.", sent=False)


def _ask(ask: _Aws, find: _Aws, unreachable_seconds: float = 30) -> str:
    nobody = Reporter(Output.JSON)
    return asking.ask_once(ask, lambda: find() or None, "thing", Interruption(), nobody, unreachable_seconds)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look for what may be there, and no pause."""
    monkeypatch.setattr(asking, "LOST_ANSWER_SECONDS", 0)
    monkeypatch.setattr(asking, "UNREACHABLE_PAUSE_SECONDS", 0)


@pytest.mark.usefixtures("at_once")
def test_what_was_lost_is_asked_for_again_only_after_it_was_looked_for() -> None:
    ask, find = _Aws(LOST, LOST, "it"), _Aws("", "")
    assert _ask(ask, find) == "it"
    assert (ask.asked, find.asked) == (3, 2)

    ask, find = _Aws(LOST, LOST), _Aws("", "it")
    assert _ask(ask, find) == "it"
    assert (ask.asked, find.asked) == (2, 2)

    with pytest.raises(AwsUnreachable):
        _ask(_Aws(LOST, LOST, LOST), _Aws("", "", ""))


@pytest.mark.usefixtures("at_once")
def test_what_cannot_be_looked_for_is_not_asked_for_again() -> None:
    ask = _Aws(LOST)
    with pytest.raises(OutcomeUnknown, match=r"no answer\. Whether there is a thing now is not known: nobody there\."):
        _ask(ask, _Aws(NOBODY))
    assert ask.asked == 1


@pytest.mark.usefixtures("at_once")
def test_what_cannot_have_arrived_is_asked_for_again_without_looking() -> None:
    ask = _Aws(NOBODY, NOBODY, "it")
    assert _ask(ask, _Aws()) == "it"
    with pytest.raises(AwsUnreachable):
        _ask(_Aws(NOBODY), _Aws(), unreachable_seconds=0)
