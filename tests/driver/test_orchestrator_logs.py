"""A day of Kestra's, copied to S3, with a Kestra and an S3 that answer as they are told. (For real: tests/platform.)"""

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from drydock_driver import orchestrator_logs
from drydock_driver.errors import OrchestratorFailed, UsageError
from tests.driver.conftest import Run

DAY = date(2024, 2, 29)


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


def pages(documents: dict[str, list[Any]], asked: list[httpx.URL]) -> Any:
    """Kestra's searches over these documents."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        params, kind = request.url.params, request.url.path.split("/")[-2]
        size, begin = int(params["size"]), (int(params["page"]) - 1) * int(params["size"])
        found = documents[kind]
        return httpx.Response(200, json={"results": found[begin : begin + size], "total": len(found)})

    return answer


def test_all_pages_of_a_day_become_one_file_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator_logs, "PAGE", 3)
    documents = {"logs": [{"message": f"number {n}: ü"} for n in range(7)], "executions": [{"id": "e"}] * 3}
    asked: list[httpx.URL] = []
    bucket = Bucket()
    counts = orchestrator_logs.ship(client(pages(documents, asked)), bucket, "s3://audit/kestra", DAY)  # type: ignore[arg-type]
    assert counts == {"logs": 7, "executions": 3}
    assert bucket.lines("audit/kestra/logs/date=2024-02-29/logs.jsonl.gz") == documents["logs"]
    assert bucket.lines("audit/kestra/executions/date=2024-02-29/executions.jsonl.gz") == documents["executions"]
    assert [url.path for url in asked] == ["/api/v1/main/logs/search"] * 3 + ["/api/v1/main/executions/search"]
    assert all(url.params["filters[startDate][GREATER_THAN_OR_EQUAL_TO]"] == "2024-02-29T00:00:00Z" for url in asked)
    assert all(url.params["filters[startDate][LESS_THAN]"] == "2024-03-01T00:00:00Z" for url in asked)
    assert [asked[0].params["sort"], asked[-1].params["sort"]] == ["timestamp:asc", "state.startDate:asc"]


def test_the_same_day_is_the_same_file() -> None:
    buckets = [Bucket(), Bucket()]
    for bucket in buckets:
        documents = {"logs": [{"message": "a line"}], "executions": []}
        orchestrator_logs.ship(client(pages(documents, [])), bucket, "s3://audit/kestra", DAY)  # type: ignore[arg-type]
    assert buckets[0].objects == buckets[1].objects


def test_a_kind_of_which_there_is_nothing_leaves_no_file() -> None:
    bucket = Bucket()
    orchestrator_logs.ship(client(pages({"logs": [], "executions": [{}]}, [])), bucket, "s3://audit", DAY)  # type: ignore[arg-type]
    assert list(bucket.objects) == ["audit/executions/date=2024-02-29/executions.jsonl.gz"]


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
