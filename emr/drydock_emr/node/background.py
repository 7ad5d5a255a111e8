"""Tasks that run beside the one that started them, each under a name, until they end or are cancelled by it.

A task that ends with an exception is told in the node's log, at once and with its stack: nobody awaits it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Background:
    """The tasks of one owner. `crashed` is called, with the task's name, after the log has told what happened."""

    def __init__(self, crashed: Callable[[str], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._crashed = crashed

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._settle)
        return task

    async def cancel(self, *names: str) -> None:
        """Cancel the tasks of these names, or all when none is given, and wait until they have ended."""
        tasks = [task for task in self._tasks if not names or task.get_name() in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("%s ended with an error of the node's own", task.get_name(), exc_info=error)
        if self._crashed is not None:
            self._crashed(task.get_name())
