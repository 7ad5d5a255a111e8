"""What the orchestrator knows of a day, copied from Kestra's REST API into S3: its log lines and its executions.

    <audit_uri>/logs/date=YYYY-MM-DD/logs.jsonl.gz                lines by their time, oldest first
    <audit_uri>/executions/date=YYYY-MM-DD/executions.jsonl.gz    executions by their start, oldest first

One JSON document a line, as Kestra gives it. A day that is copied again is replaced, so that copying early and often
loses nothing; one with nothing to copy leaves no file. Paths and filters are those of Kestra 2 (https://kestra.io/docs/api-reference/open-source).
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import httpx

from drydock_driver.errors import OrchestratorFailed, UsageError, aws_errors
from drydock_driver.s3_uri import S3Uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

API = "/api/v1/main"
PAGE = 1000
TIMEOUT_SECONDS = 60
IN_MEMORY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Source:
    """A kind of document: what it is sorted by, and where it is asked for and put."""

    name: str
    sort: str


SOURCES = (Source("logs", "timestamp:asc"), Source("executions", "state.startDate:asc"))


@contextmanager
def kestra(url: str, username: str, password_file: Path) -> Iterator[httpx.Client]:
    """Kestra's API. Raises UsageError when the password cannot be read."""
    try:
        password = password_file.read_text().strip()
    except OSError as error:
        raise UsageError(f"Kestra's password `{password_file}` cannot be read: {error.strerror}.") from error
    # trust_env: the orchestrator is this machine or its neighbour, whatever proxies there are.
    with httpx.Client(base_url=url, auth=(username, password), timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        yield client


def ship(client: httpx.Client, s3: "S3Client", audit_uri: str, day: date) -> dict[str, int]:
    """Copy a day; how many documents of each kind. Raises OrchestratorFailed, AwsRefused or AwsUnreachable.

    Nothing of a kind is replaced before all of it has been read.
    """
    counts = {}
    for source in SOURCES:
        place = S3Uri.parse(audit_uri) / f"{source.name}/date={day.isoformat()}/{source.name}.jsonl.gz"
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
            counts[source.name] = _write(file, _documents(client, source, day))
            if not counts[source.name]:
                continue
            file.seek(0)
            with aws_errors(f"write {place}"):
                s3.upload_fileobj(file, place.bucket, place.key)
    return counts


def _write(file: Any, documents: Iterator[dict[str, Any]]) -> int:
    count = 0
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:  # the same day is the same file
        for document in documents:
            packed.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def _documents(client: httpx.Client, source: Source, day: date) -> Iterator[dict[str, Any]]:
    begin = datetime.combine(day, time(), UTC)
    of_day = {
        "filters[startDate][GREATER_THAN_OR_EQUAL_TO]": begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "filters[startDate][LESS_THAN]": (begin + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    seen, number = 0, 1
    while True:
        page = {**of_day, "sort": source.sort, "size": str(PAGE), "page": str(number)}
        answer = _get(client, f"{API}/{source.name}/search", page)
        yield from answer["results"]
        seen, number = seen + len(answer["results"]), number + 1
        if seen >= answer["total"] or not answer["results"]:
            return


def _get(client: httpx.Client, path: str, params: dict[str, str]) -> Any:
    try:
        answer = client.get(path, params=params)
        answer.raise_for_status()
        return answer.json()
    except httpx.HTTPStatusError as error:
        said = f"{error.response.status_code}: {error.response.text[:200]}"
        raise OrchestratorFailed(f"Kestra refuses {path}: {said}") from error
    except (httpx.HTTPError, ValueError) as error:
        raise OrchestratorFailed(f"Kestra at {client.base_url} does not answer {path}: {error}") from error
