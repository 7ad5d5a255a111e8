"""A day of Kestra's, copied to S3, with a Kestra and an S3 that answer as they are told. (For real: tests/platform.)"""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from drydock_driver import orchestrator_logs
from drydock_driver.errors import OrchestratorFailed, UsageError
from tests.driver.conftest import Run

DAY = date(2024, 2, 29)
BEGIN = datetime(2024, 2, 29, tzinfo=UTC)


class Bucket:
    """What was uploaded, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def upload_fileobj(self, file: Any, bucket: str, key: str) -> None:
        self.objects[f"{bucket}/{key}"] = file.read()

    def lines(self, key: str) -> list[Any]:
        return [json.loads(line) for line in gzip.decompress(self.objects[key]).splitlines()]


def client(answer: Any) -> httpx.Client:
    return httpx.Client(base_url="http://kestra.test", transport=httpx.MockTransport(answer))


def at(seconds: float) -> str:
    """A time of the day."""
    return (BEGIN + timedelta(seconds=seconds)).isoformat()


def log(seconds: float, message: str) -> dict[str, Any]:
    return {"timestamp": at(seconds), "message": message}


def execution(seconds: float, state: str = "SUCCESS", **more: str) -> dict[str, Any]:
    return {**more, "state": {"current": state, "startDate": at(seconds)}}


def shipped(days: int, state: str = "SUCCESS") -> dict[str, Any]:
    return execution(days * 86400, state, flowId="ship_logs")


def searches(documents: dict[str, list[Any]], asked: list[httpx.URL]) -> Any:
    """Kestra's searches over these documents."""

    def time_of(document: dict[str, Any]) -> str:
        return str(document.get("timestamp") or document["state"]["startDate"])

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        params, kind = request.url.params, request.url.path.split("/")[-2]
        since = params.get("filters[startDate][GREATER_THAN_OR_EQUAL_TO]", "")
        until = params.get("filters[startDate][LESS_THAN]", "9999")
        states = params.get("filters[state][IN]", "SUCCESS,RUNNING").split(",")
        found = [each for each in documents[kind] if since <= time_of(each) < until]
        found = [each for each in found if kind == "logs" or each["state"]["current"] in states]
        found = [
            each for each in found if each.get("flowId") == params.get("filters[flowId][EQUALS]", each.get("flowId"))
        ]
        found.sort(key=time_of, reverse=params["sort"].endswith(":desc"))
        return httpx.Response(200, json={"results": found[: int(params["size"])], "total": len(found)})

    return answer


def ship(documents: dict[str, list[Any]]) -> tuple[Bucket, dict[str, int]]:
    bucket = Bucket()
    counts = orchestrator_logs.ship(client(searches(documents, [])), bucket, "s3://audit/kestra", DAY)  # type: ignore[arg-type]
    return bucket, counts


def test_a_day_becomes_one_file_of_each_kind() -> None:
    of_day = [log(3.25, "ü"), log(86399.9, "the last one")]
    documents = {"logs": [log(-1, "before"), *of_day, log(86400, "after")], "executions": [execution(2)]}
    bucket, counts = ship(documents)
    assert counts == {"logs": 2, "executions": 1}
    assert bucket.lines("audit/kestra/logs/date=2024-02-29/from-000003.250000.jsonl.gz") == of_day
    assert bucket.lines("audit/kestra/executions/date=2024-02-29/from-000002.000000.jsonl.gz") == [execution(2)]


@pytest.mark.parametrize("size", [3, 4, 7, 8])
def test_no_page_s_edge_skips_or_repeats_what_has_one_time(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(orchestrator_logs, "PAGE", size)
    lines = [log(second, f"{second} {letter}") for second in range(4) for letter in "ab"][:7]
    bucket, _ = ship({"logs": lines, "executions": []})
    assert bucket.lines("audit/kestra/logs/date=2024-02-29/from-000000.000000.jsonl.gz") == lines


def test_more_of_one_moment_than_a_page_holds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator_logs, "PAGE", 2)
    with pytest.raises(OrchestratorFailed, match="2 logs or more of one moment"):
        ship({"logs": [log(1, letter) for letter in "abc"], "executions": []})


def test_the_same_day_is_the_same_file_and_a_kestra_that_began_anew_adds_one() -> None:
    morning, afternoon = [log(1, "morning")], [log(50_000, "afternoon")]
    first, _ = ship({"logs": morning, "executions": []})
    assert ship({"logs": morning, "executions": []})[0].objects == first.objects
    assert first.objects.keys().isdisjoint(ship({"logs": afternoon, "executions": []})[0].objects)


def test_a_kind_of_which_there_is_nothing_leaves_no_file() -> None:
    bucket, _ = ship({"logs": [], "executions": [execution(1)]})
    assert list(bucket.objects) == ["audit/kestra/executions/date=2024-02-29/from-000001.000000.jsonl.gz"]


@pytest.mark.parametrize(
    ("executions", "first"),
    [
        ([], 0),
        ([execution(-86400, flowId="other"), execution(0, flowId="other")], -1),  # never yet: from the first there is
        ([shipped(-5), shipped(-2)], -2),
        ([shipped(-3), shipped(0, "RUNNING")], -3),
    ],
)
def test_days_go_on_from_the_flow_s_last_success(executions: list[Any], first: int) -> None:
    kestra = client(searches({"executions": executions}, []))
    found = orchestrator_logs.days_since_success(kestra, "drydock", "ship_logs", DAY)
    assert found == [DAY + timedelta(days=number) for number in range(first, 1)]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (httpx.Response(401, json={"message": "Who are you?"}), "Kestra refuses /api/v1/main/logs/search: 401"),
        (httpx.Response(200, text="<html>"), "does not answer /api/v1/main/logs/search"),
        (httpx.ConnectError("nobody there"), "does not answer /api/v1/main/logs/search: nobody there"),
    ],
)
def test_nothing_is_replaced_when_kestra_does_not_answer(answer: httpx.Response | Exception, sentence: str) -> None:
    def give(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    bucket = Bucket()
    with pytest.raises(OrchestratorFailed, match=sentence):
        orchestrator_logs.ship(client(give), bucket, "s3://audit/kestra", DAY)  # type: ignore[arg-type]
    assert bucket.objects == {}


def test_a_password_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="cannot be read: No such file"),
        orchestrator_logs.kestra("http://kestra.test", "me", tmp_path / "password"),
    ):
        pass


@pytest.mark.parametrize("day", ["2026-02-30", "20260201", ""])
def test_what_is_no_day_is_wrong_usage(driver: Run, day: str, tmp_path: Path) -> None:
    where = ("--kestra-url", "http://127.0.0.1:9", "--kestra-username", "me", "--kestra-password-file", str(tmp_path))
    done = driver("ship-logs", day, *where)
    assert done.returncode == 2
    assert "expected YYYY-MM-DD" in done.stderr
