"""A step's output, read from the log bucket while the step runs. Shown, and never used to decide anything.

EMR writes `<LogUri>/<cluster id>/steps/<step id>/{controller,syslog,stdout,stderr}.gz` anew every few minutes on AWS
(seconds here) and when the cluster ends: what is new is what lies behind the lines already shown.
"""

import gzip
import time
import zlib
from typing import TYPE_CHECKING

from drydock_driver.errors import AwsRefused, AwsUnreachable, aws_errors
from drydock_driver.reporting import Reporter
from drydock_driver.s3_uri import S3Uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TAIL_LINES = 20
# Each look reads the whole object: what has grown beyond this is left to those who fetch it themselves.
FOLLOWED_BYTES = 16 * 1024 * 1024
ABSENT_CODES = ("NoSuchKey", "404", "304")


class StepLogs:
    """The logs of one step."""

    def __init__(self, s3: "S3Client", log_uri: str, cluster_id: str, step_id: str, reporter: Reporter) -> None:
        self.folder = S3Uri.parse(log_uri) / f"{cluster_id}/steps/{step_id}"
        self._s3 = s3
        self.step_id = step_id
        self._reporter = reporter
        self._etag: str | None = None
        self._shown_lines = 0
        self._too_large = False
        self._refusal_shown = False

    def follow(self) -> None:
        """Show the lines of stdout that have come since the last look. Nothing there yet is no error."""
        lines = self._stdout_lines()
        # The last line may be half written; `finish` shows it.
        self._show(lines[:-1])

    def finish(self, *, failed: bool, patience_seconds: float) -> None:
        """Show what is left of stdout and, of a failed step, the end of stderr, waiting for it if need be."""
        lines = self._stdout_lines(again=True)
        self._show(lines if lines and lines[-1] else lines[:-1])
        if not failed:
            return
        deadline = time.monotonic() + patience_seconds
        while (text := self._read("stderr.gz")) is None and time.monotonic() < deadline:
            time.sleep(1)
        if text is None:
            self._reporter.news(f"no stderr has arrived yet; it will be {self.folder / 'stderr.gz'}")
            return
        for line in text.splitlines()[-TAIL_LINES:]:
            self._reporter.log(self.step_id, "stderr", line)
        self._reporter.news(f"all logs of the step: {self.folder}/")

    def _show(self, lines: list[str]) -> None:
        for line in lines[self._shown_lines :]:
            self._reporter.log(self.step_id, "stdout", line)
        self._shown_lines = max(self._shown_lines, len(lines))

    def _stdout_lines(self, *, again: bool = False) -> list[str]:
        if self._too_large:
            return []
        text = self._read("stdout.gz", None if again else self._etag)
        return text.split("\n") if text is not None else []

    def _read(self, name: str, unless_etag: str | None = None) -> str | None:
        """The text of a log; None when it is not there, not readable, not changed, or broken off."""
        place = self.folder / name
        condition = {"IfNoneMatch": unless_etag} if unless_etag else {}
        try:
            with aws_errors(f"read {place}"):
                answer = self._s3.get_object(Bucket=place.bucket, Key=place.key, **condition)  # type: ignore[arg-type]
                if answer["ContentLength"] > FOLLOWED_BYTES:
                    self._too_large = True
                    self._reporter.news(f"{place} has grown too large to be followed")
                    return None
                body = answer["Body"].read()
            text = gzip.decompress(body).decode(errors="replace")
        except AwsRefused as error:
            if error.code not in ABSENT_CODES and not self._refusal_shown:
                self._refusal_shown = True
                self._reporter.news(str(error))
            return None
        except (AwsUnreachable, OSError, EOFError, zlib.error):
            return None
        if name == "stdout.gz":
            self._etag = answer["ETag"]
        return text
