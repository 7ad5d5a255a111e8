"""What callers name becomes paths on nodes and keys in S3: whatever the control plane accepts, these stay where they
belong."""

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drydock_emr.api.requests import new_cluster
from drydock_emr.errors import ValidationError
from drydock_emr.node.layout import TenancyLayout
from drydock_emr.node.s3 import S3Url
from tests.emr.conftest import run_job_flow
from tests.emr.generated_requests import HOSTILE_TEXTS

NAMES = st.text() | st.sampled_from(HOSTILE_TEXTS)
ROOT = PurePosixPath("/scratch/tenancy")
S3 = boto3.client("s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", aws_access_key_id="x",
                  aws_secret_access_key="x")  # fmt: skip


@given(NAMES)
def test_ids_of_steps_stay_in_the_node_s_scratch(step_id: str) -> None:
    layout = TenancyLayout(Path(ROOT))
    for folder, depth in (
        (layout.step_lib(step_id), 3),
        (layout.step_log(step_id), 3),
        (layout.lease_records(step_id, 1), 4),
    ):
        relative = folder.relative_to(ROOT)
        assert len(relative.parts) == depth
        assert ".." not in relative.parts


@given(NAMES, NAMES, NAMES)
def test_ids_of_instances_and_applications_stay_below_the_log_uri(
    tmp_path_factory, instance_id: str, application: str, executor: str
) -> None:
    root = tmp_path_factory.mktemp("tenancy")
    try:
        folder = root / "work" / application.replace("/", "_") / executor.replace("/", "_")
        folder.mkdir(parents=True)
        (folder / "stdout").touch()
    except (OSError, ValueError):
        return  # no name of a file, so Spark cannot have made it
    for _, key in TenancyLayout(root).logs(instance_id):
        assert key.startswith("node/")
        assert not {"", ".", ".."} & set(key.split("/"))


LOG_URIS = st.one_of(
    st.from_regex(r"s3[an]?://logs(/[ -~]*)?", fullmatch=True),
    st.lists(st.sampled_from(["a", "..", ".", "", "%2e%2e", "b c", "ü"])).map(lambda p: "s3://logs/" + "/".join(p)),
    st.sampled_from(HOSTILE_TEXTS),
)


@given(LOG_URIS)
@example("s3://logs/../other-bucket/x")
@example("s3://logs/a/..")
def test_log_uris_that_are_accepted_stay_in_their_bucket_and_prefix(log_uri: str) -> None:
    try:
        cluster = new_cluster(run_job_flow(LogUri=log_uri), "0" * 12, "us-east-1", now=0)
    except ValidationError:
        return
    prefix = S3Url.parse(log_uri)
    place = prefix / cluster.id / "steps/s-1/stderr.gz"
    assert place.bucket == prefix.bucket == "logs"
    assert place.key.startswith(prefix.key.rstrip("/"))
    assert not {".", ".."} & set(place.key.split("/"))
    sent = S3.generate_presigned_url("put_object", Params={"Bucket": place.bucket, "Key": place.key})
    assert unquote(urlsplit(sent).path) == f"/logs/{place.key}"


@pytest.mark.parametrize("log_uri", ["s3://logs", "s3://logs/", "s3a://logs/a b/..c", "s3n://logs/ü/%2e%2e"])
def test_log_uris_of_s3_are_accepted(log_uri: str) -> None:
    new_cluster(run_job_flow(LogUri=log_uri), "0" * 12, "us-east-1", now=0)


@pytest.mark.parametrize(
    "log_uri", ["s3://logs/../x", "s3://logs/a/..", "s3://logs/.", "s3:///x", "s3://", "/tmp", "s3://Logs/x"]
)
def test_log_uris_that_climb_or_are_none_are_refused(log_uri: str) -> None:
    with pytest.raises(ValidationError, match="log URI"):
        new_cluster(run_job_flow(LogUri=log_uri), "0" * 12, "us-east-1", now=0)
