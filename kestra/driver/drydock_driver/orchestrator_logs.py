"""What the orchestrator knows of a day, copied from Kestra's REST API into S3: its log lines and its executions.

    <audit_uri>/logs/date=YYYY-MM-DD/from-<time>.jsonl.gz          lines by their time, oldest first
    <audit_uri>/executions/date=YYYY-MM-DD/from-<time>.jsonl.gz    executions by their start, oldest first

One JSON document a line, as Kestra gives it. A day that is copied again is replaced, so that copying early and often
loses nothing; one with nothing to copy leaves no file. `<time>` is that of the first document: a Kestra that began anew
in the middle of a day adds a file, and takes nothing from the one before. Paths and filters are those of Kestra 2
(https://kestra.io/docs/api-reference/open-source).
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

Document = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A kind of document: where it is asked for and put, and where its time is."""

    name: str
    time: str

    def time_of(self, document: Document) -> str:
        """In ISO 8601, as Kestra tells it."""
        value: Any = document
        for name in self.time.split("."):
            value = value[name]
        return str(value)


SOURCES = (Source("logs", "timestamp"), Source("executions", "state.startDate"))


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
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
            first, counts[source.name] = _write(file, _documents(client, source, day))
            if first is None:
                continue
            began = datetime.fromisoformat(source.time_of(first)).astimezone(UTC).strftime("%H%M%S.%f")
            place = S3Uri.parse(audit_uri) / f"{source.name}/date={day.isoformat()}/from-{began}.jsonl.gz"
            file.seek(0)
            with aws_errors(f"write {place}"):
                s3.upload_fileobj(file, place.bucket, place.key)
    return counts


def days_since_success(client: httpx.Client, namespace: str, flow: str, today: date) -> list[date]:
    """The days from that of the flow's last successful execution to today; where there was none, from that of the first
    execution that there is."""
    one = {"size": "1", "page": "1"}
    of_flow = {"filters[namespace][EQUALS]": namespace, "filters[flowId][EQUALS]": flow}
    of_flow |= {"filters[state][IN]": "SUCCESS"}
    found = (
        _get(client, f"{API}/executions/search", {**of_flow, **one, "sort": "state.startDate:desc"})["results"]
        or _get(client, f"{API}/executions/search", {**one, "sort": "state.startDate:asc"})["results"]
    )
    since = datetime.fromisoformat(found[0]["state"]["startDate"]).astimezone(UTC).date() if found else today
    return [since + timedelta(days=number) for number in range((today - since).days + 1)]


def _write(file: Any, documents: Iterator[Document]) -> tuple[Document | None, int]:
    """The first document, and how many there are."""
    first, count = None, 0
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:  # the same day is the same file
        for document in documents:
            first = first or document
            packed.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
            count += 1
    return first, count


def _documents(client: httpx.Client, source: Source, day: date) -> Iterator[Document]:
    """Each page begins where the one before ended: page numbers would skip or repeat what has one time with another."""
    since = datetime.combine(day, time(), UTC).isoformat()
    until = datetime.combine(day + timedelta(days=1), time(), UTC).isoformat()
    seen: list[Document] = []  # those with the time `since`
    while True:
        page = {
            "filters[startDate][GREATER_THAN_OR_EQUAL_TO]": since,
            "filters[startDate][LESS_THAN]": until,
            "sort": f"{source.time}:asc",
            "size": str(PAGE),
            "page": "1",
        }
        found: list[Document] = _get(client, f"{API}/{source.name}/search", page)["results"]
        new = [document for document in found if document not in seen]
        yield from new
        if len(found) < PAGE:
            return
        if not new:
            raise OrchestratorFailed(f"Kestra has {PAGE} {source.name} or more of one moment, {since}.")
        since = source.time_of(found[-1])
        seen = [document for document in found if source.time_of(document) == since]


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
