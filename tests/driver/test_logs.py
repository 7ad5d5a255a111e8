"""A step's logs: they grow, arrive late, never, broken, in bulk; and never decide anything."""

import gzip
import json
import random
import string
from collections.abc import Callable
from datetime import UTC, datetime

import boto3
import pytest

from drydock_driver import logs as logs_module
from drydock_driver.emr_api import Step
from drydock_driver.logs import StepLogs
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Patience
from tests.driver.conftest import Run, with_options
from tests.driver.scripted_aws import Refusal, ScriptedAws

AT_ONCE = Patience(timeout_seconds=0, unreachable_seconds=0)
BRIEFLY = Patience(timeout_seconds=30, unreachable_seconds=1)
STARTED, ENDED = datetime(2026, 11, 21, 9, tzinfo=UTC), datetime(2026, 11, 21, 9, 5, 0, 700_000, tzinfo=UTC)


def _step(state: str, *, started: bool = True) -> Step:
    return Step("s-1", "a step", state, "", "", (), STARTED if started else None, ENDED if started else None)


@pytest.fixture
def logs(session: boto3.Session, reporter: Reporter) -> StepLogs:
    return StepLogs(session.client("s3"), "s3n://logs/emr/", "j-1", "s-1", reporter)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """The lines of an event's kind that were reported since the last call: `log` or `news`."""

    def since(kind: str) -> list[str]:
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [event["line" if kind == "log" else "text"] for event in events if event["event"] == kind]

    return since


Told = Callable[[str], list[str]]


def test_logs_grow_and_are_shown_once(aws: ScriptedAws, logs: StepLogs, told: Told) -> None:
    logs.follow()
    assert told("log") == []  # not there yet
    aws.put_log("stdout", "one\ntwo\nhal")
    logs.follow()
    assert told("log") == ["one", "two"]
    logs.follow()
    assert told("log") == []  # not changed
    aws.put_log("stdout", "one\ntwo\nhalf\nthree\n")
    logs.follow()
    assert told("log") == ["half", "three"]
    logs.finish(_step("COMPLETED"), AT_ONCE, lambda _: None)
    assert told("log") == []
    aws.put_log("stdout", "one\ntwo\nhalf\nthree\nlast words")
    routine = "26/11/26 14:00:00 INFO TransportClientFactory: Found inactive connection\n" * 25
    aws.put_log("stderr", "\n".join(str(n) for n in range(30)) + f"\n{routine}")
    logs.finish(_step("FAILED"), AT_ONCE, lambda _: None)
    assert told("log") == ["last words", *(str(n) for n in range(10, 30))]


