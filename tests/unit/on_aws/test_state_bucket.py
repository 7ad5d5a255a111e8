"""The bucket of Terraform's state, as far as its tags: those of others stay. (All else: tests/terraform.)"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from drydock import state_bucket


class S3:
    """A bucket's tags; None: it has never had any."""

    def __init__(self, tags: dict[str, str] | None) -> None:
        self.tags, self.written = tags, 0

    def get_bucket_tagging(self, **_: str) -> dict[str, Any]:
        if self.tags is None:
            raise ClientError({"Error": {"Code": "NoSuchTagSet"}}, "GetBucketTagging")
        return {"TagSet": [{"Key": key, "Value": value} for key, value in self.tags.items()]}

    def put_bucket_tagging(self, *, Bucket: str, Tagging: dict[str, Any]) -> None:  # noqa: N803
        assert Bucket == "acme-state"
        self.tags = {each["Key"]: each["Value"] for each in Tagging["TagSet"]}
        self.written += 1


@pytest.mark.parametrize("tags", [None, {}, {"cost-centre": "42"}, {"cost-centre": "42", "platform": "other"}])
def test_the_platforms_tag_is_set_beside_those_of_others(tags: dict[str, str] | None) -> None:
    s3 = S3(tags)
    for _ in range(2):
        state_bucket._tag(s3, "acme-state", "acme")
    assert (s3.tags, s3.written) == ({**(tags or {}), "platform": "acme"}, 1)
