"""`drydock setup`: fetch and make what the platform runs on. Called by `scripts/prepare.py`, for `make setup`.

All of it is said on stderr, so that `make -s env` prints exports and nothing else.
"""

import os
import threading
import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from drydock import lock, output, settings
from drydock.errors import UsageError
from drydock.toolchain import network, plan

QUIET_SECONDS = 10  # without a terminal: how long a step goes on without a line


def setup(part: Annotated[str, typer.Option(help="Only what this image of compose/ needs.")] = "") -> None:
    """Fetch and make what the platform runs on; what is there is kept."""
    if part and part not in plan.PARTS:
        raise UsageError(f"There is no image `{part}`. There are: {', '.join(plan.PARTS)}.")
    os.environ.update(network.environment())
    paths = settings.Paths()
    steps = plan.part(part) if part else plan.STEPS
    began = time.monotonic()
    with lock.setting_up(paths, output.warn):
        todo = plan.pending(paths, steps)
        if not todo:
            return
        if output.ERRORS.is_terminal:
            with _Live() as live:
                plan.carry_out(paths, steps, live.reporter())
        else:
            plan.carry_out(paths, steps, _Lines().reporter())
    output.ERRORS.print(f"[green]✓[/] Set up in {time.monotonic() - began:.0f} s: {escape(str(paths.home))}")


class _Live:
    """A line a step that moves while the step runs."""

    def __init__(self) -> None:
        columns = SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), TimeElapsedColumn()
        self._progress = Progress(*columns, console=output.ERRORS)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Live":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def reporter(self) -> plan.Reporter:
        return plan.Reporter(self._started, self._news, self._done)

    def _started(self, step: plan.Step) -> None:
        self._tasks[step.name] = self._progress.add_task(escape(step.title), total=1)

    def _news(self, step: plan.Step, news: str) -> None:
        self._progress.update(self._tasks[step.name], description=escape(f"{step.title}: {news}"))

    def _done(self, step: plan.Step, made: str) -> None:
        self._progress.update(self._tasks[step.name], description=escape(f"{step.title}: {made}"), completed=1)


class _Lines:
    """Plain lines for logs: a step's start, its end, and now and then a sign of life."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._spoke: dict[str, float] = {}

    def reporter(self) -> plan.Reporter:
        return plan.Reporter(self._started, self._news, self._done)

    def _started(self, step: plan.Step) -> None:
        self._began[step.name] = time.monotonic()
        self._say(step, f"… {step.title}")

    def _news(self, step: plan.Step, news: str) -> None:
        if time.monotonic() - self._spoke[step.name] > QUIET_SECONDS:
            self._say(step, f"… {step.title}: {news}")

    def _done(self, step: plan.Step, made: str) -> None:
        self._say(step, f"✓ {step.title}: {made} ({time.monotonic() - self._began[step.name]:.1f} s)")

    def _say(self, step: plan.Step, line: str) -> None:
        with self._lock:
            self._spoke[step.name] = time.monotonic()
            output.ERRORS.print(escape(line))
