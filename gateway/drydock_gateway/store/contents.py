"""Objects' bytes, as LocalStack's S3 provider wants to read and write them.

What is written becomes a draft that hangs on the object, or the part, that it belongs to (its attribute `draft`). It
is published when the provider enters that object into the index (`index`), and only then; so an object that is
refused halfway leaves the one before as it was.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from io import BytesIO, UnsupportedOperation
from pathlib import Path
from typing import IO, Any, Literal

from localstack.services.s3.constants import S3_CHUNK_SIZE
from localstack.services.s3.models import S3Multipart, S3Object, S3Part
from localstack.services.s3.storage import S3ObjectStore, S3StoredMultipart, S3StoredObject
from localstack.services.s3.storage.core import LimitedStream
from localstack.services.s3.utils import ObjectRange, get_s3_checksum

from drydock_gateway.errors import Superseded
from drydock_gateway.store.buckets import BucketFolder
from drydock_gateway.store.records import Draft, OpenRecord

COPIED_BYTES = 1 << 20


def take_draft(owner: S3Object | S3Part) -> Draft:
    """The draft that hangs on it, which is the caller's from now on."""
    draft: Draft = vars(owner).pop("draft")
    return draft


class StoredObject(S3StoredObject):
    """The bytes of an object or a part: a published record's, or those of the draft that hangs on it."""

    def __init__(self, owner: S3Object | S3Part, mode: Literal["r", "w"], content: Draft | OpenRecord) -> None:
        super().__init__(owner, mode)
        self._content = content
        self._position = 0
        self._md5: str | None = None
        self._checksum: str | None = None

    def read(self, s: int = -1) -> bytes:
        data = self._content.read_at(self._content.size if s is None or s < 0 else s, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, self._content.size)[whence]
        self._position = max(0, start + offset)
        return self._position

    def write(self, stream: IO[bytes] | S3StoredObject | LimitedStream | None) -> int:
        """Take all that the stream has. Size and ETag of the object, and its checksum, are reckoned on the way."""
        draft = self._draft()
        md5 = hashlib.md5(usedforsecurity=False)
        checksum = get_s3_checksum(self.s3_object.checksum_algorithm) if self.s3_object.checksum_algorithm else None
        stream = BytesIO() if stream is None else stream
        while data := stream.read(S3_CHUNK_SIZE):
            draft.append(data)
            md5.update(data)
            if checksum:
                checksum.update(data)
        self._md5 = md5.hexdigest()
        self._checksum = _base64(checksum) if checksum else None
        self.s3_object.etag = self._md5
        self.s3_object.size = draft.size
        return draft.size

    def append(self, part: S3StoredObject) -> int:
        """Add a part's bytes."""
        draft = self._draft()
        before = draft.size
        while data := part.read(COPIED_BYTES):
            draft.append(data)
        self.s3_object.size = draft.size
        return draft.size - before

    @property
    def last_modified(self) -> int:
        """What the provider compares: a record that is opened is always that of its object."""
        return int(self.s3_object.internal_last_modified)

    @property
    def checksum(self) -> str | None:
        if not self.s3_object.checksum_algorithm:
            return None
        if self._checksum is None:
            self._checksum = _base64(self._digest(get_s3_checksum(self.s3_object.checksum_algorithm)))
        return self._checksum

    @property
    def etag(self) -> str:
        if self._md5 is None:
            self._md5 = self._digest(hashlib.md5(usedforsecurity=False)).hexdigest()
        return self._md5

    def close(self) -> None:
        """A draft stays: whether it is published is for the index to say."""
        self.closed = True
        if isinstance(self._content, OpenRecord):
            self._content.close()

    __del__ = close  # the provider leaves it to whoever sends the answer, who may have failed before

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._mode == "w":
            discard_draft(self.s3_object)
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(S3_CHUNK_SIZE):
            yield data

    def _draft(self) -> Draft:
        if not isinstance(self._content, Draft):
            raise UnsupportedOperation("This object was opened for reading.")
        return self._content

    def _digest(self, digest: Any) -> Any:
        position = 0
        while data := self._content.read_at(COPIED_BYTES, position):
            digest.update(data)
            position += len(data)
        return digest


