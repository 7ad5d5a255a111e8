"""Applications that wait for executors which no worker can ever hold, seen on the master's page.

`spark_program` refuses what the command line asks for; this finds what an application asks for by itself, in its code.
How large an executor it wants, and which step it belongs to, stands at the beginning of its event log.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from drydock_emr.node import capacity
from drydock_emr.node.layout import SAFE
from drydock_emr.node.spark_program import STEP_PROPERTY

FIRST_EVENTS = 20
"""The application's properties are in one of the first events; Spark writes them out before it asks for executors."""


@dataclass(frozen=True)
class Stranded:
    """An application that will wait for ever. `step_id` is None when it was not started by a step."""

    application_id: str
    step_id: str | None
    reason: str


def find(page: Mapping[str, Any], event_log_dir: Path) -> Iterator[Stranded]:
    """Those of a master's page (`/json/`). One without an event log cannot be told from one that waits its turn."""
    workers = capacity.workers_of(page)
    for application in page.get("activeapps", ()):
        application_id = str(application.get("id", ""))
        if application.get("state") == "WAITING" and SAFE.fullmatch(application_id):
            properties = _properties(event_log_dir, application_id)
            reason = capacity.never_fits(properties, workers) if properties else None
            if reason is not None:
                yield Stranded(application_id, properties.get(STEP_PROPERTY), reason)


def _properties(event_log_dir: Path, application_id: str) -> dict[str, str]:
    try:
        with (event_log_dir / f"{application_id}.inprogress").open(errors="replace") as events:
            for line in islice(events, FIRST_EVENTS):
                event = json.loads(line)
                if event.get("Event") == "SparkListenerEnvironmentUpdate":
                    properties: dict[str, str] = event["Spark Properties"]
                    return properties
    except (OSError, ValueError):  # no event log, or one that is just being written
        pass
    return {}
