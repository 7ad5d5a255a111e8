"""Steps: what a lease asks to run, run once, and what became of it.

On EMR every step is `hadoop jar <jar> <args>`; command-runner.jar runs its arguments as a command on the master node
and script-runner.jar a script from S3 ("Run commands and scripts on an Amazon EMR cluster", EMR Release Guide). These
two are known by name and done without Java; any other jar is fetched and run by `hadoop jar`.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drydock_emr.node import controller_log, environment
from drydock_emr.node.controller_log import ControllerLog
from drydock_emr.node.errors import DownloadFailed, StepRefused
from drydock_emr.node.files import read_json, write_json
from drydock_emr.node.layout import STEP_LOGS, NodeLayout, safe_name
from drydock_emr.node.lease import Lease, Status
from drydock_emr.node.s3 import S3Url, fetch, script_argv
from drydock_emr.node_protocol import CancelOption, FailureDetails, LeaseReport, LeaseState
from drydock_emr.node_protocol import Lease as Asked

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

COMMAND_RUNNER = re.compile(r"(.*/)?command-runner\.jar")
SCRIPT_RUNNER = re.compile(r"(s3[an]?://[^/]+/libs/script-runner/|.*/)?script-runner\.jar")
LOCAL_PATH = re.compile(r"(?!\w+:).+", re.DOTALL)
FETCHED = re.compile(r"(s3[an]?|file)://", re.IGNORECASE)
REFUSED_EXIT_CODE = 1
CANCELLED_EXIT_CODE = -15
TAIL_BYTES = 64 * 1024
MESSAGE_CHARACTERS = 2000

# `org.apache.spark.SparkException: …`, `Exception in thread "main" java.lang…: …`, `ValueError: …`, `KeyboardInterrupt`
EXCEPTION = re.compile(
    r"(?:Exception in thread \"[^\"]*\" |Caused by: )?"
    r"((?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error|Exit|Interrupt))"
    r"(?::\s?(.*))?"
)
KNOWN_REASONS = (("FileAlreadyExistsException", "Output directory already exists."),)
UNKNOWN_REASON = "Unknown Error"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Command:
    """What a step runs: a command; a script or a jar, each of which may have to be fetched first."""

    args: tuple[str, ...]
    script_url: str | None = None
    jar: str | None = None


def command_of(asked: Asked) -> Command:
    """What the step's jar and arguments mean. Raises StepRefused, with a sentence for the controller log."""
    if COMMAND_RUNNER.fullmatch(asked.jar):
        if not asked.args:
            raise StepRefused("command-runner.jar was given no arguments; expected a command, such as spark-submit.")
        return Command(asked.args)
    if SCRIPT_RUNNER.fullmatch(asked.jar):
        if not asked.args:
            raise StepRefused("script-runner.jar was given no arguments; expected the script's S3 URL.")
        return Command(asked.args[1:], asked.args[0])
    if not LOCAL_PATH.fullmatch(asked.jar) and not FETCHED.match(asked.jar):
        raise StepRefused(
            f"The jar {asked.jar!r} cannot be fetched: expected a jar in S3 (s3://, s3a:// or s3n://), one on the "
            "master node (file:// or a path), command-runner.jar or script-runner.jar."
        )
    main_class = (asked.main_class,) if asked.main_class else ()
    return Command((*main_class, *asked.args), jar=asked.jar)


def failure_details(stderr_tail: str, log_file: str | None) -> FailureDetails:
    """EMR's FailureDetails: the last exception that the step's stderr names, as far as one can be found."""
    for line in reversed(stderr_tail.splitlines()):
        if match := EXCEPTION.fullmatch(line.strip()):
            message = line.strip().removeprefix("Caused by: ")[:MESSAGE_CHARACTERS]
            reason = next((text for name, text in KNOWN_REASONS if match[1].endswith(name)), UNKNOWN_REASON)
            return FailureDetails(reason=reason, message=message, log_file=log_file)
    return FailureDetails(reason=UNKNOWN_REASON, log_file=log_file)


