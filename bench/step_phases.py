"""Where the seconds of a Spark step go, by its application's event log."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

PHASES = (
    "spark-submit's JVM starts, fetches the program and starts Python",
    "Python asks for a SparkContext, and the program for its first job",
    "the job waits for executors",
    "the job's tasks run",
    "the program ends",
    "the JVM ends, and the step is told to be COMPLETED",
)


def seconds_of_phases(event_log: Path, began: float, ended: float) -> dict[str, float]:
    """Seconds by phase, of a step of one application that was added and seen to be COMPLETED at these times (since
    1970)."""
    events = [json.loads(line) for line in event_log.read_text().splitlines()]

    def first(name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(event for event in events if event["Event"] == f"SparkListener{name}")
        return found

    last_job = [event for event in events if event["Event"] == "SparkListenerJobEnd"][-1]
    milliseconds = (
        first("ApplicationStart")["Timestamp"],
        first("JobStart")["Submission Time"],
        first("TaskStart")["Task Info"]["Launch Time"],
        last_job["Completion Time"],
        first("ApplicationEnd")["Timestamp"],
    )
    times = [began, *(time / 1000 for time in milliseconds), ended]
    return {phase: after - before for phase, (before, after) in zip(PHASES, pairwise(times), strict=True)}
