"""What Terraform noted that it had put into S3, held against what is there now.

Terraform itself looks at everything, and takes seconds for it; this looks at buckets and objects alone, which are what
people remove or overwrite by hand, and takes a fraction of one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError

from drydock.site import Site
from drydock.terraform import STATE_KEY


@dataclass(frozen=True)
class Deviation:
    """Something that is not as it was applied. `what` says it for people.

    A resource that is gone, Terraform makes again by itself. One that was overwritten it takes for its own (it compares
    what it was told, not what was made of it), so it has to be told to replace it: `to_replace` is its address.
    """

    what: str
    to_replace: str | None = None


def deviations(where: Site) -> list[Deviation] | None:
    """What differs from Terraform's state; None when there is no state: nothing was applied, or all was lost.

    Raises ServiceFailed when the account does not answer as it should.
    """
    s3 = where.account.client("s3")
    with where.account.explained("show what Terraform has put into it"):
        try:
            state = json.loads(s3.get_object(Bucket=where.state_bucket, Key=STATE_KEY)["Body"].read())
        except (s3.exceptions.NoSuchBucket, s3.exceptions.NoSuchKey):
            return None
        return _compare(state, s3)


def _compare(state: dict[str, Any], s3: Any) -> list[Deviation]:
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    found = [
        Deviation(f"the bucket `{made['bucket']}` is gone")
        for _, made in _resources(state, "aws_s3_bucket")
        if made["bucket"] not in buckets
    ]
    for address, made in _resources(state, "aws_s3_object"):
        if made["bucket"] not in buckets:
            continue  # and that is said already
        uri = f"s3://{made['bucket']}/{made['key']}"
        try:
            etag = s3.head_object(Bucket=made["bucket"], Key=made["key"])["ETag"].strip('"')
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
                raise
            found.append(Deviation(f"`{uri}` is gone"))
        else:
            if etag != made["etag"]:
                found.append(Deviation(f"`{uri}` was overwritten", address))
    return found


def _resources(state: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Address and attributes of each resource of a kind."""
    for resource in state["resources"]:
        if resource["mode"] != "managed" or resource["type"] != kind:
            continue
        prefix = f"{resource['module']}." if "module" in resource else ""
        for instance in resource["instances"]:
            index = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
            yield f"{prefix}{kind}.{resource['name']}{index}", instance["attributes"]
