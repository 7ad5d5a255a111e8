"""Logs on their way to `<LogUri>/<cluster id>/`: gzipped whole, each time there is something new.

Delivering logs never decides what becomes of a step. What cannot be delivered is named in the node's own log and tried
again with the next push. Whatever a log's size, memory stays bounded and no disk is needed, since that may be full: a
log is compressed while it is read, into a multipart upload of small parts. A log is not pushed again before ten times
as long as its last push took has passed.
"""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from drydock_emr.node.errors import NodeError
from drydock_emr.node.s3 import S3Url

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REST_PER_PUSH = 10.0
CHUNK_BYTES = 1 << 20
FAST_ABOVE_BYTES = 64 << 20
"""Larger logs are compressed for speed, smaller ones for size."""

GZIP_FORMAT = 31
"""zlib's number for gzip's header and the largest window; it writes no time into the header."""

TRANSFER = TransferConfig(max_concurrency=2, multipart_chunksize=8 << 20)
TRANSFER.max_in_memory_upload_chunks = 2  # of what cannot be read twice; boto3's constructor does not take it

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
    ) -> None:
        self.prefix = prefix
        self._sources = sources
        self._s3_client = s3_client
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
                except (NoConnection, HTTPClientError) as error:
                    self._complain(key, str(error))
                    return False  # S3 is away: the others need not find that out one by one
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
        with path.open("rb") as source:
            packed = Packed(source, status.st_size)
            self._s3_client().upload_fileobj(
                cast("BinaryIO", packed), self.prefix.bucket, (self.prefix / key).key, Config=TRANSFER
            )
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


class Packed:
    """The first `size_bytes` of the source, gzipped while they are read: a log that grows meanwhile is not chased."""

    def __init__(self, source: BinaryIO, size_bytes: int) -> None:
        level = 1 if size_bytes > FAST_ABOVE_BYTES else 6
        self._source = source
        self._remaining = size_bytes
        self._compressor = zlib.compressobj(level, wbits=GZIP_FORMAT)
        self._ready = bytearray()
        self._finished = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all when negative; none at the end."""
        while not self._finished and (size < 0 or len(self._ready) < size):
            chunk = self._source.read(min(CHUNK_BYTES, self._remaining))
            self._remaining -= len(chunk)
            self._ready += self._compressor.compress(chunk)
            if not chunk:
                self._ready += self._compressor.flush()
                self._finished = True
        end = len(self._ready) if size < 0 else size
        taken = bytes(self._ready[:end])
        del self._ready[:end]
        return taken
