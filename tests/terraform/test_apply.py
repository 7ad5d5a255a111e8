"""The whole platform applied to a real gateway: what is there afterwards, and what a second time does."""

import io
import json
import time
import zipfile

import pytest

from drydock import secrets, settings, terraform, terraform_state
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
    outputs = terraform.apply(platform.paths, platform.ports, jobs_dir=platform.jobs_dir)
    assert time.monotonic() - started < UP_TO_DATE_SECONDS
    assert outputs == platform.outputs
    assert "everything is as it should be" in capsys.readouterr().out


def test_a_changed_job_is_one_change(platform: Platform) -> None:
    job = platform.jobs_dir / "data_processor.py"
    original = job.read_text()
    job.write_text(original + "print('changed')\n")
    try:
        assert platform.planned() == [("update", 'module.application.aws_s3_object.file["data_processor.py"]')]
    finally:
        job.write_text(original)


def test_a_changed_package_is_one_change(platform: Platform) -> None:
    module = platform.jobs_dir / "shipments" / "rules.py"
    module.write_text("RULES = ()\n")
    try:
        assert platform.planned() == [("update", 'module.application.aws_s3_object.file["shipments.zip"]')]
    finally:
        module.unlink()


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
    s3 = platform.client("s3")
    expected = {
        **{f"spark_app/{file.name}": file.read_bytes() for file in platform.jobs_dir.glob("*.*")},
        **{f"spark_app/wheels/{file.name}": file.read_bytes() for file in platform.paths.wheels.iterdir()},
        "spark_app/delta-log-store.jar": platform.paths.log_store.read_bytes(),
    }
    listing = s3.list_objects_v2(Bucket=BUCKETS["input"])["Contents"]
    bodies = {item["Key"]: s3.get_object(Bucket=BUCKETS["input"], Key=item["Key"])["Body"].read() for item in listing}
    package = bodies.pop("spark_app/shipments.zip")
    assert bodies.pop("config/platform.json")
    assert bodies == expected
    with zipfile.ZipFile(io.BytesIO(package)) as bundle:
        assert bundle.namelist() == ["shipments/__init__.py"]
        assert bundle.testzip() is None


def test_the_state_is_in_s3_and_unlocked(platform: Platform) -> None:
    s3 = platform.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="spark-kestra-platform")["Contents"]]
    assert keys == ["key/terraform.tfstate"]
    assert s3.get_bucket_versioning(Bucket="spark-kestra-platform")["Status"] == "Enabled"


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
            terraform.apply(platform.paths, platform.ports, jobs_dir=platform.jobs_dir)
    finally:
        s3.delete_object(Bucket="spark-kestra-platform", Key=key)
    assert "locked by somebody@elsewhere since 2020-01-01" in str(failure.value)
    assert f"aws s3 rm s3://spark-kestra-platform/{key}" in str(failure.value)


def test_a_missing_job_is_named(platform: Platform) -> None:
    job = platform.jobs_dir / "data_generator.py"
    job.rename(job.with_suffix(".away"))
    try:
        with pytest.raises(SetupError, match=r"data_generator\.py"):
            platform.planned()
    finally:
        job.with_suffix(".away").rename(job)


def test_no_gateway_is_a_sentence(platform: Platform) -> None:
    nobody = settings.Ports(offset=1 - 4566)  # port 1
    for act in (terraform.apply, terraform_state.deviations, terraform.platform_config):
        with pytest.raises(ServiceFailed, match="does not answer"):
            act(platform.paths, nobody)


def test_no_wheels_are_told_before_anything_is_changed(platform: Platform) -> None:
    (wheel,) = platform.paths.wheels.glob("*.whl")
    wheel.rename(wheel.with_suffix(".away"))
    try:
        with pytest.raises(SetupError, match="holds no wheel"):
            terraform.apply(platform.paths, platform.ports, jobs_dir=platform.jobs_dir)
    finally:
        wheel.with_suffix(".away").rename(wheel)


def test_no_log_store_is_told_before_anything_is_changed(platform: Platform) -> None:
    jar = platform.paths.log_store
    jar.rename(jar.with_suffix(".away"))
    try:
        with pytest.raises(
            SetupError, match=r"delta-log-store\.jar`, which the jobs need, is not there\. `make setup`"
        ):
            terraform.apply(platform.paths, platform.ports, jobs_dir=platform.jobs_dir)
    finally:
        jar.with_suffix(".away").rename(jar)


def test_versions_that_differ_are_told(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
    pinned = {**settings.versions(), "terraform": {"minimum": "1.10.0", "aws_provider": "5.99.1"}}
    monkeypatch.setattr(settings, "versions", lambda: pinned)
    with pytest.raises(SetupError, match=r"the AWS provider 5\.100\.0, versions\.toml for 5\.99\.1"):
        platform.planned()
