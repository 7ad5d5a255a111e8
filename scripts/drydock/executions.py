"""Executions of the platform's flows: started, looked at while they run, ended early, explained when they fail.

An execution of a day's flow runs `emr_cluster` as an execution of its own, whose tasks are the stages of a cluster's
life; that one can be run by itself as well, and other flows may run several, or flows that do. All of them bear
Kestra's label `system.correlationId`; the run's id is given by it, and the run's clusters have that in their names.
"""

import re
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx

from drydock import kestra, output, secrets, settings
from drydock.day import FlowRun
from drydock.errors import DrydockError, UsageError
from drydock.interrupts import Signals
from drydock.kestra import Document, Kestra, KestraRefused, KestraUnreachable

CLUSTER_FLOW = "emr_cluster"
CORRELATION = "system.correlationId"
SUCCESS = "SUCCESS"
ENDED = {SUCCESS, "WARNING", "FAILED", "KILLED", "CANCELLED"}
POLL_SECONDS = 0.5
# An engine that was killed is started again, and answers within half a minute; what ran goes on then.
UNREACHABLE_SECONDS = 120
# Whoever is to be stopped waits for less.
UNREACHABLE_STOPPING_SECONDS = 20
SHOWN_LINES = 25
NEWS_CHARACTERS = 120
LATE_LINES_SECONDS = 3

# Whose executions are an execution's own, and not those that its state has set off.
_TRIGGERS = "io.kestra.plugin.core.trigger."
_TIME_OF_DAY = re.compile(r"^\d\d:\d\d:\d\d ")
# What Kestra adds to the log of a command that failed.
_KESTRA_S_OWN = re.compile(r"^(?:io\.kestra\S+: )?Command failed with exit code (\d+)$")


@contextmanager
def client(paths: settings.Paths, ports: settings.Ports) -> Iterator[Kestra]:
    """The platform's Kestra."""
    with kestra.client(ports.kestra_url, secrets.Secrets(paths.secrets).kestra_password) as found:
        yield found


@dataclass(frozen=True)
class Failure:
    """What failed, as a phrase that names execution and task, the last lines of that task's log, and its cluster."""

    what: str
    lines: list[str]
    cluster_id: str | None = None

    @property
    def last_words(self) -> str:
        """Those of the driver, which ends with a sentence that says why; empty when it was killed."""
        return self.lines[-1] if self.lines else ""


