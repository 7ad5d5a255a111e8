"""S3 that keeps what it is given: LocalStack's provider on top of the store."""

import logging
from collections.abc import Callable, Iterator
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.api.s3 import BucketCannedACL, InvalidPart, NoSuchBucket
from localstack.constants import AWS_REGION_US_EAST_1
from localstack.services.s3 import provider as s3_provider
from localstack.services.s3.models import S3Bucket, S3Object, s3_stores
from localstack.services.s3.provider import S3Provider
from localstack.services.s3.utils import get_canned_acl, get_owner_for_account_id, get_unique_key_id

from drydock_gateway.errors import Superseded
from drydock_gateway.healthcheck import PROBE_BUCKET_PREFIX
from drydock_gateway.store.buckets import BucketFolder
from drydock_gateway.store.contents import Contents
from drydock_gateway.store.documents import (
    Objects,
    Version,
    describe_bucket,
    restore_bucket,
    restore_part,
    restore_upload,
)
from drydock_gateway.store.folder import Folder
from drydock_gateway.store.index import Keys, Uploads, VersionedKeys, rewrite

# What the other writing operations change is on disk by the time they return. Of these it is all but an object's tags …
OBJECT_WRITES = {"PutObject", "CopyObject", "CompleteMultipartUpload"}
# … of these nothing: they change what is known of an object …
OBJECT_CHANGES = {
    "PutObjectTagging",
    "DeleteObjectTagging",
    "PutObjectAcl",
    "PutObjectRetention",
    "PutObjectLegalHold",
    "RestoreObject",
}
# … and any but these changes the bucket's configuration.
WRITTEN_THROUGH = {
    "DeleteObject",
    "DeleteObjects",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "AbortMultipartUpload",
    "DeleteBucket",
}

TRIES = 100  # of whoever finds an object and then another one, or none, in its place

LOG = logging.getLogger(__name__)


