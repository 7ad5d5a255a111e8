"""The end of a tenancy: none of its processes lives on, nothing of its files is left."""

import logging
import os
import shutil
import time
from pathlib import Path

import psutil

from drydock_emr.node import environment, processes
from drydock_emr.node.layout import NodeLayout

GRACE_SECONDS = 3.0
"""Between SIGTERM and SIGKILL."""

log = logging.getLogger(__name__)


def end_processes(layout: NodeLayout, token: str | None) -> None:
    """End all that this node started and all that came of it, whether it knows of it or not. Blocks."""
    marker = environment.tenancy_marker(token) if token else None

    def find() -> set[psutil.Process]:
        registered = processes.registered(layout.processes)
        return processes.with_descendants({*registered, *processes.carrying(marker)} if marker else registered)

    processes.end(find, GRACE_SECONDS)


def wipe(layout: NodeLayout) -> None:
    """Move away, then remove: what is half removed can never be taken for a tenancy. Blocks."""
    if layout.tenancy.root.exists():
        layout.tenancy.root.rename(layout.scratch / f"discarded-{time.time_ns()}")
    for discarded in layout.scratch.glob("discarded-*"):
        try:
            shutil.rmtree(discarded)
        except OSError:
            # A job may leave folders without write permission; they are ours to remove all the same. Links are not.
            for parent, folders, _ in os.walk(discarded):
                for folder in (Path(parent, name) for name in folders):
                    if not folder.is_symlink():
                        folder.chmod(0o700)
            shutil.rmtree(discarded, ignore_errors=True)
        if discarded.exists():
            log.error("%s could not be removed; the next wipe tries again", discarded)
