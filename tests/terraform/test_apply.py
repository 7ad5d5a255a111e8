"""The whole platform applied to a real gateway: what is there afterwards, and what a second time does."""

import io
import json
import time
import zipfile
from collections.abc import Iterator

import pytest

from drydock import deployment, jobs, secrets, settings, site, terraform, terraform_state
from drydock.errors import ServiceFailed, SetupError

from .conftest import Interrupted, Platform

UP_TO_DATE_SECONDS = 60  # four on an idle machine of two cores
BUCKETS = {
    "input": "spark-job-data-input",
    "source": "spark-job-data-source-1",
    "output": "spark-job-data-output",
    "logs": "emr-cluster-spark-logs",
    "audit": "builditall-logs",
}


def test_an_interrupted_apply_loses_nothing_that_it_made(interrupted: Interrupted, platform: Platform) -> None:
    assert interrupted.exit_code != 0
    assert "let finish" in interrupted.errors
    assert "KeyboardInterrupt" in interrupted.errors
    assert interrupted.keys == ["key/terraform.tfstate"]  # no lock is left
    # The next apply knew of everything: it neither failed because something exists nor made it twice.
    ours = [{"Name": "tag:platform", "Values": ["drydock"]}]
    vpcs = platform.client("ec2").describe_vpcs(Filters=ours)["Vpcs"]
    assert [vpc["VpcId"] for vpc in vpcs] == [platform.outputs["vpc_id"]]