class DurableS3Provider(S3Provider):
    """`account_id` owns a bucket whose configuration is lost. All buckets are there again when this has been made."""

    def __init__(self, folder: Folder, account_id: str) -> None:
        super().__init__(storage_backend=Contents(self._folder_of))
        self._folder = folder
        self._account_id = account_id
        self._folders: dict[str, BucketFolder] = {}
        self._creating = RLock()
        self._preconditions_locks = _BucketsLocks()  # LocalStack's keeps a lock for every key there ever was
        s3_provider.S3Bucket = self._new_bucket
        s3_provider.VersionedKeyStore = VersionedKeys
        for directory in sorted(folder.buckets.iterdir()):
            if directory.name.startswith(PROBE_BUCKET_PREFIX):  # a look at its health ended with the gateway
                folder.drop_directory(directory)
            else:
                self._restore(directory.name)

    def save(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Put on disk what an operation that has just succeeded changed beyond what is written through."""
        name, key = request.get("Bucket", ""), request.get("Key", "")
        if operation in WRITTEN_THROUGH or name not in self._folders:
            return
        folder = self._folders[name]
        store = self.get_store(self._account_id, AWS_REGION_US_EAST_1)
        tags = store.TAGS.tags
        bucket = self.get_store(store.global_bucket_map[name], AWS_REGION_US_EAST_1).buckets[name]
        if operation not in OBJECT_WRITES | OBJECT_CHANGES:
            if operation != "CreateBucket" or bucket.bucket_arn in tags:  # it has written all but tags
                with folder.rewriting:
                    folder.write_configuration(describe_bucket(bucket, tags.get(bucket.bucket_arn, {})))
            return
        with self._preconditions_locks[name][key]:  # whoever overwrites it has set its tags as well, or not begun
            version = (answer.get("VersionId") or request.get("VersionId"),) if bucket.versioning_status else ()
            s3_object = bucket.objects.get(key, *version)
            if isinstance(s3_object, S3Object):
                id_ = get_unique_key_id(name, key, s3_object.version_id)
                if tags.get(id_) or operation in OBJECT_CHANGES:
                    rewrite(bucket.objects, s3_object, lambda: tags.get(id_) or {})

    def create_bucket(self, context: RequestContext, request: Any) -> Any:
        with self._creating:  # LocalStack looks whether it exists, and makes it afterwards
            return super().create_bucket(context, request)

    def delete_bucket(self, context: RequestContext, bucket: str, **parameters: Any) -> None:
        folder = self._folder_of(bucket)
        with self._creating, folder.lock:  # what is written to it meanwhile is refused, or keeps it from being deleted
            store, s3_bucket = self._get_cross_account_bucket(context, bucket)
            super().delete_bucket(context, bucket, **parameters)
            store.TAGS.tags.pop(s3_bucket.bucket_arn, None)
            self._folders.pop(bucket).drop()

    def put_bucket_versioning(self, context: RequestContext, bucket: str, *arguments: Any, **parameters: Any) -> None:
        with self._folder_of(bucket).lock:  # for what is written meanwhile to find the keys that have versions
            super().put_bucket_versioning(context, bucket, *arguments, **parameters)

    def put_object(self, context: RequestContext, request: Any) -> Any:
        with self._preconditions_locks[request["Bucket"]][request["Key"]]:  # also where versioning is suspended
            return super().put_object(context, request)

    def complete_multipart_upload(self, context: RequestContext, bucket: str, key: str, **parameters: Any) -> Any:
        with self._preconditions_locks[bucket][key]:  # LocalStack checks If-None-Match, then copies the parts
            try:
                return super().complete_multipart_upload(context, bucket, key, **parameters)
            except Superseded as error:
                raise InvalidPart("A part was uploaded anew meanwhile.", UploadId=parameters["upload_id"]) from error

    def abort_multipart_upload(self, context: RequestContext, bucket: str, key: str, **parameters: Any) -> Any:
        with self._preconditions_locks[bucket][key]:  # before it is completed, or after that
            return super().abort_multipart_upload(context, bucket, key, **parameters)

    def get_object(self, context: RequestContext, request: Any) -> Any:
        return _until_it_holds(lambda: super(DurableS3Provider, self).get_object(context, request))

    def copy_object(self, context: RequestContext, request: Any) -> Any:
        with self._preconditions_locks[request["Bucket"]][request["Key"]]:
            return _until_it_holds(lambda: super(DurableS3Provider, self).copy_object(context, request))

    def upload_part_copy(self, context: RequestContext, request: Any) -> Any:
        return _until_it_holds(lambda: super(DurableS3Provider, self).upload_part_copy(context, request))

    def _folder_of(self, bucket: str) -> BucketFolder:
        try:
            return self._folders[bucket]
        except KeyError as error:
            raise NoSuchBucket("The specified bucket does not exist", BucketName=bucket) from error

    def _new_bucket(self, name: str, **attributes: Any) -> S3Bucket:
        """A bucket whose contents are on disk from the beginning; the provider makes its buckets by this."""
        bucket = S3Bucket(name, **attributes)
        folder = BucketFolder(self._folder, name)
        folder.create()
        folder.write_configuration(describe_bucket(bucket, {}))
        _attach(bucket, folder)
        self._folders[name] = folder
        return bucket

    def _restore(self, name: str) -> None:
        folder = BucketFolder(self._folder, name)
        folder.create()
        if not folder.configuration.exists() and folder.is_empty():
            folder.drop()  # whoever asked for it was not told that it is there
            return
        document = folder.read_configuration()
        bucket, bucket_tags = restore_bucket(document) if document else (self._lost_bucket(name, folder), {})
        store = s3_stores[bucket.bucket_account_id][bucket.bucket_region]
        store.buckets[name] = bucket
        store.global_bucket_map[name] = bucket.bucket_account_id
        self._folders[name] = folder
        if bucket_tags:
            store.TAGS.tags[bucket.bucket_arn] = bucket_tags
        objects = _attach(bucket, folder)

        def versions() -> Iterator[Version]:
            for document, footer in folder.read_objects():
                tags = document.pop("tags", None)
                version = objects.restore(document, footer.body_bytes, footer.sequence)
                if tags:
                    store.TAGS.tags[get_unique_key_id(name, version.key, version.version_id)] = tags
                yield version

        found = list(versions())
        if not bucket.versioning_status and any(version.version_id != "null" for version in found):
            bucket.versioning_status = "Enabled"  # was answered, or seen by others, before it was written down
            folder.write_configuration(describe_bucket(bucket, bucket_tags))
            objects = _attach(bucket, folder)
        bucket.objects.adopt(found)
        for document, parts in folder.read_uploads():
            restored = (restore_part(part, footer.body_bytes, footer.sequence) for part, footer in parts)
            bucket.multiparts.adopt(restore_upload(document, objects), {part.part_number: part for part in restored})

    def _lost_bucket(self, name: str, folder: BucketFolder) -> S3Bucket:
        """In place of one whose configuration is gone: private, as AWS makes buckets."""
        LOG.error("The bucket %s comes back without its configuration: policy, tags and the like are lost.", name)
        owner = get_owner_for_account_id(self._account_id)
        acl = get_canned_acl(BucketCannedACL.private, owner=owner)
        bucket = S3Bucket(name, account_id=self._account_id, bucket_region=AWS_REGION_US_EAST_1, owner=owner, acl=acl)
        folder.write_configuration(describe_bucket(bucket, {}))
        return bucket


def _attach(bucket: S3Bucket, folder: BucketFolder) -> Objects:
    """Give a bucket contents that are written through."""
    objects = Objects(bucket.owner)
    bucket.objects = (VersionedKeys if bucket.versioning_status else Keys)(folder, objects)
    bucket.multiparts = Uploads(folder, objects)
    return objects


def _until_it_holds(operation: Callable[[], Any]) -> Any:
    """Do again what found an object that was overwritten or deleted before it was opened."""
    for _ in range(TRIES):
        try:
            return operation()
        except Superseded:
            continue
    raise CommonServiceException("SlowDown", "The object changes too often to be read.", status_code=503)


class _Locks(WeakValueDictionary[str, Any]):
    """A lock for each key that somebody holds."""

    def __init__(self) -> None:
        super().__init__()
        self._adding = Lock()

    def __getitem__(self, key: str) -> Any:
        with self._adding:
            return self.setdefault(key, RLock())

    def pop(self, key: str, *_default: Any) -> None:
        """Nothing: LocalStack drops the locks of keys that are gone, and somebody may hold them."""


class _BucketsLocks(dict[str, _Locks]):
    def __missing__(self, bucket: str) -> _Locks:
        return self.setdefault(bucket, _Locks())

    def pop(self, bucket: str, *_default: Any) -> Any:
        """Nothing, for the same reason: LocalStack drops those of a bucket that is gone."""
