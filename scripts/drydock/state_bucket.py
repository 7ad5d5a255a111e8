"""The bucket of Terraform's state: made before Terraform can plan, so not by Terraform."""

import json
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from drydock.site import Site

VERSIONS_KEPT_DAYS = 90
"""How long a state of before can be gone back to. Each run leaves a version and a removed lock."""


def ensure(where: Site) -> None:
    """Make it, versioned, closed to the public, refusing what is not encrypted on its way. One that is there stays.

    Raises ServiceFailed.
    """
    s3, bucket, region = where.account.client("s3"), where.state_bucket, where.account.region
    # In us-east-1 S3 knows no such constraint, and answers the owner's second bucket of a name with 200.
    elsewhere = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with where.account.explained(f"make the bucket `{bucket}` for Terraform's state"):
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, **elsewhere)
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(s3.meta.partition, bucket)))
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [_LIFECYCLE]})
        _tag(s3, bucket, where.platform)


def _tag(s3: Any, bucket: str, platform: str) -> None:
    """Beside the tags that others have given it: S3 only takes all of them."""
    try:
        tags = {each["Key"]: each["Value"] for each in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        tags = {}
    if tags.get("platform") != platform:
        tags["platform"] = platform
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})


def _tls_only(partition: str, bucket: str) -> dict[str, object]:
    """As the other buckets have it (terraform/modules/storage)."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "RefuseWhatIsNotEncryptedOnItsWay",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


_LIFECYCLE = {
    "ID": "versions-of-before",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": VERSIONS_KEPT_DAYS},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    "Expiration": {"ExpiredObjectDeleteMarker": True},
}