def test_a_log_that_is_broken_off_is_shown_as_far_as_it_goes(aws: ScriptedAws, logs: StepLogs, told: Told) -> None:
    text = "".join(f"{line}\n" for line in random.Random(7).choices(string.ascii_letters, k=50_000))
    whole = gzip.compress(text.encode())
    aws.objects["logs/emr/j-1/steps/s-1/stdout.gz"] = whole[: len(whole) // 2]
    logs.follow()
    first = told("log")
    assert 0 < len(first) < 50_000
    aws.objects["logs/emr/j-1/steps/s-1/stdout.gz"] = whole
    logs.follow()
    assert "\n".join(first + told("log")) + "\n" == text
    aws.objects["logs/emr/j-1/steps/s-1/stdout.gz"] = b"this was never packed"
    logs.finish(_step("COMPLETED"), AT_ONCE, lambda _: None)
    assert told("log") == []


def test_both_streams_are_followed_when_that_is_wanted(
    aws: ScriptedAws, session: boto3.Session, reporter: Reporter, told: Told
) -> None:
    logs = StepLogs(session.client("s3"), "s3://logs/emr", "j-1", "s-1", reporter, stderr_too=True)
    aws.put_log("stdout", "out\n")
    aws.put_log("stderr", "".join(f"{n}\n" for n in range(30)))
    logs.follow()
    assert told("log") == ["out", *(str(n) for n in range(30))]
    logs.finish(_step("FAILED"), AT_ONCE, lambda _: None)
    assert told("log") == []  # the end of stderr is not shown a second time


@pytest.mark.parametrize(
    "last_words",
    [
        "WARN Step failed with exitCode 1 and took 8 seconds\n",
        "INFO Step succeeded with exitCode 0 and took 8 seconds\n",
    ],
)
def test_late_logs_are_waited_for_and_that_is_said(
    aws: ScriptedAws, logs: StepLogs, capsys: pytest.CaptureFixture[str], last_words: str
) -> None:
    aws.put_log("stderr", "of the push before\n")
    aws.put_log("controller", "INFO startExec\n")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            aws.put_log("stderr", "of the push before\nboom\n")
            aws.put_log("controller", f"INFO startExec\n{last_words}")

    logs.finish(_step("FAILED"), Patience(360, 120), pause)
    shown = capsys.readouterr().out
    assert len(pauses) == 3
    assert shown.count("Waiting for them, 360 s at most") == 1
    assert '"line": "boom"' in shown
    assert "all logs of the step: s3://logs/emr/j-1/steps/s-1/" in shown


def test_a_controllers_log_of_after_the_steps_end_is_complete_whatever_it_says(
    aws: ScriptedAws, logs: StepLogs, told: Told
) -> None:
    """The words are EMR's own, and may change."""
    aws.put_log("controller", "in other words\n")
    aws.modified = "Sat, 21 Nov 2026 09:05:01 GMT"  # a third of a second after the end, rounded as S3 rounds
    logs.finish(_step("FAILED"), AT_ONCE, lambda _: None)
    assert told("news") == ["all logs of the step, once they have arrived: s3://logs/emr/j-1/steps/s-1/"]
    aws.modified = "Sat, 21 Nov 2026 09:05:02 GMT"
    logs.finish(_step("FAILED"), AT_ONCE, lambda _: None)
    assert told("news") == ["all logs of the step: s3://logs/emr/j-1/steps/s-1/"]


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        (Refusal("NoSuchKey", "no such key", 404), "Waited 1 s for the step's logs to arrive, which did not happen."),
        (Refusal("AccessDenied", "Access Denied", 403), "(AccessDenied)"),  # also of what is only not there yet
        (Refusal("NoSuchBucket", "no such bucket", 404), "NoSuchBucket: no such bucket"),
    ],
)
def test_logs_that_never_arrive_are_no_failure_and_are_named(
    aws: ScriptedAws, logs: StepLogs, told: Told, missing: Refusal, why: str
) -> None:
    aws.objects.clear()
    aws.missing = missing
    logs.finish(_step("FAILED"), Patience(1, 1), lambda _: None)
    news = told("news")
    assert any(why in text for text in news)
    assert any("The step's state does not depend on its logs." in text for text in news)
    assert news[-1] == "all logs of the step, once they have arrived: s3://logs/emr/j-1/steps/s-1/"


def test_an_endpoint_that_is_gone_is_not_waited_for_as_long_as_late_logs(
    aws: ScriptedAws, logs: StepLogs, told: Told
) -> None:
    aws.stop()
    logs.finish(_step("FAILED"), Patience(360, 0), lambda _: None)
    assert any("Could not read s3://logs/emr/j-1/steps/s-1/controller.gz" in text for text in told("news"))


def test_a_step_that_never_ran_has_no_logs_to_wait_for(aws: ScriptedAws, logs: StepLogs, told: Told) -> None:
    aws.objects.clear()
    logs.finish(_step("CANCELLED", started=False), Patience(360, 120), lambda _: pytest.fail("waited"))
    assert told("news") == []


def test_logs_decide_nothing(aws: ScriptedAws, driver: Run, run_arguments: list[str]) -> None:
    aws.put_log("controller", "WARN Step failed with exitCode 1 and took 8 seconds\n")
    aws.put_log("stderr", "INFO a lot\n")
    done = driver(*run_arguments)
    assert done.returncode == 0  # the step is COMPLETED
    assert "INFO a lot" not in done.stderr


def test_what_has_grown_too_large_is_shown_by_its_end(
    aws: ScriptedAws, logs: StepLogs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "FOLLOWED_BYTES", 100)
    aws.put_log("stdout", "\n".join(str(n) for n in range(10_000)))
    for _ in range(3):
        logs.follow()
    shown = capsys.readouterr().out
    assert shown.count("stdout.gz has grown too large to be followed") == 1
    assert '"line"' not in shown
    logs.finish(_step("COMPLETED"), AT_ONCE, lambda _: None)
    lines = [json.loads(line).get("line") for line in capsys.readouterr().out.splitlines()]
    assert lines == [str(n) for n in range(9_980, 10_000)]


def test_a_line_without_an_end_is_shown_in_pieces(
    aws: ScriptedAws, logs: StepLogs, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "LINE_CHARACTERS", 4)
    aws.put_log("stdout", "abcdefghij")
    logs.follow()
    assert told("log") == ["abcd", "efgh"]
    logs.finish(_step("COMPLETED"), AT_ONCE, lambda _: None)
    assert told("log") == ["ij"]


def test_the_run_shows_stderr_as_it_comes_when_told_to(aws: ScriptedAws, driver: Run, run_arguments: list[str]) -> None:
    aws.put_log("stderr", "INFO a lot\n")
    assert driver(*with_options(run_arguments, "--stderr")).stderr.count("stderr | INFO a lot") == 1