def test_a_second_apply_changes_nothing_and_is_quick(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    assert platform.planned() == []
    started = time.monotonic()
    outputs = platform.deploy()
    assert time.monotonic() - started < UP_TO_DATE_SECONDS
    assert outputs == platform.outputs
    assert "everything is as it should be" in capsys.readouterr().out


DESCRIPTION = ("update", "aws_s3_object.platform_config")


@pytest.fixture
def changed_job(platform: Platform) -> Iterator[None]:
    job = platform.jobs_dir / "data_processor.py"
    original = job.read_text()
    job.write_text(original + "print('changed')\n")
    yield
    job.write_text(original)


@pytest.fixture
def changed_package(platform: Platform) -> Iterator[None]:
    module = platform.jobs_dir / "shipments" / "rules.py"
    module.write_text("RULES = ()\n")
    yield
    module.unlink()


@pytest.mark.parametrize("change", ["changed_job", "changed_package"])
def test_changed_jobs_are_another_revision_and_one_change(
    platform: Platform, change: str, request: pytest.FixtureRequest
) -> None:
    before = platform.revision
    request.getfixturevalue(change)
    after = platform.revision
    assert (after.name != before.name, after.wheels) == (True, before.wheels)
    assert platform.planned() == [DESCRIPTION]


def test_the_jobs_of_before_stay_whole_beside_the_new_ones_and_can_be_gone_back_to(
    platform: Platform, request: pytest.FixtureRequest
) -> None:
    s3, bucket, before = platform.client("s3"), BUCKETS["input"], platform.revision
    request.getfixturevalue("changed_job")
    after = platform.revision

    outputs = platform.deploy()

    assert outputs["platform_config"]["application_uri"] == f"s3://{bucket}/spark_app/{after.name}"
    assert jobs.names(s3, bucket)[:2] == [after.name, before.name]
    assert jobs.missing(s3, bucket, before) == jobs.missing(s3, bucket, after) == []
    named = jobs.uploaded(s3, bucket, before.name)
    assert named == jobs.Named(before.name, before.wheels)
    outputs = terraform.apply(platform.target, named)
    assert outputs == platform.outputs


def test_a_job_that_changes_while_it_is_deployed_is_refused(platform: Platform, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("changed_package")
    named = platform.revision
    (platform.jobs_dir / "data_processor.py").write_text("# changed in between\n")
    try:
        with pytest.raises(ServiceFailed, match=r"store the jobs .*MD5"):
            deployment.upload(platform.target, named)
    finally:
        (platform.jobs_dir / "data_processor.py").write_text("# data_processor.py\n")
    assert jobs.uploaded(platform.client("s3"), BUCKETS["input"], named.name) is None


def test_a_revision_that_is_not_there_or_not_whole_is_none(platform: Platform) -> None:
    s3 = platform.client("s3")
    s3.put_object(Bucket=BUCKETS["input"], Key="spark_app/0a1b2c3d4e5f/data_generator.py", Body=b"# half of it\n")
    assert jobs.uploaded(s3, BUCKETS["input"], "0a1b2c3d4e5f") is None
    assert jobs.uploaded(s3, "no-such-bucket", "0a1b2c3d4e5f") is None
    assert "0a1b2c3d4e5f" not in jobs.names(s3, BUCKETS["input"])
    s3.delete_object(Bucket=BUCKETS["input"], Key="spark_app/0a1b2c3d4e5f/data_generator.py")


def test_a_touched_package_is_no_change(platform: Platform) -> None:
    (platform.jobs_dir / "shipments" / "__init__.py").touch()
    compiled = platform.jobs_dir / "shipments" / "__pycache__"
    compiled.mkdir()
    (compiled / "__init__.cpython-311.pyc").write_bytes(b"compiled")
    assert platform.planned() == []


def test_rules_that_emr_adds_to_its_groups_are_left_alone(platform: Platform) -> None:
    ec2 = platform.client("ec2")
    group = platform.outputs["platform_config"]["security_groups"]["master"]
    rule = {"IpProtocol": "tcp", "FromPort": 8443, "ToPort": 8443, "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    try:
        assert platform.planned() == []
    finally:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])


def test_jobs_and_wheels_are_uploaded_as_they_are(platform: Platform) -> None:
    s3, revision = platform.client("s3"), platform.revision
    folder = f"spark_app/{revision.name}"
    expected = {
        **{f"{folder}/{file.name}": file.read_bytes() for file in platform.jobs_dir.glob("*.*")},
        **{f"spark_app/{revision.wheels}/{file.name}": file.read_bytes() for file in platform.paths.wheels.iterdir()},
        f"{folder}/delta-log-store.jar": platform.paths.log_store.read_bytes(),
    }
    bodies = {}
    for prefix in (f"{folder}/", f"spark_app/{revision.wheels}/"):
        for item in s3.list_objects_v2(Bucket=BUCKETS["input"], Prefix=prefix)["Contents"]:
            bodies[item["Key"]] = s3.get_object(Bucket=BUCKETS["input"], Key=item["Key"])["Body"].read()
    package = bodies.pop(f"{folder}/shipments.zip")
    description = json.loads(bodies.pop(f"{folder}/revision.json"))
    assert bodies == expected
    assert (description["revision"], description["wheels"]) == (revision.name, revision.wheels)
    assert description["md5"].keys() == {key.rsplit("/")[-1] for key in expected if key.startswith(folder)} | {
        "shipments.zip"
    }
    with zipfile.ZipFile(io.BytesIO(package)) as bundle:
        assert bundle.namelist() == ["shipments/__init__.py"]
        assert bundle.testzip() is None


def test_the_state_is_in_s3_and_unlocked(platform: Platform) -> None:
    s3 = platform.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="spark-kestra-platform")["Contents"]]
    assert keys == ["key/terraform.tfstate"]
    assert s3.get_bucket_versioning(Bucket="spark-kestra-platform")["Status"] == "Enabled"
    [statement] = json.loads(s3.get_bucket_policy(Bucket="spark-kestra-platform")["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket="spark-kestra-platform")["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    tags = s3.get_bucket_tagging(Bucket="spark-kestra-platform")["TagSet"]
    assert tags == [{"Key": "platform", "Value": "drydock"}]


def test_what_terraform_writes_is_not_in_the_checkout(platform: Platform) -> None:
    began = secrets.Secrets(platform.paths.secrets).operator_key.stat().st_mtime
    for pattern in (".terraform*", "*.tfstate*", "*.auto.tfvars*"):
        assert [file for file in terraform.CONFIGURATION.rglob(pattern) if file.lstat().st_mtime >= began] == []
    directory = platform.paths.terraform / "local" / "configuration"
    assert {".terraform", ".terraform.lock.hcl"} <= {entry.name for entry in directory.iterdir()}


def test_no_secret_is_left_where_terraform_ran(platform: Platform) -> None:
    key = secrets.operator_key(platform.paths).secret_access_key.encode()
    folders = (platform.paths.terraform, platform.paths.logs)
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    assert platform.paths.logs / "terraform.log" in files
    assert [file for file in files if file.stat().st_size < 10_000_000 and key in file.read_bytes()] == []


def test_a_stale_lock_is_explained(platform: Platform) -> None:
    s3 = platform.client("s3")
    lock = {
        "ID": "1",
        "Who": "somebody@elsewhere",
        "Created": "2020-01-01T00:00:00Z",
        "Operation": "OperationTypeApply",
    }
    key = "key/terraform.tfstate.tflock"
    s3.put_object(Bucket="spark-kestra-platform", Key=key, Body=json.dumps(lock).encode())
    try:
        with pytest.raises(SetupError) as failure:
            terraform.apply(platform.target, platform.revision)
    finally:
        s3.delete_object(Bucket="spark-kestra-platform", Key=key)
    assert "locked by somebody@elsewhere since 2020-01-01" in str(failure.value)
    assert f"aws s3 rm s3://spark-kestra-platform/{key}" in str(failure.value)


def test_a_bootstrap_action_that_is_missing_is_named(platform: Platform) -> None:
    job = platform.jobs_dir / "bootstrap.sh"
    job.rename(job.with_suffix(".away"))
    try:
        with pytest.raises(SetupError, match=r"bootstrap\.sh"):
            platform.planned()
    finally:
        job.with_suffix(".away").rename(job)


def test_no_gateway_is_a_sentence(platform: Platform) -> None:
    nobody = settings.Ports(offset=1 - 4566)  # port 1
    target = site.local(platform.paths, nobody)
    for act in (
        lambda: deployment.deploy(target, platform.revision, dict),
        lambda: terraform.apply(target, platform.revision),
        lambda: terraform_state.deviations(target),
        target.platform_config,
    ):
        with pytest.raises(ServiceFailed, match="does not answer"):
            act()


def test_no_wheels_are_told_before_anything_is_changed(platform: Platform) -> None:
    (wheel,) = platform.paths.wheels.glob("*.whl")
    wheel.rename(wheel.with_suffix(".away"))
    try:
        with pytest.raises(SetupError, match="holds no wheel"):
            platform.deploy()
    finally:
        wheel.with_suffix(".away").rename(wheel)


def test_no_log_store_is_told_before_anything_is_changed(platform: Platform) -> None:
    jar = platform.paths.log_store
    jar.rename(jar.with_suffix(".away"))
    try:
        with pytest.raises(
            SetupError, match=r"delta-log-store\.jar`, which the jobs need, is not there\. `make setup`"
        ):
            platform.deploy()
    finally:
        jar.with_suffix(".away").rename(jar)


def test_versions_that_differ_are_told(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
    pinned = {**settings.versions(), "terraform": {"minimum": "1.10.0", "aws_provider": "5.99.1"}}
    monkeypatch.setattr(settings, "versions", lambda: pinned)
    with pytest.raises(SetupError, match=r"the AWS provider 5\.100\.0, versions\.toml for 5\.99\.1"):
        platform.planned()
