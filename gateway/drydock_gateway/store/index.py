"""What a bucket has: its keys, its uploads and their parts, in memory as LocalStack keeps it, written through to disk.

Each change is made on disk first. When that fails, as it does on a full disk, the caller gets the error and memory is
as it was. A record's rename and its entry in memory happen under the bucket's lock, so that whoever opens a record
finds the one that memory tells of.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from localstack.aws.api.s3 import NoSuchBucket, NoSuchUpload
from localstack.services.s3.models import KeyStore, S3DeleteMarker, S3Multipart, S3Object, S3Part, VersionedKeyStore

from drydock_gateway.errors import Superseded
from drydock_gateway.store.buckets import BucketFolder
from drydock_gateway.store.contents import COPIED_BYTES, open_record, take_draft
from drydock_gateway.store.documents import Objects, Version, describe_part, describe_upload
from drydock_gateway.store.records import Document


class Keys(KeyStore):
    """The objects of a bucket that was never versioned."""

    def __init__(self, folder: BucketFolder, objects: Objects) -> None:
        super().__init__()
        self.folder = folder
        self.objects = objects
        self.successor: VersionedKeys | None = None  # once the bucket has versions

    def set(self, object_key: str, s3_object: S3Object) -> None:
        def remember() -> None:
            if self.successor is None:
                self._store[object_key] = s3_object
            else:
                s3_object.version_id = "null"
                self.successor.remember(s3_object)

        _enter(self, s3_object, remember)

    def pop(self, object_key: str, default: Any = None) -> S3Object | None:
        with self.folder.lock:
            self.folder.object_record(object_key, None).unlink(missing_ok=True)
            return super().pop(object_key, default)

    def adopt(self, versions: Iterable[Version]) -> None:
        """Take what is on disk already."""
        for version in versions:
            version.version_id = None
            self._store[version.key] = version


class VersionedKeys(VersionedKeyStore):
    """The versions and delete markers of a bucket's objects."""

    def __init__(self, folder: BucketFolder, objects: Objects) -> None:
        super().__init__()
        self.folder = folder
        self.objects = objects

    @classmethod
    def from_key_store(cls, keystore: Keys) -> "VersionedKeys":
        versioned = cls(keystore.folder, keystore.objects)
        with keystore.folder.lock:
            for s3_object in keystore.values():
                s3_object.version_id = "null"  # its record has that name already
                versioned._store[s3_object.key]["null"] = s3_object
            keystore.successor = versioned
        return versioned

    def set(self, object_key: str, s3_object: Version) -> None:
        _enter(self, s3_object, lambda: self.remember(s3_object))

    def pop(self, object_key: str, version_id: str | None = None, default: Any = None) -> Version | None:
        with self.folder.lock:
            self.folder.object_record(object_key, version_id).unlink(missing_ok=True)
            return super().pop(object_key, version_id, default)

    def adopt(self, versions: Iterable[Version]) -> None:
        """Take what is on disk already."""
        for version in sorted(versions, key=lambda each: each.internal_last_modified):
            self.remember(version)

    def remember(self, version: Version) -> None:
        """Make it the current one. LocalStack leaves a null version that is written again at its old place, and takes
        an older one for current."""
        others = {id_: each for id_, each in self._store.get(version.key, {}).items() if id_ != version.version_id}
        for each in others.values():
            each.is_current = False
        self._store[version.key] = {**others, version.version_id: version}


class Uploads(dict[str, S3Multipart]):
    """The multipart uploads of a bucket."""

    def __init__(self, folder: BucketFolder, objects: Objects) -> None:
        super().__init__()
        self._folder = folder
        self._objects = objects

    def __setitem__(self, upload_id: str, upload: S3Multipart) -> None:
        self._folder.create_upload(upload_id, describe_upload(upload, self._objects))
        self.adopt(upload, {})

    def pop(self, upload_id: str, default: Any = None) -> Any:
        if upload_id in self:
            self._folder.drop_upload(upload_id)
        return super().pop(upload_id, default)

    def adopt(self, upload: S3Multipart, parts: dict[int, S3Part]) -> None:
        """Take one that is on disk already."""
        upload.parts = Parts(parts, self._folder, upload.id)
        super().__setitem__(upload.id, upload)


class Parts(dict[int, S3Part]):
    """The parts of an upload."""

    def __init__(self, parts: dict[int, S3Part], folder: BucketFolder, upload_id: str) -> None:
        super().__init__(parts)
        self._folder = folder
        self._upload_id = upload_id

    def __setitem__(self, number: int, part: S3Part) -> None:
        record = self._folder.part_record(self._upload_id, number)
        remember = super().__setitem__
        try:
            _publish(self._folder, record, part, describe_part(part), lambda: remember(number, part))
        except FileNotFoundError as error:
            raise NoSuchUpload("The upload was aborted or completed meanwhile.", UploadId=self._upload_id) from error


def rewrite(keys: Keys | VersionedKeys, s3_object: S3Object, tags: Callable[[], dict[str, str]]) -> None:
    """Put what memory knows of an object, and its tags as they are then, in place of its record's document."""
    folder = keys.folder
    with folder.rewriting:
        draft = folder.draft()
        try:
            record = folder.object_record(s3_object.key, s3_object.version_id)
            with folder.lock:
                source = open_record(record, s3_object)
            with closing(source):
                while data := source.read_at(COPIED_BYTES, draft.size):
                    draft.append(data)
            draft.seal(keys.objects.describe(s3_object, tags()), s3_object.internal_last_modified)
            with folder.lock:
                open_record(record, s3_object).close()
                draft.publish(record)
        except Superseded:
            return  # it was overwritten or deleted meanwhile: nothing of it is left to tell
        finally:
            draft.discard()


def _enter(keys: Keys | VersionedKeys, version: Version, remember: Callable[[], None]) -> None:
    record = keys.folder.object_record(version.key, version.version_id)
    try:
        _publish(keys.folder, record, version, keys.objects.describe(version), remember)
    except FileNotFoundError as error:
        raise NoSuchBucket("The bucket was deleted meanwhile.") from error


def _publish(
    folder: BucketFolder, record: Path, owner: Version | S3Part, document: Document, remember: Callable[[], None]
) -> None:
    """Publish the draft that hangs on `owner`; a delete marker's record has no bytes."""
    draft = folder.draft() if isinstance(owner, S3DeleteMarker) else take_draft(owner)
    try:
        with folder.lock:
            folder.require()
            owner.internal_last_modified = folder.seal(draft, document)  # in the order in which memory gets them
            draft.publish(record)
            remember()
    finally:
        draft.discard()
