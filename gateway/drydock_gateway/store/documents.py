"""What LocalStack knows of a bucket, an object, an upload and a part, as documents of records, and back.

An object's document tells what it has otherwise than a plain object of its bucket: most have a dozen of thirty
attributes to tell. The names are LocalStack's (`localstack.services.s3.models`).
"""

from typing import TypeAlias

from localstack.aws.api.s3 import BucketCannedACL, Owner
from localstack.services.s3.constants import DEFAULT_BUCKET_ENCRYPTION
from localstack.services.s3.models import S3Bucket, S3DeleteMarker, S3Multipart, S3Object, S3Part
from localstack.services.s3.utils import get_canned_acl

from drydock_gateway.store.records import Document

Version: TypeAlias = S3Object | S3DeleteMarker

# Known by where the record is, or by what lies beside it; `draft` is ours (see `contents`).
_NOT_TOLD = {"version_id", "is_current", "size", "internal_last_modified", "draft"}
_CONTENTS = {"objects", "multiparts"}


def describe_bucket(bucket: S3Bucket, tags: dict[str, str]) -> Document:
    told = {name: value for name, value in vars(bucket).items() if name not in _CONTENTS}
    return {**told, "tags": tags}


def restore_bucket(document: Document) -> tuple[S3Bucket, dict[str, str]]:
    """The bucket, still without its contents, and its tags."""
    tags = document.pop("tags")
    account, region, owner = document["bucket_account_id"], document["bucket_region"], document["owner"]
    bucket = S3Bucket(document["name"], account_id=account, bucket_region=region, owner=owner)
    vars(bucket).update(document)
    if bucket.encryption_rule == DEFAULT_BUCKET_ENCRYPTION:
        bucket.encryption_rule = DEFAULT_BUCKET_ENCRYPTION  # LocalStack asks whether it is this very one
    return bucket, tags


class Objects:
    """Documents of a bucket's objects and delete markers."""

    def __init__(self, owner: Owner) -> None:
        self._plain = {"owner": owner, "acl": get_canned_acl(BucketCannedACL.private, owner=owner)}
        self._untold = vars(self._plain_object(""))

    def describe(self, version: Version, tags: dict[str, str] | None = None) -> Document:
        """`tags`: the object's, of which LocalStack keeps account elsewhere."""
        identity = {"version": version.version_id or "null"}
        if isinstance(version, S3DeleteMarker):
            return {"key": version.key, **identity, "last_modified": version.last_modified, "is_delete_marker": True}
        return {**identity, **self.attributes(version), **({"tags": tags} if tags else {})}

    def attributes(self, s3_object: S3Object) -> Document:
        """Those in which it differs from a plain object."""
        return {
            name: value
            for name, value in vars(s3_object).items()
            if name not in _NOT_TOLD and value != self._untold.get(name)
        }

    def restore(self, document: Document, size: int, sequence: int) -> Version:
        """The inverse of `describe`, but for the tags, which are the caller's to take."""
        version_id = document.pop("version")
        if document.pop("is_delete_marker", False):
            marker = S3DeleteMarker(document["key"], version_id)
            marker.last_modified = document["last_modified"]
            marker.internal_last_modified = sequence
            return marker
        s3_object = self.restore_attributes(document)
        s3_object.version_id = version_id
        s3_object.size = size
        s3_object.internal_last_modified = sequence
        return s3_object

    def restore_attributes(self, document: Document) -> S3Object:
        s3_object = self._plain_object(document["key"])
        for name, value in document.items():
            setattr(s3_object, name, value)
        s3_object.parts = {int(number): part for number, part in s3_object.parts.items()}
        return s3_object

    def _plain_object(self, key: str) -> S3Object:
        return S3Object(key, **self._plain)


def describe_upload(upload: S3Multipart, objects: Objects) -> Document:
    told = {name: value for name, value in vars(upload).items() if name not in ("object", "parts")}
    return {**told, "object": objects.attributes(upload.object)}


def restore_upload(document: Document, objects: Objects) -> S3Multipart:
    """The upload, still without its parts."""
    future = objects.restore_attributes(document.pop("object"))
    upload = S3Multipart(future.key)
    vars(upload).update(document)
    upload.object = future
    return upload


def describe_part(part: S3Part) -> Document:
    return {name: value for name, value in vars(part).items() if name not in _NOT_TOLD}


def restore_part(document: Document, size: int, sequence: int) -> S3Part:
    part = S3Part(document["part_number"], size=size)
    vars(part).update(document)
    part.internal_last_modified = sequence
    return part
