"""Applications that wait for executors which no worker can ever hold, seen on the master's page.

`spark_program` refuses what the command line asks for; this finds what an application asks for by itself, in its code.
How large an executor it wants, and which step it belongs to, stands at the beginning of its event log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drydock_emr.node import capacity, event_log
from drydock_emr.node.layout import SAFE


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
            properties = event_log.properties(event_log_dir / f"{application_id}{event_log.IN_PROGRESS}")
            reason = capacity.never_fits(properties, workers) if properties else None
            if reason is not None:
                yield Stranded(application_id, properties.get(event_log.STEP_PROPERTY), reason)
