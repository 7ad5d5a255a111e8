"""Logs on their way to `<LogUri>/<cluster id>/`: gzipped whole, each time there is something new.

Delivering logs never decides what becomes of a step. What cannot be delivered is named in the node's own log and tried
again with the next push. Memory stays bounded whatever a log's size: it goes through a file on disk and a multipart
upload of small parts; and a log is not pushed again before ten times as long as its last push took has passed.
"""

import gzip
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from drydock_emr.node.errors import NodeError
from drydock_emr.node.s3 import S3Url

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REST_PER_PUSH = 10.0
CHUNK_BYTES = 1 << 20
FAST_ABOVE_BYTES = 64 << 20
"""Larger logs are compressed for speed, smaller ones for size."""

TRANSFER = TransferConfig(max_concurrency=2, multipart_chunksize=8 << 20)

log = logging.getLogger(__name__)


@dataclass
class _Pushed:
    stamp: tuple[int, int]  # size in bytes, modification time in ns
    rest_until: float


class LogShipper:
    """Ships the logs of one cluster's membership. One push at a time; may be called from any thread."""

    def __init__(
        self,
        prefix: S3Url,
        sources: Callable[[], Iterable[tuple[Path, str]]],
        s3_client: Callable[[], "S3Client"],
        scratch: Path,
    ) -> None:
        self.prefix = prefix
        self._sources = sources
        self._s3_client = s3_client
        self._scratch = scratch
        self._pushed: dict[str, _Pushed] = {}
        self._complaints: dict[str, str] = {}
        self._lock = threading.Lock()

    def push(self, *, everything: bool = False) -> bool:
        """Deliver what is new; `everything` also what rests after a long push. True when nothing is left to deliver.

        Blocks. Raises nothing: what goes wrong is in the node's log.
        """
        with self._lock:
            delivered = True
            for path, key in self._sources():
                try:
                    delivered &= self._push_one(path, key, everything)
                except (Boto3Error, BotoCoreError, ClientError, OSError, NodeError) as error:
                    self._complain(key, str(error))
                    delivered = False
            return delivered

    def _push_one(self, path: Path, key: str, everything: bool) -> bool:
        try:
            status = path.stat()
        except FileNotFoundError:
            return True
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._pushed.get(key)
        if known and known.stamp == stamp:
            return True
        began = time.monotonic()
        if known and began < known.rest_until and not everything:
            return False
        with tempfile.TemporaryFile(dir=self._scratch) as packed, path.open("rb") as source:
            _compress(source, packed, status.st_size)
            packed.seek(0)
            self._s3_client().upload_fileobj(packed, self.prefix.bucket, (self.prefix / key).key, Config=TRANSFER)
        ended = time.monotonic()
        self._pushed[key] = _Pushed(stamp, ended + REST_PER_PUSH * (ended - began))
        if self._complaints.pop(key, None):
            log.info("%s could be delivered after all", self.prefix / key)
        return True

    def _complain(self, key: str, reason: str) -> None:
        """Once for each log and reason: the same failure every few seconds would bury everything else."""
        if self._complaints.get(key) != reason:
            self._complaints[key] = reason
            log.warning("%s could not be delivered, the next push tries again: %s", self.prefix / key, reason)


def _compress(source: BinaryIO, target: BinaryIO, size_bytes: int) -> None:
    """The first `size_bytes` of the source: a log that grows meanwhile is not chased."""
    level = 1 if size_bytes > FAST_ABOVE_BYTES else 6
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=level, mtime=0) as packed:
        remaining = size_bytes
        while remaining > 0 and (chunk := source.read(min(CHUNK_BYTES, remaining))):
            packed.write(chunk)
            remaining -= len(chunk)
