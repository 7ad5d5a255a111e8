"""Buckets, with every version of what is in them: counted, emptied, removed. botocore's exceptions are let through."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drydock.errors import ServiceFailed

BATCH = 1000  # S3's limit for one request
# S3 answers for each key of a request by itself: SlowDown or InternalError for some of them pass.
ATTEMPTS = 4
PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Contents:
    """What a bucket holds: its objects as they are now, and how many versions there are besides."""

    bucket: str
    objects: int
    bytes: int
    others: int

    def __str__(self) -> str:
        besides = f", {self.others:,} versions of before" if self.others else ""
        return f"s3://{self.bucket}: {self.objects:,} objects, {self.bytes / 1e6:,.1f} MB{besides}"


def contents(s3: Any, bucket: str) -> Contents:
    """Count what is there."""
    objects = size = others = 0
    for version in _versions(s3, bucket):
        if version.get("IsLatest") and "Size" in version:
            objects, size = objects + 1, size + version["Size"]
        else:
            others += 1
    return Contents(bucket, objects, size, others)


def is_empty(s3: Any, bucket: str) -> bool:
    """Whether it holds no version of anything."""
    return next(_versions(s3, bucket), None) is None


def empty(s3: Any, bucket: str) -> int:
    """Remove every version of every object, every delete marker and every upload under way; how many that was.

    Raises ServiceFailed when S3 goes on refusing an object.
    """
    removed = 0
    batch: list[dict[str, str]] = []
    for version in _versions(s3, bucket):
        batch.append({"Key": version["Key"], "VersionId": version["VersionId"]})
        if len(batch) == BATCH:
            removed += _remove(s3, bucket, batch)
            batch = []
    removed += _remove(s3, bucket, batch)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return removed


def _versions(s3: Any, bucket: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        yield from page.get("Versions", ())
        yield from page.get("DeleteMarkers", ())


def _remove(s3: Any, bucket: str, batch: list[dict[str, str]]) -> int:
    left = batch
    for attempt in range(ATTEMPTS):
        if not left:
            break
        time.sleep(attempt * PAUSE_SECONDS)
        errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": left, "Quiet": True}).get("Errors", ())
        refused = {each["Key"] for each in errors}
        left = [each for each in left if each["Key"] in refused]
    if left:
        raise ServiceFailed(
            f"S3 does not remove `{errors[0]['Key']}` of `{bucket}`: {errors[0]['Code']} ({errors[0]['Message']}). "
            "The same command goes on from there."
        )
    return len(batch)
