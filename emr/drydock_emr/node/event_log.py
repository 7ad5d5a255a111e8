"""The beginning of a Spark application's event log, which says with what properties the application was started."""

import json
from itertools import islice
from pathlib import Path

STEP_PROPERTY = "spark.drydock.step"
"""Set to the step's id, so that an application can be told from its event log to be the step's."""

IN_PROGRESS = ".inprogress"
"""What a log's name, the application's id, ends with for as long as the application runs, or if it was killed."""

FIRST_EVENTS = 20
"""The application's properties are in one of the first events; Spark writes them out before it asks for executors."""


def properties(event_log: Path) -> dict[str, str]:
    """`Spark Properties` of the event SparkListenerEnvironmentUpdate; empty for what is no such log, or not yet."""
    try:
        with event_log.open(errors="replace") as events:
            for line in islice(events, FIRST_EVENTS):
                event = json.loads(line)
                if isinstance(event, dict) and event.get("Event") == "SparkListenerEnvironmentUpdate":
                    found: dict[str, str] = event["Spark Properties"]
                    return found
    except (OSError, ValueError):  # no event log, or one that is just being written
        pass
    return {}