def open_stored(
    owner: S3Object | S3Part, mode: Literal["r", "w"], find: Callable[[], OpenRecord], bucket: BucketFolder
) -> StoredObject:
    """`find` opens the published record of the object or part. Raises Superseded when it is another one's by now."""
    if mode == "w":
        discard_draft(owner)
        owner.draft = bucket.draft()
        return StoredObject(owner, mode, owner.draft)
    if "draft" in vars(owner):
        return StoredObject(owner, mode, owner.draft)
    return StoredObject(owner, mode, find())


def discard_draft(owner: S3Object | S3Part) -> None:
    if "draft" in vars(owner):
        take_draft(owner).discard()


class Contents(S3ObjectStore):
    """`folder_of` answers a bucket's folder; of one that does not exist (any more) it raises NoSuchBucket."""

    def __init__(self, folder_of: Callable[[str], BucketFolder]) -> None:
        self._folder_of = folder_of

    def open(self, bucket: str, s3_object: S3Object, mode: Literal["r", "w"] = "r") -> StoredObject:
        folder = self._folder_of(bucket)

        def find() -> OpenRecord:
            with folder.lock:
                return open_record(folder.object_record(s3_object.key, s3_object.version_id), s3_object)

        return open_stored(s3_object, mode, find, folder)

    def remove(self, bucket: str, s3_object: S3Object | list[S3Object]) -> None:
        """Of an object that is refused, the draft; a published record goes when the index drops it."""
        for each in s3_object if isinstance(s3_object, list) else [s3_object]:
            discard_draft(each)

    def copy(self, src_bucket: str, src_object: S3Object, dest_bucket: str, dest_object: S3Object) -> StoredObject:
        with self.open(src_bucket, src_object) as source:
            copy = self.open(dest_bucket, dest_object, "w")
            try:
                copy.write(source)
            except BaseException:
                discard_draft(dest_object)
                raise
        return copy

    def get_multipart(self, bucket: str, upload_id: S3Multipart) -> "StoredUpload":
        return StoredUpload(self, bucket, upload_id, self._folder_of(bucket))

    def remove_multipart(self, bucket: str, s3_multipart: S3Multipart) -> None:
        """Nothing: its folder goes when the index drops it."""


class StoredUpload(S3StoredMultipart):
    """The parts of a multipart upload."""

    def __init__(self, store: Contents, bucket: str, upload: S3Multipart, folder: BucketFolder) -> None:
        super().__init__(store, bucket, upload)
        self._folder = folder

    def open(self, s3_part: S3Part, mode: Literal["r", "w"] = "r") -> StoredObject:
        path = self._folder.part_record(self.s3_multipart.id, s3_part.part_number)
        return open_stored(s3_part, mode, lambda: open_record(path, s3_part), self._folder)

    def remove_part(self, s3_part: S3Part) -> None:
        discard_draft(s3_part)

    def complete_multipart(self, parts: list[S3Part]) -> None:
        with self._s3_store.open(self.bucket, self.s3_multipart.object, "w") as whole:
            for s3_part in parts:
                with self.open(s3_part) as part:
                    whole.append(part)

    def copy_from_object(
        self, s3_part: S3Part, src_bucket: str, src_s3_object: S3Object, range_data: ObjectRange | None
    ) -> None:
        with self._s3_store.open(src_bucket, src_s3_object) as source, self.open(s3_part, "w") as part:
            part.write(LimitedStream(source, range_data) if range_data else source)
            if s3_part.checksum_algorithm:
                s3_part.checksum_value = part.checksum

    def close(self) -> None:
        """Nothing is open between two calls."""


def open_record(path: Path, owner: S3Object | S3Part) -> OpenRecord:
    try:
        record = OpenRecord(path)
    except FileNotFoundError as error:
        raise Superseded from error
    if record.sequence != owner.internal_last_modified:
        record.close()
        raise Superseded
    return record


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
