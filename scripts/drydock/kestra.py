"""Kestra's REST API, as far as the verbs need it: the same calls on Kestra's own server and on `kestra/engine`.

Paths and shapes are those of Kestra 2.0 (https://kestra.io/docs/api-reference/open-source). Every method raises
KestraRefused, with Kestra's own sentence, or KestraUnreachable.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from drydock import settings
from drydock.errors import DrydockError

API = "/api/v1/main"
UP_SECONDS = 120
POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 30
PAGE = 100
LIVE_STATES = ("CREATED", "QUEUED", "RUNNING", "RESTARTED", "PAUSED", "RETRYING", "KILLING")

Document = dict[str, Any]


class KestraRefused(DrydockError):
    """Kestra answered that it will not. `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class KestraUnreachable(DrydockError):
    """Kestra did not answer. `may_have_arrived`: it may have done what was asked nonetheless."""

    def __init__(self, message: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


@contextmanager
def client(url: str, password_file: Path) -> Iterator["Kestra"]:
    """Kestra at `url`, with the password in `password_file`."""
    login = httpx.BasicAuth(settings.KESTRA_USERNAME, password_file.read_text().strip())
    # Kestra is on this machine, whatever the user's proxy variables say.
    with httpx.Client(base_url=url, auth=login, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        yield Kestra(http)


class Kestra:
    """The calls, with JSON documents as Kestra sends them."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def await_up(self, lives: Callable[[], bool], seconds: float = UP_SECONDS) -> None:
        """Until it answers. `lives` tells whether its process does; KestraUnreachable as soon as that is over."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.ping()
            except KestraUnreachable:
                if not lives() or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return

    def ping(self) -> None:
        self._ask("GET", "/ping")

    def flows(self) -> list[Document]:
        """All flows that are registered."""
        return self._all("/flows/search", {})

    def validate(self, source: str) -> str | None:
        """Why a flow's YAML would be refused, or None."""
        answer = self._ask("POST", f"{API}/flows/validate", content=source, headers=_YAML)
        return next((told["constraints"] for told in answer.json() if told.get("constraints")), None)

    def register(self, source: str) -> bool:
        """Have it know a flow by its YAML. Whether it was new, or other than the one it knew."""
        namespace, flow = name_of(source)
        known = self.source(namespace, flow)
        if known is None:
            self._ask("POST", f"{API}/flows", content=source, headers=_YAML)
        elif known.strip() != source.strip():
            self._ask("PUT", f"{API}/flows/{namespace}/{flow}", content=source, headers=_YAML)
        else:
            return False
        return True

    def knows(self, source: str) -> bool:
        """Whether it knows a flow as this YAML has it."""
        return (self.source(*name_of(source)) or "").strip() == source.strip()

    def delete(self, namespace: str, flow: str) -> bool:
        """Have it know a flow no longer; executions of it stay. Whether it knew it."""
        try:
            self._ask("DELETE", f"{API}/flows/{namespace}/{flow}")
        except KestraRefused as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            return False
        return True

    def start(self, namespace: str, flow: str, inputs: Mapping[str, str], labels: Mapping[str, str]) -> Document:
        """A new execution."""
        return self._create(namespace, flow, inputs, labels, wait=False)

    def run(self, namespace: str, flow: str, inputs: Mapping[str, str]) -> Document:
        """A new execution, when it has ended."""
        return self._create(namespace, flow, inputs, {}, wait=True)

    def execution(self, execution_id: str) -> Document:
        """The execution now: `state.current`, `taskRunList`."""
        found: Document = self._ask("GET", f"{API}/executions/{execution_id}").json()
        return found

    def executions(self, **filters: str) -> list[Document]:
        """Executions, the newest first; `filters` are fields and what they have to equal, such as flowId."""
        return self._all("/executions/search", {**_equal(filters), "sort": "state.startDate:desc"})

    def live_executions(self) -> list[Document]:
        """Those that have not ended."""
        return self._all(
            "/executions/search", {"filters[state][IN]": ",".join(LIVE_STATES), "sort": "state.startDate:desc"}
        )

    def newest_execution(self, **filters: str) -> Document | None:
        """The newest of `executions`."""
        return self._first("/executions/search", {**_equal(filters), "sort": "state.startDate:desc"})

    def kill(self, execution_id: str) -> None:
        """Ask for the end of an execution and of those that it started."""
        self._ask("DELETE", f"{API}/executions/{execution_id}/actions/kill")

    def logs(self, execution_id: str, task: str | None = None) -> list[Document]:
        """The log of the execution, or of one of its tasks, oldest first: `timestamp`, `level`, `taskId`, `message`."""
        of_task = {} if task is None else {"taskId": task}
        found: list[Document] = self._ask("GET", f"{API}/logs/{execution_id}", params=of_task).json()
        return sorted(found, key=lambda line: line["timestamp"])

    def last_log_line(self, execution_id: str) -> Document | None:
        """What the execution said last, as in `logs`; what only Kestra's developers want to know left out."""
        told = {**_equal({"executionId": execution_id}), "filters[level][GREATER_THAN_OR_EQUAL_TO]": "INFO"}
        return self._first("/logs/search", {**told, "sort": "timestamp:desc"})

    def outputs(self, execution_id: str) -> Document:
        """The flow's outputs; empty where it declares none."""
        found: Document | None = self._ask("GET", f"{API}/outputs/executions/{execution_id}").json()
        return found or {}

    def triggers(self) -> list[Document]:
        """Schedules and other triggers: `flowId`, `triggerId`, `nextEvaluationDate`."""
        return self._all("/triggers/search", {})

    def source(self, namespace: str, flow: str) -> str | None:
        try:
            answer = self._ask("GET", f"{API}/flows/{namespace}/{flow}", params={"source": "true"})
        except KestraRefused as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            return None
        return str(answer.json()["source"])

    def _create(
        self, namespace: str, flow: str, inputs: Mapping[str, str], labels: Mapping[str, str], *, wait: bool
    ) -> Document:
        created: Document = self._ask(
            "POST",
            f"{API}/executions/{namespace}/{flow}",
            params={"wait": str(wait).lower(), "labels": [f"{name}:{value}" for name, value in labels.items()]},
            files={name: (None, value) for name, value in inputs.items()} or None,
            timeout=None if wait else TIMEOUT_SECONDS,
        ).json()
        return created

    def _first(self, path: str, params: Mapping[str, str]) -> Document | None:
        return next(iter(self._ask("GET", API + path, params={**params, "size": "1"}).json()["results"]), None)

    def _all(self, path: str, params: Mapping[str, str]) -> list[Document]:
        found: list[Document] = []
        for page in range(1, 1_000_000):
            answer = self._ask("GET", API + path, params={**params, "page": str(page), "size": str(PAGE)}).json()
            found += answer["results"]
            if len(found) >= answer["total"] or not answer["results"]:
                break
        return found

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise KestraUnreachable(
                f"Kestra at {self._http.base_url} does not answer: {error}.",
                may_have_arrived=not isinstance(error, httpx.ConnectError),
            ) from error
        if answer.is_error:
            told = _message(answer).rstrip(" .")
            raise KestraRefused(f"Kestra refuses {method} {path}: {told}.", answer.status_code)
        return answer


def _equal(filters: Mapping[str, str]) -> dict[str, str]:
    return {f"filters[{name}][EQUALS]": value for name, value in filters.items()}


def name_of(source: str) -> tuple[str, str]:
    """A flow's namespace and id. Raises DrydockError where they do not stand on lines of their own."""
    found = [
        re.search(rf"^{key}: *([\"']?)([\w.-]+)\1 *(?:#.*)?$", source, re.MULTILINE | re.ASCII)
        for key in ("namespace", "id")
    ]
    namespace, flow = (each and each[2] for each in found)
    if namespace is None or flow is None:
        raise DrydockError(
            f"The flow that begins with {source[:40]!r} does not name itself. Expected two lines of their own, `id: …` "
            "and `namespace: …`."
        )
    return namespace, flow


_YAML = {"Content-Type": "application/x-yaml"}


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
