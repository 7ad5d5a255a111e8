"""What the driver tells the world: news, the step's own lines, and a result that programs can read.

    --output text    news, the step's lines and the result's ids on stdout; failures on stderr
    --output json    the result alone on stdout, one JSON document; everything else on stderr
    --output events  everything on stdout, one JSON document a line, for a program that shows progress
    --output kestra  as text, and the result as a line that Kestra takes for the task's outputs

Whoever reads may be gone: an orchestrator that kills a task closes its pipes first. No write ever fails.
"""

import json
import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

from drydock_driver.emr_api import Cluster, Step


class Output(StrEnum):
    """The forms of output."""

    TEXT = "text"
    JSON = "json"
    EVENTS = "events"
    KESTRA = "kestra"

    @property
    def is_for_people(self) -> bool:
        return self in (Output.TEXT, Output.KESTRA)


class Reporter:
    """All output of the driver."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._cluster_told: Cluster | None = None

    def news(self, text: str) -> None:
        """A line about what the driver does."""
        self._emit("news", text, text=text)

    def cluster(self, cluster: Cluster) -> None:
        """The state of a cluster, told once."""
        if cluster == self._cluster_told:
            return
        self._cluster_told = cluster
        self._emit("cluster", f"cluster {cluster.id} {cluster.state}{_because(cluster.reason)}", **cluster.document())

    def step(self, step: Step) -> None:
        """The state of a step, when it has changed."""
        self._emit("step", f"step {step.id} ({step.name}) {step.state}{_because(step.reason)}", **step.document())

    def log(self, step_id: str, stream: str, line: str) -> None:
        """A line that a step wrote."""
        if self.output.is_for_people:
            _write(sys.stdout if stream == "stdout" else sys.stderr, f"  {stream} | {line}")
        else:
            self._emit("log", f"  {stream} | {line}", step_id=step_id, stream=stream, line=line)

    def failure(self, sentence: str) -> None:
        """Why the driver will exit with another code than 0."""
        if self.output is Output.EVENTS:
            _write(sys.stdout, json.dumps({"event": "failure", "text": sentence}))
        _write(sys.stderr, sentence)

    def result(self, **document: Any) -> None:
        """What came of it: ids and states."""
        if self.output is Output.TEXT:
            parts = (f"{name}={_plain(value)}" for name, value in document.items() if _is_plain(value))
            _write(sys.stdout, "  ".join(parts))
        elif self.output is Output.JSON:
            _write(sys.stdout, json.dumps(document, indent=2))
        elif self.output is Output.KESTRA:
            _write(sys.stdout, f"::{json.dumps({'outputs': document})}::")
        else:
            self._emit("result", "", **document)

    def _emit(self, event: str, text: str, /, **fields: Any) -> None:
        if self.output is Output.EVENTS:
            _write(sys.stdout, json.dumps({"event": event, **fields}))
        else:
            now = datetime.now(UTC).strftime("%H:%M:%S")
            _write(sys.stdout if self.output.is_for_people else sys.stderr, f"{now} {text}")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | bool) or (isinstance(value, list) and all(map(_is_plain, value)))


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _write(stream: TextIO, line: str) -> None:
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        # The reader is gone. What is still in the buffer would fail again at exit and change the exit code.
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            return
