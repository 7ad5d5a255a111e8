"""Addresses and placeholders, for every text there is."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock_driver.cluster import JobRun
from drydock_driver.creation import request
from drydock_driver.errors import PlatformConfigError, UsageError
from drydock_driver.platform_config import Platform, parse
from drydock_driver.s3_uri import S3Uri
from tests.driver.conftest import complete_document

PLATFORM = parse(complete_document(), "here")
BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))
SEGMENTS = st.from_regex(r"[A-Za-z0-9._=-]{1,20}", fullmatch=True)


@pytest.fixture
def platform(document: dict[str, Any]) -> Platform:
    return parse(document, "s3://input/config/platform.json")


@given(scheme=st.sampled_from(["s3", "s3a", "s3n"]), bucket=BUCKETS, key=KEYS)
def test_an_address_is_the_same_under_every_scheme(scheme: str, bucket: str, key: str) -> None:
    parsed = S3Uri.parse(f"{scheme}://{bucket}/{key}")
    assert (parsed.bucket, parsed.key) == (bucket, key)
    assert S3Uri.parse(str(parsed)) == parsed


@given(bucket=BUCKETS, key=st.lists(SEGMENTS).map("/".join), name=SEGMENTS, slash=st.sampled_from(["", "/"]))
def test_one_slash_joins_whatever_the_first_part_ends_with(bucket: str, key: str, name: str, slash: str) -> None:
    joined = S3Uri.parse(f"s3://{bucket}/{key}{slash}") / name
    assert joined.key == "/".join([*filter(None, [key]), name])


@pytest.mark.parametrize(
    "text", ["", "s3://", "s3:/b/k", "s3://UPPER/k", "https://bucket/key", "bucket/key", "s3x://bucket/k"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address in S3"):
        S3Uri.parse(text)


@given(text=st.text(st.characters(exclude_characters="{}")))
def test_without_braces_nothing_changes(text: str) -> None:
    assert PLATFORM.expand(text) == text


@given(
    before=st.text(st.characters(exclude_characters="{}$")),
    after=st.text(st.characters(exclude_characters="{}")),
    value=st.text(),
)
def test_a_placeholder_becomes_its_value_and_no_more(before: str, after: str, value: str) -> None:
    """The value is not looked into: braces in it stay."""
    assert PLATFORM.expand(f"{before}{{date}}{after}", date=value) == f"{before}{value}{after}"


@pytest.mark.parametrize("text", ['{"a": {"b": 1}}', "${HOME}", "${date}", "{Date}", "{}", "{ date }", "{1}", "{date"])
def test_other_braces_are_left_alone(platform: Platform, text: str) -> None:
    assert platform.expand(text, date="2026-11-21") == text


def test_an_unknown_placeholder_is_named_with_the_known_ones(platform: Platform) -> None:
    with pytest.raises(UsageError, match=r"`\{sauce_uri\}`; known are .*\{source_uri\}"):
        platform.expand("--source={sauce_uri}")


def test_uris_lose_their_trailing_slash(document: dict[str, Any]) -> None:
    document["log_uri"] = "s3n://logs/emr/"
    assert parse(document, "here").log_uri == "s3://logs/emr"


def test_every_field_is_needed(document: dict[str, Any]) -> None:
    for name in document.keys() - {"account_id"}:
        incomplete = {key: value for key, value in document.items() if key != name}
        with pytest.raises(PlatformConfigError, match=f"here has no `{name}"):
            parse(incomplete, "here")


@pytest.mark.parametrize(
    ("field", "value"),
    [("format", 2), ("core_count", "2"), ("roles", []), ("log_uri", "/tmp"), ("subnet_id", ""), ("tags", None)],
)
def test_a_wrong_field_is_named(document: dict[str, Any], field: str, value: object) -> None:
    with pytest.raises(PlatformConfigError, match=field):
        parse(document | {field: value}, "here")


def test_a_key_pair_is_told_where_there_is_one(document: dict[str, Any]) -> None:
    run = JobRun("a", date(2026, 11, 21), "r1")
    for field, told in (({}, None), ({"ec2_key_name": None}, None), ({"ec2_key_name": "alice"}, "alice")):
        instances = request(parse(document | field, "here"), run, {})["Instances"]
        assert instances.get("Ec2KeyName") == told
    with pytest.raises(PlatformConfigError, match="ec2_key_name"):
        parse(document | {"ec2_key_name": 7}, "here")


def test_nested_configurations_are_kept(document: dict[str, Any]) -> None:
    inner = {"classification": "export", "properties": {"PYSPARK_PYTHON": "python3.11"}}
    document["configurations"] = [{"classification": "spark-env", "configurations": [inner]}]
    run = JobRun("a", date(2026, 11, 21), "r1")
    assert request(parse(document, "here"), run, {})["Configurations"] == [
        {
            "Classification": "spark-env",
            "Properties": {},
            "Configurations": [{"Classification": "export", "Properties": {"PYSPARK_PYTHON": "python3.11"}}],
        }
    ]