class Execution:
    """An execution of a flow, with those that it has started, as they were at the last look."""

    def __init__(self, engine: Kestra, asked: FlowRun, run_id: str, stopping_seconds: float) -> None:
        """Starts it; an engine that is being restarted is waited for. `stopping_seconds` is its site's.

        Raises KestraRefused or KestraUnreachable.
        """
        self.asked = asked
        self._engine, self._stopping_seconds = engine, stopping_seconds
        self._found = _start(engine, asked, run_id)
        self._started: dict[str, list[Document]] = {}  # by whose they are, in their order
        self._line = ""
        self._to_end_since: float | None = None
        self._answered_at = self._started_at = time.monotonic()

    @property
    def id(self) -> str:
        return str(self._found["id"])

    @property
    def state(self) -> str:
        """Kestra's: QUEUED, RUNNING, SUCCESS, FAILED, KILLED and so on."""
        return str(self._found["state"]["current"])

    @property
    def has_ended(self) -> bool:
        return all(_state(each) in ENDED for each in self._family())

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._started_at

    @property
    def news(self) -> str:
        """Which stage it is in, and the last line of its log."""
        silent = time.monotonic() - self._answered_at
        if silent > 2 * POLL_SECONDS + kestra.POLL_SECONDS:
            return f"Kestra has not answered for {silent:.0f} s"
        newest = next(reversed(self._of_clusters()), None)
        if newest is None and not self._line:
            return self.state.lower()
        tasks = (newest or self._found).get("taskRunList") or []
        stage = tasks[-1]["taskId"] if tasks else self.state.lower()
        told = ": ".join(filter(None, [stage, self._line]))
        return textwrap.shorten(told, NEWS_CHARACTERS, placeholder=" …")

    def look(self) -> None:
        """Ask Kestra. Raises KestraUnreachable when it has given no answer for a while, KestraRefused."""
        try:
            self._found = self._engine.execution(self.id)
            self._look_for_those_of(self._found)
            talking = next(reversed(self._of_clusters()), self._found)
            if line := self._engine.last_log_line(talking["id"]):
                self._line = _TIME_OF_DAY.sub("", line["message"]).strip()
            self._answered_at = time.monotonic()
        except KestraUnreachable:
            patience = UNREACHABLE_SECONDS if self._to_end_since is None else UNREACHABLE_STOPPING_SECONDS
            if time.monotonic() - self._answered_at > patience:
                raise

    def kill(self) -> None:
        """Ask for its end; whichever task runs ends the cluster first. To be repeated until it has ended: nobody may
        have heard it, and Kestra does not pass it on to an execution that was only just being started.

        Raises DrydockError when it does not end.
        """
        now = time.monotonic()
        self._to_end_since = self._to_end_since or now
        if now - self._to_end_since > self._stopping_seconds:
            raise DrydockError(f"Execution {self.id} of {self.asked.flow} does not end: it is {self.state}.")
        for each in self._family():
            if _state(each) not in (*ENDED, "KILLING"):
                with suppress(KestraUnreachable, KestraRefused):  # refused: it has ended meanwhile
                    self._engine.kill(each["id"])

    def end(self) -> None:
        """Have it ended, and wait for that. Raises DrydockError when it does not."""
        while not self.has_ended:
            self.kill()
            time.sleep(POLL_SECONDS)
            self.look()

    def results(self) -> Document:
        """The outputs of the newest cluster's flow, as far as it got: `cluster_id`, `steps`, `rows`,
        `cost_estimate_usd`."""
        return next(reversed(self.results_of_clusters()), {})

    def results_of_clusters(self) -> list[Document]:
        """The like of each of its clusters."""
        return [self._engine.outputs(each["id"]) for each in self._of_clusters()]

    def stale_days(self) -> list[date]:
        """The later days that the processor says it made stale."""
        told: list[dict[str, Any]] = [step["told"] for step in self.results().get("steps", []) if step.get("told")]
        return [date.fromisoformat(day) for each in told for day in each.get("stale_days", [])]

    def failure(self) -> "Failure":
        """Why it is no success. What a task wrote last arrives some moments after its end."""
        execution, task = self._failed_task()
        deadline = time.monotonic() + LATE_LINES_SECONDS
        while True:
            lines = [line["message"] for line in self._engine.logs(execution["id"], task)] if task else []
            # A task that could not even begin has no log; the execution's says why.
            lines = lines or [
                line["message"] for line in self._engine.logs(execution["id"]) if line["level"] == "ERROR"
            ]
            exit_code = next((told[1] for line in lines if (told := _KESTRA_S_OWN.match(line))), None)
            if exit_code is not None or task is None or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        own = [line for line in lines if not _KESTRA_S_OWN.match(line)][-SHOWN_LINES:]
        where = f"task `{task}` of execution {execution['id']}" if task else f"execution {execution['id']}"
        how = f" (exit code {exit_code})" if exit_code is not None else ""
        of_cluster = self._engine.outputs(execution["id"]) if execution["flowId"] == CLUSTER_FLOW else {}
        what = f"{where} ({execution['flowId']}) is {_state(execution)}{how}"
        return Failure(what, own, of_cluster.get("cluster_id"))

    def _look_for_those_of(self, execution: Document) -> None:
        """What it has started, and what those have. A cluster's flow starts none."""
        if execution["flowId"] == CLUSTER_FLOW:
            return
        known = {each["id"]: each for each in self._started.get(execution["id"], ())}
        found = []
        for listed in reversed(self._engine.executions(triggerExecutionId=execution["id"])):
            each = known.get(listed["id"])
            if each is None or _state(each) not in ENDED:
                each = self._engine.execution(listed["id"])
            if not (each.get("trigger") or {}).get("type", "").startswith(_TRIGGERS):
                found.append(each)
        self._started[execution["id"]] = found
        for each in found:
            self._look_for_those_of(each)

    def _family(self, of: Document | None = None) -> list[Document]:
        """The execution, and all that was started for it, each after whose it is."""
        of = of or self._found
        return [of, *(each for child in self._started.get(of["id"], ()) for each in self._family(child))]

    def _of_clusters(self) -> list[Document]:
        return [each for each in self._family() if each["flowId"] == CLUSTER_FLOW]

    def _failed_task(self) -> tuple[Document, str | None]:
        """The innermost execution that failed, and the first of its tasks that did."""
        execution: Document | None = self._found
        while execution is not None:
            failed = execution
            execution = next((each for each in self._started.get(failed["id"], ()) if _state(each) != SUCCESS), None)
        tasks = failed.get("taskRunList") or []
        well = (SUCCESS, "SKIPPED", "RUNNING")
        return failed, next((task["taskId"] for task in tasks if _state(task) not in well), None)


def _start(engine: Kestra, asked: FlowRun, run_id: str) -> Document:
    """The new execution. Raises UsageError for a value that Kestra does not take: it has begun nothing then."""
    deadline = time.monotonic() + UNREACHABLE_SECONDS
    while True:
        try:
            return engine.start(asked.namespace, asked.flow, asked.inputs, {CORRELATION: run_id})
        except KestraRefused as error:
            if error.status == httpx.codes.UNPROCESSABLE_ENTITY:
                raise UsageError(str(error)) from error
            raise
        except KestraUnreachable as error:
            if error.may_have_arrived or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def follow(engine: Kestra, asked: FlowRun, run_id: str, signals: Signals, stopping_seconds: float) -> Execution:
    """Run a flow, showing how it goes, until it has ended; a signal ends it early.

    Whoever leaves by an exception, because nobody reads any more for instance, has ended it as well.
    """
    execution = Execution(engine, asked, run_id, stopping_seconds)
    try:
        with output.stage(asked.doing) as tell:
            while not execution.has_ended:
                if signals.first is not None:
                    execution.kill()
                stopping = "stopping, " if signals.first is not None else ""
                tell(f"{execution.seconds:.0f} s, {stopping}{execution.news}")
                time.sleep(POLL_SECONDS)
                execution.look()
    except BaseException:
        with suppress(DrydockError):
            execution.end()
        raise
    return execution


def show_failure(execution: Execution) -> str:
    """Show the log of the task that failed; a sentence that says what failed."""
    failure = execution.failure()
    for line in failure.lines:
        output.say(f"    {line}")
    on_cluster = f" on cluster {failure.cluster_id}" if failure.cluster_id else ""
    why = f": {failure.last_words}" if failure.last_words else "."
    return f"{execution.asked.doing}{on_cluster} failed: {failure.what}{why}"


def _state(document: Document) -> str:
    return str(document["state"]["current"])
