"""The EMR driver as a child: one step on a cluster of its own, outside Kestra, its events read as it goes.

The child runs in a session of its own, so that a Ctrl-C reaches this process alone and is passed on once. It is always
waited for: it ends its cluster before it ends itself.
"""

import json
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from drydock import aws, interrupts, log_files, output, settings
from drydock.site import PLATFORM_CONFIG_URI

# Where things are and how to print; everything else that the driver sees is set below.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE")
# The endpoint is on this machine, and is restarted within seconds if it comes back at all.
UNREACHABLE_SECONDS = 20
# Nodes deliver logs every three seconds, and before a cluster has ended.
LATE_LOGS_SECONDS = 30
TICK_SECONDS = 1.0
TAIL_LINES = 20

Event = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A job as the driver runs it, and what to call that while it runs and when it is done."""

    name: str
    doing: str
    did: str
    command: tuple[str, ...]


@dataclass
class Progress:
    """What the driver has told so far."""

    cluster_id: str | None = None
    cluster_state: str = ""
    step_id: str | None = None
    step_state: str = ""
    news: str = ""
    failures: list[str] = field(default_factory=list)
    # The step's last lines: PySpark sends a program's own stderr to stdout, so a traceback may be in either.
    last_stdout: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    last_stderr: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    def note(self, event: Event) -> None:
        """Take in one event of the driver's."""
        match event["event"]:
            case "cluster":
                self.cluster_id, self.cluster_state = event["cluster_id"], event["state"]
            case "step":
                self.step_id, self.step_state = event["step_id"], event["state"]
            case "log" if event["stream"] == "stderr":
                self.last_stderr.append(event["line"])
            case "log":
                self.last_stdout.append(event["line"])
            case "news":
                self.news = event["text"]
            case "failure":
                self.failures.append(event["text"])

    def __str__(self) -> str:
        parts = [f"cluster {self.cluster_id} {self.cluster_state}" if self.cluster_id else self.news]
        if self.step_id and self.cluster_state not in ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"):
            parts.append(f"step {self.step_state}")
        return ", ".join(part for part in parts if part)


class ChildSignals(interrupts.Signals):
    """Signals that are passed on to the child there is."""

    def __init__(self) -> None:
        super().__init__()
        self._child: subprocess.Popen[str] | None = None

    def start(self, *args: Any, **kwargs: Any) -> "subprocess.Popen[str]":
        """Start a child; a signal that comes while it starts is passed on as well."""
        self._child = subprocess.Popen(*args, **kwargs)
        if self.first is not None:
            self._child.send_signal(self.first)
        return self._child

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)


def run(
    paths: settings.Paths,
    ports: settings.Ports,
    job: Job,
    day: str,
    run_id: str,
    signals: ChildSignals,
    *,
    options: Sequence[str] = (),
    listener: Callable[[Event], None] | None = None,
    console: output.Console = output.CONSOLE,
) -> tuple[int, Progress]:
    """Run a job through the driver, showing how it goes; the driver's exit code and what it has told.

    `options` are further ones of the driver's; `listener` hears all of its events as they come.
    """
    log = paths.logs / "driver.log"
    progress = Progress()
    with (
        _environment(paths, ports) as environment,
        log_files.open_to_append(log) as errors,
        output.stage(job.doing, console) as tell,
        signals.start(
            _command(paths, job, day, run_id, options),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as child,
    ):
        started = time.monotonic()
        with closing(_events(child)) as events:
            try:
                for event in events:
                    if event is not None:
                        progress.note(event)
                        if listener is not None:
                            listener(event)
                    stopping = "stopping, " if signals.first is not None else ""
                    tell(f"{time.monotonic() - started:.0f} s, {stopping}{progress}")
            except BaseException:
                child.terminate()  # nobody reads any more (a `| tee`, ended by the same Ctrl-C): the cluster ends, too
                raise
        exit_code = child.wait()
    if exit_code != 0 and not progress.failures:
        progress.failures.append(f"The driver ended with exit code {exit_code}. What it wrote: `{log}`.")
    return exit_code, progress


def _command(paths: settings.Paths, job: Job, day: str, run_id: str, options: Sequence[str]) -> list[str]:
    driver = str(paths.environment("workspace") / "bin" / "drydock-driver")
    run_options = ["--job", job.name, "--date", day, "--run-id", run_id, "--output", "events"]
    limits = ["--unreachable-seconds", str(UNREACHABLE_SECONDS), "--late-logs-seconds", str(LATE_LOGS_SECONDS)]
    return [driver, "run", *run_options, *limits, *options, "--", *job.command]


@contextmanager
def _environment(paths: settings.Paths, ports: settings.Ports) -> Iterator[dict[str, str]]:
    """The endpoint, the configuration's place, the role, and the operator's key as a file, to assume the role with.

    Without the role's name the driver would read it, with that key, from the configuration.
    """
    with aws.operator_environment(paths, ports, paths.run) as aws_environment:
        yield {
            **{name: os.environ[name] for name in INHERITED if os.environ.get(name)},
            **aws_environment,
            "DRYDOCK_PLATFORM_CONFIG": PLATFORM_CONFIG_URI,
            "DRYDOCK_ROLE_ARN": settings.KESTRA_ROLE_ARN,
            "PYTHONUNBUFFERED": "1",
        }


def _events(child: "subprocess.Popen[str]") -> Generator[Event | None, None, None]:
    """The child's events until it closes its output, and None every second in which it says nothing.

    Closed early, it reads on to the child's end: nobody may close a stream that a thread still reads.
    """
    assert child.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
    reader.start()
    try:
        while True:
            try:
                line = lines.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if line is None:
                return
            yield _event(line)
    finally:
        reader.join()


def _event(line: str) -> Event:
    """What the line tells. One that is no event of the driver's (a library has printed it, say) is shown as it is."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    return event if isinstance(event, dict) and "event" in event else {"event": "news", "text": line.strip()}


def _read(stream: Any, lines: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def failure_of(job: Job, exit_code: int, progress: Progress) -> str:
    """Why a job's run is not a success, as sentences."""
    where = f" on cluster {progress.cluster_id}" if progress.cluster_id else ""
    return f"{job.doing}{where} failed (driver exit code {exit_code}). {' '.join(progress.failures)}"
