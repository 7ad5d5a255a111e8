"""What is noticed of things that were removed or overwritten behind Terraform's back, and that it is made good."""

import time
from collections.abc import Callable, Iterator

import pytest

from drydock import jobs, site, terraform, terraform_state

from .conftest import Platform

QUICK_SECONDS = 2  # a tenth of one on an idle machine
INPUT = "spark-job-data-input"


def deviations(platform: Platform) -> list[terraform_state.Deviation]:
    found = terraform_state.deviations(platform.target)
    assert found is not None
    return found


def test_nothing_deviates_after_an_apply_and_that_is_known_at_once(platform: Platform) -> None:
    begun_at = time.monotonic()
    assert deviations(platform) == []
    assert time.monotonic() - begun_at < QUICK_SECONDS


def test_what_was_removed_or_overwritten_is_named_and_made_good(platform: Platform) -> None:
    s3, revision = platform.client("s3"), platform.revision
    wheel = f"spark_app/{revision.wheels}/example-1.0-py3-none-any.whl"
    job = f"spark_app/{revision.name}/data_generator.py"
    s3.delete_object(Bucket=INPUT, Key=wheel)
    s3.put_object(Bucket=INPUT, Key=job, Body=b"# somebody's own\n")
    s3.put_object(Bucket=INPUT, Key="config/platform.json", Body=b"{}")
    s3.delete_bucket(Bucket="builditall-logs")

    assert deviations(platform) == [
        terraform_state.Deviation("the bucket `builditall-logs` is gone"),
        terraform_state.Deviation(
            f"`s3://{INPUT}/config/platform.json` was overwritten", "aws_s3_object.platform_config"
        ),
    ]
    assert set(jobs.missing(s3, INPUT, revision)) == {wheel, job}
    platform.deploy(replace=["aws_s3_object.platform_config"])
    assert deviations(platform) == []
    assert jobs.missing(s3, INPUT, revision) == []
    assert s3.get_object(Bucket=INPUT, Key=job)["Body"].read() == (platform.jobs_dir / "data_generator.py").read_bytes()
    s3.delete_object(Bucket=INPUT, Key="config/platform.json")
    assert [each.what for each in deviations(platform)] == [f"`s3://{INPUT}/config/platform.json` is gone"]
    platform.deploy()
    assert deviations(platform) == []


@pytest.fixture
def stored(platform: Platform) -> Iterator[Callable[[bytes | None], None]]:
    """Put another state in the place of Terraform's, or none, for as long as the test lasts."""
    s3 = platform.client("s3")
    place = {"Bucket": site.STATE_BUCKET, "Key": terraform.STATE_KEY}
    original = s3.get_object(**place)["Body"].read()

    def store(state: bytes | None) -> None:
        s3.delete_object(**place) if state is None else s3.put_object(**place, Body=state)

    yield store
    store(original)


def test_objects_of_a_bucket_that_is_gone_are_not_named_one_by_one(
    platform: Platform, stored: Callable[[bytes | None], None]
) -> None:
    state = platform.client("s3").get_object(Bucket=site.STATE_BUCKET, Key=terraform.STATE_KEY)["Body"].read()
    stored(state.replace(f'"{INPUT}"'.encode(), b'"a-bucket-that-was"'))
    assert [each.what for each in deviations(platform)] == ["the bucket `a-bucket-that-was` is gone"]


def test_without_a_state_nothing_was_applied(platform: Platform, stored: Callable[[bytes | None], None]) -> None:
    stored(None)
    assert terraform_state.deviations(platform.target) is None
