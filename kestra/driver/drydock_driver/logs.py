"""A step's output, read from the log bucket while the step runs. Shown, and never used to decide what became of it.

EMR writes `<LogUri>/<cluster id>/steps/<step id>/{controller,syslog,stdout,stderr}.gz` anew every five minutes on AWS
(three seconds here) and when the cluster ends: what is new is what lies behind the lines already shown. Memory stays
bounded, whatever a step prints.
"""

import gzip
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from drydock_driver.emr_api import Step
from drydock_driver.errors import AwsRefused, AwsUnreachable, TimedOut, aws_errors
from drydock_driver.reporting import Reporter
from drydock_driver.s3_uri import S3Uri
from drydock_driver.waiting import Look, Patience, wait_until

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef

TAIL_LINES = 20
# A longer line is shown in pieces.
LINE_CHARACTERS = 64 * 1024
# An exception may quote a whole query plan.
EXCEPTION_CHARACTERS = 500
# Each look reads the whole object: what has grown beyond this is shown by its end alone, when the step has ended.
FOLLOWED_BYTES = 16 * 1024 * 1024
ABSENT_CODES = ("NoSuchKey", "404", "304")
# S3 says this too of what is not there, to those whose right to list the bucket ends at a prefix.
DENIED_CODES = ("AccessDenied", "403")
# What EMR's controller writes last of a step: «INFO Step succeeded with exitCode 0 and took 30 seconds».
_LAST_WORDS = re.compile(r"Step (succeeded|failed) with exitCode")
# Of Spark's own log, on stderr, what tells nobody why a step failed.
_ROUTINE = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (TRACE|DEBUG|INFO) ")
# How Python begins to tell of an exception; it gives a SyntaxError of the program itself no heading.
_TRACEBACK = re.compile(r'Traceback \(most recent call last\):|  File ".+", line \d+')
# A step's times have fractions, those of objects whole seconds.
_CLOCKS = timedelta(seconds=1)


