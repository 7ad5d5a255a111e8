"""What Terraform noted that it had put into S3, held against what is there now.

Terraform itself looks at everything, and takes seconds for it; this looks at buckets and objects alone, which are what
people remove or overwrite by hand, and takes a fraction of one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drydock import aws, settings
from drydock.terraform import STATE_BUCKET, STATE_KEY


@dataclass(frozen=True)
class Deviation:
    """A resource that is not as it was applied. `what` says it for people.

    One that is gone, Terraform makes again by itself. One that was overwritten it takes for its own (it compares the
    files, not what was made of them), so it has to be told to replace it.
    """

    address: str
    what: str
    is_gone: bool


def deviations(paths: settings.Paths, ports: settings.Ports) -> list[Deviation] | None:
    """What differs from Terraform's state; None when there is no state: nothing was applied, or all was lost.

    Raises ServiceFailed when the gateway does not answer as it should.
    """
    s3 = aws.operator_client("s3", paths, ports)
    with aws.explained(ports, "show what Terraform has put into it"):
        try:
            state = json.loads(s3.get_object(Bucket=STATE_BUCKET, Key=STATE_KEY)["Body"].read())
        except (s3.exceptions.NoSuchBucket, s3.exceptions.NoSuchKey):
            return None
        return _compare(state, s3)


def _compare(state: dict[str, Any], s3: Any) -> list[Deviation]:
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    found = [
        Deviation(address, f"the bucket `{made['bucket']}` is gone", is_gone=True)
        for address, made in _resources(state, "aws_s3_bucket")
        if made["bucket"] not in buckets
    ]
    etags: dict[str, dict[str, str]] = {}
    for address, made in _resources(state, "aws_s3_object"):
        bucket, uri = made["bucket"], f"s3://{made['bucket']}/{made['key']}"
        if bucket not in buckets:
            continue  # and that is said already
        if bucket not in etags:
            etags[bucket] = _etags(s3, bucket)
        etag = etags[bucket].get(made["key"])
        if etag is None:
            found.append(Deviation(address, f"`{uri}` is gone", is_gone=True))
        elif etag != made["etag"]:
            found.append(Deviation(address, f"`{uri}` was overwritten", is_gone=False))
    return found


def _etags(s3: Any, bucket: str) -> dict[str, str]:
    """Key → ETag, as Terraform notes it: without the quotation marks."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", ())}


def _resources(state: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Address and attributes of each resource of a kind."""
    for resource in state["resources"]:
        if resource["mode"] != "managed" or resource["type"] != kind:
            continue
        prefix = f"{resource['module']}." if "module" in resource else ""
        for instance in resource["instances"]:
            index = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
            yield f"{prefix}{kind}.{resource['name']}{index}", instance["attributes"]