class Step:
    """One lease of a step on this node. What matters is on disk, so a node that returns takes it up again."""

    def __init__(
        self,
        asked: Asked,
        layout: NodeLayout,
        base_environment: Mapping[str, str],
        log_uri: S3Url | None,
        s3_client: Callable[[], "S3Client"],
        changed: Callable[[], None],
        release_note: str | None = None,
    ) -> None:
        """`release_note` goes into the controller log; see `release.difference`."""
        self.asked = asked
        self.report = LeaseReport(step_id=asked.step_id, attempt=asked.attempt, state=LeaseState.STARTING)
        self._environment = environment.for_step(base_environment, layout.tenancy, asked.step_id, asked.properties)
        self._library = layout.tenancy.step_lib(asked.step_id)
        self._records = layout.tenancy.lease_records(asked.step_id, asked.attempt)
        self._logs = layout.tenancy.step_log(asked.step_id)
        self._lease = Lease(self._records, layout.processes)
        self._controller = ControllerLog(self._logs / "controller")
        self._log_file = str(log_uri / f"steps/{self._logs.name}/stderr.gz") if log_uri else None
        self._s3_client = s3_client
        self._changed = changed
        self._release_note = release_note
        self._reason: str | None = None
        self._cancelled: CancelOption | None = None
        self._halted = False

    @property
    def is_done(self) -> bool:
        return self.report.state in {LeaseState.EXITED, LeaseState.VANISHED}

    async def run(self) -> None:
        """Start it, unless that was done before; see it to its end. Returns when `report` is final."""
        if (final := read_json(self._records / "report.json")) is not None:
            self._publish(LeaseReport.model_validate(final))
            return
        try:
            if not self._lease.was_started:
                await self._start()
            if self._halted and not self._lease.was_started:
                return
        except StepRefused as refusal:
            self._refuse(str(refusal))
            return
        except OSError as error:
            if self._lease.was_started:
                raise
            self._refuse(f"The step could not be started: {error}")
            return
        await self._follow()

    def cancel(self, option: CancelOption) -> None:
        """Interrupt or kill it; asking again changes nothing, but an interrupt can be followed by a kill. Blocks."""
        if self.is_done or self._cancelled in {option, CancelOption.TERMINATE_PROCESS}:
            return
        self._cancelled = option
        log.info("Step %s is cancelled: %s", self.asked.step_id, option)
        if self._logs.is_dir():
            self._controller.note(f"Cancelling the step: {option}")
        if self._lease.status().state is LeaseState.RUNNING:
            self._apply_cancel(option)

    def _apply_cancel(self, option: CancelOption) -> None:
        if option is CancelOption.SEND_INTERRUPT:
            self._lease.interrupt()
        else:
            self.kill()

    def halt(self) -> None:
        """Start nothing any more; what runs is followed to its end."""
        self._halted = True

    def kill(self) -> None:
        """End every process of the step. Blocks."""
        self._lease.kill(self._marker())

    def fail(self, reason: str) -> None:
        """End a step that can come to nothing, with a sentence of why; asking again changes nothing. Blocks."""
        if self.is_done or self._reason is not None:
            return
        self._reason = reason
        self._controller.note(reason, "ERROR")
        with contextlib.suppress(OSError), (self._logs / "stderr").open("a") as stderr:
            stderr.write(f"{reason}\n")
        self.kill()

    async def _start(self) -> None:
        for folder in (self._records, self._library, self._logs):
            folder.mkdir(parents=True, exist_ok=True)
        self._controller.note(f"Ensure step {self.asked.step_id} jar file {self.asked.jar}")
        for name in STEP_LOGS:
            (self._logs / name).touch()
        if self._release_note is not None:
            self._controller.note(self._release_note, "WARN")
        argv = await asyncio.to_thread(self._prepare, command_of(self.asked))
        if self._cancelled is not None or self.asked.cancel is not None:
            self._finish(Status(LeaseState.EXITED, exit_code=CANCELLED_EXIT_CODE, ended_at=time.time()))
            return
        if self._halted:
            return
        self._controller.started(argv, self._environment, self._library, self._logs)
        log.info("Step %s (%s) starts: %s", self.asked.step_id, self.asked.name, argv[0])
        self._lease.start(
            argv,
            what=f"step {self.asked.step_id}",
            environment=self._environment,
            cwd=self._library,
            stdout=self._logs / "stdout",
            stderr=self._logs / "stderr",
            epitaph=controller_log.EPITAPH,
        )

    def _prepare(self, command: Command) -> list[str]:
        """Fetch what the command needs; its arguments. Blocks. Raises StepRefused."""
        try:
            if command.script_url is not None:
                script = self._library / "script"
                fetch(command.script_url, script, self._s3_client)
                return script_argv(script, command.args)
            if command.jar is not None:
                jar = command.jar
                if FETCHED.match(jar):
                    jar = str(self._library / safe_name(jar.rpartition("/")[2]))
                    fetch(command.jar, Path(jar), self._s3_client)
                return ["hadoop", "jar", jar, *command.args]
        except DownloadFailed as error:
            raise StepRefused(str(error)) from error
        return list(command.args)

    async def _follow(self) -> None:
        announced = False
        while not self.is_done:
            status = self._lease.status()
            if status.state in {LeaseState.EXITED, LeaseState.VANISHED}:
                self._finish(status)
            elif status.state is LeaseState.RUNNING and not announced:
                announced = True
                if status.pid is not None:
                    self._controller.running(status.pid)
                self._publish(
                    self.report.model_copy(update={"state": LeaseState.RUNNING, "started_at": status.started_at})
                )
                if self._cancelled is not None:
                    # The wish to cancel may have come before there was a process to send it to.
                    await asyncio.to_thread(self._apply_cancel, self._cancelled)
            else:
                await asyncio.sleep(0.1)

    def _finish(self, status: Status) -> None:
        ended_at = status.ended_at if status.ended_at is not None else time.time()
        seconds = ended_at - (status.started_at if status.started_at is not None else ended_at)
        for note in _lines(self._library / "notes"):
            self._controller.note(note, "WARN")
        self._controller.ended(status.exit_code, seconds)
        failure = None
        if status.exit_code == 0:
            self._controller.note(f"Step succeeded with exitCode 0 and took {seconds:.0f} seconds")
        else:
            failure = (
                FailureDetails(reason=UNKNOWN_REASON, message=self._reason, log_file=self._log_file)
                if self._reason is not None
                else failure_details(_tail(self._logs / "stderr"), self._log_file)
            )
            code = "none" if status.exit_code is None else status.exit_code
            self._controller.note(f"Step failed with exitCode {code} and took {seconds:.0f} seconds", "WARN")
        self._conclude(status, ended_at, failure)

    def _refuse(self, sentence: str) -> None:
        self._controller.note(sentence, "ERROR")
        self._controller.note(f"Step failed with exitCode {REFUSED_EXIT_CODE} and took 0 seconds", "WARN")
        status = Status(LeaseState.EXITED, exit_code=REFUSED_EXIT_CODE)
        log_file = self._log_file and self._log_file.replace("stderr.gz", "controller.gz")
        self._conclude(status, time.time(), FailureDetails(reason=UNKNOWN_REASON, message=sentence, log_file=log_file))

    def _conclude(self, status: Status, ended_at: float, failure: FailureDetails | None) -> None:
        final = self.report.model_copy(
            update={
                "state": status.state,
                "started_at": status.started_at,
                "ended_at": ended_at,
                "exit_code": status.exit_code,
                "failure": failure,
            }
        )
        try:
            write_json(self._records / "report.json", final.model_dump(mode="json"))
        except OSError as error:  # the lease's own records tell the same, save for the reason
            log.warning("The end of step %s cannot be written down: %s", self.asked.step_id, error)
        log.info("Step %s %s with exit code %s", self.asked.step_id, status.state, status.exit_code)
        self._publish(final)

    def _publish(self, report: LeaseReport) -> None:
        self.report = report
        self._changed()

    def _marker(self) -> dict[str, str]:
        names = (environment.TOKEN, environment.STEP_ID)
        return {name: self._environment[name] for name in names}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:  # the step removed its own log
        return ""