class StepLogs:
    """The logs of one step."""

    def __init__(
        self,
        s3: "S3Client",
        log_uri: str,
        cluster_id: str,
        step_id: str,
        reporter: Reporter,
        *,
        stderr_too: bool = False,
    ) -> None:
        """`stderr_too` follows stderr like stdout; otherwise its end is shown when the step has failed."""
        self.folder = S3Uri.parse(log_uri) / f"{cluster_id}/steps/{step_id}"
        self.step_id = step_id
        self._s3 = s3
        self._reporter = reporter
        self._python = _LastException()
        self._followed = [_Followed(name) for name in (("stdout", "stderr") if stderr_too else ("stdout",))]
        self._refusal_told = False
        self._denial: str | None = None

    @property
    def exception(self) -> str | None:
        """The exception that ended the step's Python program, as far as what has been read of stdout tells."""
        return self._python.told

    def follow(self) -> None:
        """Show the lines that have come since the last look. Nothing there yet is no error."""
        for stream in self._followed:
            self._show_news(stream)

    def finish(self, step: Step, patience: Patience, pause: Callable[[float], None]) -> None:
        """Show what is left of the output and, of a failed step, the end of stderr; wait for it if it is late.

        Raises what `pause` raises.
        """
        if step.started_at is None and step.state in ("CANCELLED", "INTERRUPTED"):
            return  # it never ran
        is_there = self._await_last_words(step, patience, pause)
        for stream in self._followed:
            self._show_news(stream, whole=True)
        if step.state == "COMPLETED" and is_there:
            return
        if step.state != "COMPLETED" and all(stream.name != "stderr" for stream in self._followed):
            self._show_tail("stderr", leave_out=_ROUTINE)
        self._reporter.news(f"all logs of the step{'' if is_there else ', once they have arrived'}: {self.folder}/")

    def summary(self, step: Step, patience: Patience, pause: Callable[[float], None]) -> dict[str, Any] | None:
        """What a step that succeeded says it has done: the last line of its stdout that is a JSON object, if any.

        Waits for the log if it is late. Raises what `pause` raises.
        """
        if step.state != "COMPLETED":
            return None
        self._await_last_words(step, patience, pause)
        found: dict[str, Any] | None = None
        try:
            with self._open("stdout") as log:
                if log is not None and log.size_bytes > FOLLOWED_BYTES:
                    self._reporter.news(f"{self.folder}/stdout.gz is too large to look for what the step says it did")
                    return None
                for line in log.lines() if log else ():
                    if line.startswith("{"):
                        with suppress(ValueError):
                            found = json.loads(line)
        except (AwsUnreachable, AwsRefused) as error:
            self._tell_refusal(error)
        return found

    def _await_last_words(self, step: Step, patience: Patience, pause: Callable[[float], None]) -> bool:
        """Whether all that the step wrote has been delivered, as far as can be told."""
        told = patience.timeout_seconds == 0

        def look() -> Look:
            nonlocal told
            if self._is_delivered(step.ended_at):
                return Look.DONE
            if not told:
                told = True
                self._reporter.news(
                    "the step's last logs have not arrived: EMR delivers them every five minutes and when the cluster "
                    f"ends. Waiting for them, {patience.timeout_seconds:.0f} s at most"
                )
            return Look.SAME

        try:
            wait_until(look, pause, patience, "the step's logs to arrive")
        except (TimedOut, AwsUnreachable, AwsRefused) as error:
            if patience.timeout_seconds > 0:
                denial = f" {self._denial}" if self._denial else ""
                self._reporter.news(f"{error}{denial} The step's state does not depend on its logs.")
            return False
        return True

    def _is_delivered(self, ended_at: datetime | None) -> bool:
        with self._open("controller") as log:
            if log is None:
                return False
            if ended_at is not None and log.modified_at > ended_at + _CLOCKS:
                return True
            return any(_LAST_WORDS.search(line) for line in log.lines())

    def _show_news(self, stream: "_Followed", *, whole: bool = False) -> None:
        """Show new lines; the last one may be half written, and is shown when the log is `whole`."""
        try:
            with self._open(stream.name, None if whole else stream.etag) as log:
                if log is None:
                    return
                if log.size_bytes > FOLLOWED_BYTES:
                    if not stream.is_too_large:
                        stream.is_too_large = True
                        self._reporter.news(f"{self.folder / stream.name}.gz has grown too large to be followed")
                    if whole:
                        self._show_tail(stream.name)
                    return
                for number, line in enumerate(log.lines()):
                    is_complete = line.endswith("\n") or len(line) == LINE_CHARACTERS
                    if number >= stream.shown_lines and (is_complete or whole):
                        self._python.look(stream.name, line)
                        self._reporter.log(self.step_id, stream.name, line.removesuffix("\n"))
                        stream.shown_lines = number + 1
                stream.etag = log.etag
        except (AwsUnreachable, AwsRefused) as error:
            self._tell_refusal(error)

    def _show_tail(self, name: str, leave_out: re.Pattern[str] | None = None) -> None:
        try:
            with self._open(name) as log:
                tail: deque[str] = deque(maxlen=TAIL_LINES)
                for line in log.lines() if log else ():
                    self._python.look(name, line)
                    if leave_out is None or not leave_out.match(line):
                        tail.append(line)
                for line in tail:
                    self._reporter.log(self.step_id, name, line.removesuffix("\n"))
        except (AwsUnreachable, AwsRefused) as error:
            self._tell_refusal(error)

    def _tell_refusal(self, error: AwsUnreachable | AwsRefused) -> None:
        if isinstance(error, AwsRefused) and not self._refusal_told:
            self._refusal_told = True
            self._reporter.news(str(error))

    @contextmanager
    def _open(self, name: str, unless_etag: str | None = None) -> Iterator["_Delivered | None"]:
        """A log as it was delivered last; None when it is not there, or has not changed."""
        place = self.folder / f"{name}.gz"
        with aws_errors(f"read {place}"):
            answer = self._get(place, unless_etag)
            if answer is None:
                yield None
                return
            with answer["Body"] as body:
                yield _Delivered(answer["ETag"], answer["LastModified"], answer["ContentLength"], cast(IO[bytes], body))

    def _get(self, place: S3Uri, unless_etag: str | None) -> "GetObjectOutputTypeDef | None":
        condition: Any = {"IfNoneMatch": unless_etag} if unless_etag else {}
        try:
            answer = self._s3.get_object(Bucket=place.bucket, Key=place.key, **condition)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code not in (*ABSENT_CODES, *DENIED_CODES):
                raise
            self._denial = f"Could not read {place}: {error}." if code in DENIED_CODES else None
            return None
        return answer


class _LastException:
    """The last exception that a Python program wrote, with its traceback; Spark sends both to stdout.

    Of an error of Java's, py4j gives the line that says which method failed, and in a second one, after a colon, why.
    """

    def __init__(self) -> None:
        self.told: str | None = None
        self._is_in_traceback = False
        self._is_before_cause = False

    def look(self, stream: str, line: str) -> None:
        if stream != "stdout":
            return
        line = line.rstrip()
        if self._is_before_cause and line.startswith(": "):
            self.told = f"{self.told} {line.removeprefix(': ')}"[:EXCEPTION_CHARACTERS]
        self._is_before_cause = False
        if _TRACEBACK.match(line):
            self._is_in_traceback = True
        elif self._is_in_traceback and line and not line.startswith(" "):
            self._is_in_traceback = False
            self._is_before_cause = True
            self.told = line[:EXCEPTION_CHARACTERS]


class _Followed:
    """What has been shown of a stream."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.etag: str | None = None
        self.shown_lines = 0
        self.is_too_large = False


class _Delivered:
    """A log in S3."""

    def __init__(self, etag: str, modified_at: datetime, size_bytes: int, body: IO[bytes]) -> None:
        self.etag = etag
        self.modified_at = modified_at
        self.size_bytes = size_bytes
        self._body = body

    def lines(self) -> Iterator[str]:
        """Lines with their ends; of a log that is broken off, those that can be read."""
        try:
            with gzip.GzipFile(fileobj=self._body) as unpacked:
                text = TextIOWrapper(cast(IO[bytes], unpacked), "utf-8", errors="replace", newline="\n")
                while line := text.readline(LINE_CHARACTERS):
                    yield line
        except (OSError, EOFError, zlib.error):
            return
