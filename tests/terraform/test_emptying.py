"""Leaving nothing behind: buckets with versions, delete markers and uploads under way, counted and emptied."""

import pytest
from botocore.exceptions import ClientError

from drydock.on_aws import emptying, inventory

from .conftest import Platform

BUCKET = "to-be-emptied"


def test_a_bucket_is_counted_and_emptied_with_all_that_it_was(platform: Platform) -> None:
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="from before there were versions", Body=b"12345")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket=BUCKET, Key="overwritten", Body=b"x" * number)
    s3.put_object(Bucket=BUCKET, Key="deleted", Body=b"gone")
    s3.delete_object(Bucket=BUCKET, Key="deleted")
    s3.create_multipart_upload(Bucket=BUCKET, Key="under way")

    found = emptying.contents(s3, BUCKET)

    assert (found.objects, found.bytes, found.others) == (2, 5 + 2, 2 + 1 + 1)
    assert str(found) == f"s3://{BUCKET}: 2 objects, 0.0 MB, 4 versions of before"
    assert not emptying.is_empty(s3, BUCKET)
    assert emptying.empty(s3, BUCKET) == 6
    assert emptying.is_empty(s3, BUCKET)
    assert platform.target.existing([BUCKET, "never-made"]) == [BUCKET]
    s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        emptying.contents(s3, BUCKET)


def test_more_versions_than_one_request_takes_are_removed(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = platform.client("s3")
    monkeypatch.setattr(emptying, "BATCH", 2)
    s3.create_bucket(Bucket=BUCKET)
    for number in range(5):
        s3.put_object(Bucket=BUCKET, Key=str(number), Body=b"")
    assert emptying.empty(s3, BUCKET) == 5
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def without_emr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind this gateway there is none; the rehearsal asks one."""
    monkeypatch.setattr(inventory, "_clusters", lambda _: iter(()))


@pytest.mark.usefixtures("without_emr")
def test_an_inventory_tells_what_was_made_and_none_of_what_every_account_has(platform: Platform) -> None:
    found = inventory.of(platform.target.account)
    assert found["roles"] == ["emr-service-role", "emr_instance_profile", "kestra-role"]
    assert found["instance profiles"] == ["emr_instance_profile"]
    assert found["VPCs"] == [platform.outputs["vpc_id"]]
    assert len(found["security groups"]) == 3  # the VPC's own, the master's and the cores'
    assert [name.split(":")[0] for name in found["buckets"]] == sorted(
        ["spark-kestra-platform", *platform.outputs["buckets"].values()]
    )
    assert not {"users", "instances", "volumes", "addresses", "active clusters"} & found.keys()


@pytest.mark.usefixtures("without_emr")
def test_an_inventory_tells_contents_apart_but_for_those_that_change_by_themselves(platform: Platform) -> None:
    s3, account = platform.client("s3"), platform.target.account
    before = inventory.of(account), inventory.of(account, ["builditall-logs"])
    s3.create_bucket(Bucket="drydock-health-0")  # as a gateway leaves it that is killed in the midst of a health check
    assert inventory.of(account) == before[0]
    s3.delete_bucket(Bucket="drydock-health-0")
    s3.put_object(Bucket="builditall-logs", Key="kestra/a-log", Body=b"a line")
    after = inventory.of(account), inventory.of(account, ["builditall-logs"])
    s3.delete_object(Bucket="builditall-logs", Key="kestra/a-log")
    assert before[0] != after[0]
    assert before[1] == after[1]
