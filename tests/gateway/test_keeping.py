"""What a gateway was given is there when the next one opens its store, however the first one ended."""

import io
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.running import free_port, small_file_system

from .rig import ACCOUNT, Gateway, Process, make_gateway, running_recorder

PART = 5 << 20
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::configured"}
    ],
}


class Life:
    """A gateway, ended and started again on the same store."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.process = Process(gateway)

    def begin(self) -> None:
        self.process.start()
        self.process.wait_until_ready()

    def crash(self) -> None:
        self.process.popen.kill()
        self.process.popen.wait()

    def begin_again(self) -> None:
        self.crash()
        self.begin()

    @property
    def log(self) -> str:
        return self.gateway.log.read_text()

    @property
    def store(self) -> Path:
        return Path(self.gateway.environment["DRYDOCK_GATEWAY_STORE"])


@contextmanager
def a_life(home: Path) -> Iterator[Life]:
    with running_recorder(secrets.token_urlsafe(48)) as recorder:
        life = Life(make_gateway(home, recorder))
        life.begin()
        try:
            yield life
        finally:
            life.crash()


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with a_life(tmp_path) as life:
        yield life


def test_everything_that_was_answered_is_there_after_a_crash(life: Life) -> None:
    """What S3, IAM, STS and EC2 tell of all that they were given is the same before and after."""
    session = fill(life.gateway)
    before = told(life.gateway, session)
    life.begin_again()
    assert told(life.gateway, session) == before
    assert "ERROR" not in life.log
    change_all_again(life.gateway, session)
    before = told(life.gateway, session)
    life.begin_again()
    assert told(life.gateway, session) == before


@pytest.mark.full
def test_damaged_records_are_set_aside_and_named_and_the_rest_comes_back(life: Life) -> None:
    gateway, s3 = life.gateway, life.gateway.client("s3")
    gateway.client("iam").create_user(UserName="ann")
    vpc = gateway.client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="kept", Body=b"kept")
    s3.put_object(Bucket="plain", Key="cut short", Body=b"cut" * 1000)
    upload = s3.create_multipart_upload(Bucket="plain", Key="begun")["UploadId"]
    s3.upload_part(Bucket="plain", Key="begun", UploadId=upload, PartNumber=1, Body=b"part")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket="versioned", Key="key", Body=body)
    life.crash()

    records = {b"cut" * 1000: 100, b"part": 3}
    damaged = [file for file in life.store.rglob("*") if file.is_file() and cut(file, records)]
    damaged += [life.store / "services" / "iam", life.store / "buckets" / "versioned" / "configuration"]
    assert len(damaged) == 4
    for file in damaged[2:]:
        file.write_bytes(b"\0" * 100)
    life.begin()

    log = life.log
    assert all(f"{file} is damaged" in log for file in damaged)
    assert "The bucket versioned comes back without its configuration" in log
    assert len(list((life.store / "set-aside").iterdir())) == 4
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="plain")["Contents"]] == ["kept"]
    assert s3.list_parts(Bucket="plain", Key="begun", UploadId=upload).get("Parts", []) == []
    assert s3.get_object(Bucket="versioned", Key="key")["Body"].read() == b"two"
    assert len(s3.list_object_versions(Bucket="versioned")["Versions"]) == 2
    assert gateway.client("iam").list_users()["Users"] == []
    assert gateway.client("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"] == "10.1.0.0/16"

    life.begin_again()
    assert "ERROR" not in life.log


def test_what_a_look_at_its_health_has_left_is_gone_after_a_start(life: Life) -> None:
    s3 = life.gateway.client("s3")
    s3.create_bucket(Bucket="drydock-health-0123")
    s3.put_object(Bucket="drydock-health-0123", Key="probe", Body=b"p")
    s3.create_bucket(Bucket="kept")
    life.begin_again()
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["kept"]


def cut(file: Path, records: dict[bytes, int]) -> bool:
    """Cut a record whose bytes are one of `records` to so many bytes; whether it was one."""
    whole = file.read_bytes()
    for body, left in records.items():
        if whole.startswith(body):
            file.write_bytes(whole[:left])
            return True
    return False


def test_a_store_of_another_format_or_in_use_is_refused_with_a_sentence(life: Life) -> None:
    second = Process(replace(life.gateway, port=free_port()))
    second.start()
    assert second.popen.wait(60) == 2
    assert f"The store {life.store} is in use by another gateway. End that one first." in life.log
    life.crash()
    (life.store / "format.json").write_text('{"format": 99}')
    life.process.start()
    assert life.process.popen.wait(60) == 2
    assert "has format 99, and this Drydock reads format 1" in life.log
    assert "Traceback" not in life.log


def test_a_reader_gets_what_it_began_to_read_and_no_writer_waits_for_it(life: Life) -> None:
    s3 = life.gateway.client("s3")
    s3.create_bucket(Bucket="plain")
    first = secrets.token_bytes(24 << 20)  # more than all buffers on its way hold
    s3.put_object(Bucket="plain", Key="key", Body=first)
    slow, deleted = (s3.get_object(Bucket="plain", Key="key")["Body"] for _ in range(2))
    begun = [reader.read(1000) for reader in (slow, deleted)]
    s3.put_object(Bucket="plain", Key="key", Body=b"second")
    assert s3.get_object(Bucket="plain", Key="key")["Body"].read() == b"second"
    assert begun[0] + slow.read() == first
    s3.delete_object(Bucket="plain", Key="key")
    assert begun[1] + deleted.read() == first


def test_of_many_conditional_writers_one_succeeds(life: Life) -> None:
    s3 = life.gateway.client("s3", max_pool_connections=20)
    s3.create_bucket(Bucket="plain")
    uploads = [s3.create_multipart_upload(Bucket="plain", Key="whole")["UploadId"] for _ in range(4)]
    parts = [s3.upload_part(Bucket="plain", Key="whole", UploadId=it, PartNumber=1, Body=b"x") for it in uploads]

    def put(number: int) -> int:
        return status(s3.put_object, Bucket="plain", Key="key", Body=str(number).encode(), IfNoneMatch="*")

    def complete(number: int) -> int:
        listed = {"Parts": [{"PartNumber": 1, "ETag": parts[number]["ETag"]}]}
        which = {"Bucket": "plain", "Key": "whole", "UploadId": uploads[number]}
        return status(s3.complete_multipart_upload, MultipartUpload=listed, IfNoneMatch="*", **which)

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(put, range(16))) == [200] + [412] * 15
        assert sorted(pool.map(complete, range(4))) == [200] + [412] * 3


def status(operation: Any, **parameters: Any) -> int:
    """The HTTP status of an operation's answer, be it an error or not."""
    try:
        answer = operation(**parameters)
    except ClientError as error:
        answer = error.response
    code: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return code


@pytest.mark.full
def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    """5xx for what does not fit; what was answered before is there, and goes on being changed once there is room."""
    with small_file_system(tmp_path / "data"), a_life(tmp_path) as life:
        s3 = life.gateway.client("s3")
        s3.create_bucket(Bucket="plain")
        s3.put_object(Bucket="plain", Key="overwritten", Body=b"before")
        held, block = {"overwritten": b"before"}, secrets.token_bytes(4 << 20)
        statuses = {
            f"block-{n}": status(s3.put_object, Bucket="plain", Key=f"block-{n}", Body=block) for n in range(20)
        }
        assert set(statuses.values()) == {200, 500}
        held |= {key: block for key, code in statuses.items() if code == 200}
        assert 5 < len(held) < 15
        with pytest.raises(ClientError, match="No space left on device"):
            s3.put_object(Bucket="plain", Key="overwritten", Body=block)
        assert contents(s3) == held
        life.begin_again()
        assert contents(s3) == held
        s3.delete_object(Bucket="plain", Key="block-0")
        s3.put_object(Bucket="plain", Key="overwritten", Body=b"after")
        held["overwritten"] = b"after"
        del held["block-0"]
        life.begin_again()
        assert contents(s3) == held
        life.crash()


def contents(s3: Any) -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket="plain").get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket="plain", Key=each["Key"])["Body"].read() for each in listed}


def fill(gateway: Gateway) -> Credentials:
    """Something of each kind; the credentials of a session."""
    s3, iam, ec2 = gateway.client("s3"), gateway.client("iam"), gateway.client("ec2")
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="empty")
    s3.put_object(
        Bucket="plain",
        Key="a/b c/ü€😀",
        Body=b"first",
        Metadata={"who": "me", "$time": "no time of ours"},
        ContentType="text/csv",
        CacheControl="no-store",
        Expires=datetime(2030, 1, 2, tzinfo=UTC),
        StorageClass="STANDARD_IA",
        Tagging="color=red&size=xl",
        ChecksumAlgorithm="SHA256",
    )
    s3.put_object(Bucket="plain", Key="overwritten", Body=b"old" * 1000, Tagging="old=tag")
    s3.put_object(Bucket="plain", Key="overwritten", Body=b"new")
    s3.put_object(Bucket="plain", Key="deleted", Body=b"gone")
    s3.delete_object(Bucket="plain", Key="deleted")
    for name in ("x", "y"):
        s3.put_object(Bucket="plain", Key=f"many/{name}")
    s3.delete_objects(Bucket="plain", Delete={"Objects": [{"Key": "many/x"}, {"Key": "many/y"}]})
    s3.copy_object(Bucket="plain", Key="copy", CopySource="plain/a/b c/ü€😀")
    s3.put_object(Bucket="plain", Key="tagged", Body=b"tagged afterwards")
    s3.put_object_tagging(Bucket="plain", Key="tagged", Tagging={"TagSet": [{"Key": "late", "Value": "1"}]})
    s3.put_object(Bucket="plain", Key="acl", Body=b"acl")
    s3.put_object_acl(Bucket="plain", Key="acl", ACL="public-read")
    upload = s3.create_multipart_upload(Bucket="plain", Key="whole", Metadata={"a": "b"}, Tagging="t=1")["UploadId"]
    complete(gateway, "plain", "whole", upload, [b"1" * PART, b"2" * 77])
    begun = s3.create_multipart_upload(Bucket="plain", Key="begun", ContentType="text/plain", Metadata={"c": "d"})
    s3.upload_part(Bucket="plain", Key="begun", UploadId=begun["UploadId"], PartNumber=3, Body=b"old part")
    s3.upload_part(Bucket="plain", Key="begun", UploadId=begun["UploadId"], PartNumber=3, Body=b"3" * PART)
    s3.upload_part_copy(
        Bucket="plain",
        Key="begun",
        UploadId=begun["UploadId"],
        PartNumber=4,
        CopySource="plain/whole",
        CopySourceRange="bytes=10-19",
    )
    aborted = s3.create_multipart_upload(Bucket="plain", Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket="plain", Key="aborted", UploadId=aborted)

    s3.create_bucket(Bucket="versioned")
    s3.put_object(Bucket="versioned", Key="key", Body=b"before versions")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two", b"three"):
        s3.put_object(Bucket="versioned", Key="key", Body=body)
    s3.delete_object(Bucket="versioned", Key="key")
    s3.put_object(Bucket="versioned", Key="marked", Body=b"deleted, and not gone")
    s3.delete_object(Bucket="versioned", Key="marked")
    s3.put_object(Bucket="versioned", Key="key", Body=b"four", Tagging="v=4")

    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket="locked", Key="held", Body=b"held")
    s3.put_object_legal_hold(Bucket="locked", Key="held", LegalHold={"Status": "ON"})
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    s3.put_object_retention(Bucket="locked", Key="held", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})

    s3.create_bucket(Bucket="configured", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    configure(s3)
    s3.create_bucket(Bucket="short-lived")
    s3.delete_bucket(Bucket="short-lived")

    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST), Tags=[{"Key": "k", "Value": "v"}])
    iam.put_role_policy(RoleName="worker", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    iam.create_instance_profile(InstanceProfileName="worker")
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName="worker")
    iam.create_user(UserName="ann")
    iam.create_access_key(UserName="ann")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "mine"}])
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8")
    assert subnet
    answer = gateway.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/worker", RoleSessionName="at-work", Tags=[{"Key": "T", "Value": "1"}]
    )
    given = answer["Credentials"]
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def configure(s3: Any) -> None:
    s3.put_bucket_policy(Bucket="configured", Policy=json.dumps(POLICY))
    s3.put_bucket_tagging(Bucket="configured", Tagging={"TagSet": [{"Key": "team", "Value": "data"}]})
    s3.put_bucket_encryption(
        Bucket="configured",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket="configured",
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "logs/"},
                    "Expiration": {"Date": datetime(2031, 1, 1, tzinfo=UTC)},
                }
            ]
        },
    )
    s3.put_public_access_block(
        Bucket="configured",
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "RestrictPublicBuckets": False},
    )


def change_all_again(gateway: Gateway, session: Credentials) -> None:
    """Go on with what a former process has left."""
    s3 = gateway.client("s3", session)
    [upload] = s3.list_multipart_uploads(Bucket="plain")["Uploads"]
    parts = s3.list_parts(Bucket="plain", Key="begun", UploadId=upload["UploadId"])["Parts"]
    listed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    s3.complete_multipart_upload(
        Bucket="plain", Key="begun", UploadId=upload["UploadId"], MultipartUpload={"Parts": listed}
    )
    assert s3.get_object(Bucket="plain", Key="begun")["Body"].read() == b"3" * PART + b"1" * 10
    versions = s3.list_object_versions(Bucket="versioned", Prefix="key")["Versions"]
    s3.delete_object(Bucket="versioned", Key="key", VersionId=versions[0]["VersionId"])
    assert s3.get_object(Bucket="versioned", Key="key", VersionId="null")["Body"].read() == b"before versions"
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket="versioned", Key="key", Body=b"the null version, again")
    assert s3.get_object(Bucket="versioned", Key="key")["Body"].read() == b"the null version, again"
    s3.delete_bucket_policy(Bucket="configured")
    s3.delete_bucket_tagging(Bucket="configured")
    s3.delete_object_tagging(Bucket="plain", Key="a/b c/ü€😀")
    s3.delete_object(Bucket="plain", Key="empty")
    gateway.client("iam").delete_role_policy(RoleName="worker", PolicyName="inline")


def complete(gateway: Gateway, bucket: str, key: str, upload_id: str, bodies: list[bytes]) -> None:
    s3 = gateway.client("s3")
    parts = []
    for number, body in enumerate(bodies, 1):
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=io.BytesIO(body))
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})


def told(gateway: Gateway, session: Credentials) -> dict[str, Any]:
    """All that the services tell of what they have."""
    s3, iam, ec2 = gateway.client("s3", session), gateway.client("iam"), gateway.client("ec2")
    answers: dict[str, Any] = {
        "who": gateway.client("sts", session).get_caller_identity()["Arn"],
        "buckets": s3.list_buckets()["Buckets"],
        "roles": iam.list_roles()["Roles"],
        "inline": iam.list_role_policies(RoleName="worker")["PolicyNames"],
        "profiles": [
            (profile["Arn"], profile["InstanceProfileId"], [role["Arn"] for role in profile["Roles"]])
            for profile in iam.list_instance_profiles()["InstanceProfiles"]  # moto dates each of them now
        ],
        "keys": iam.list_access_keys(UserName="ann")["AccessKeyMetadata"],
        "vpcs": ec2.describe_vpcs()["Vpcs"],
        "subnets": ec2.describe_subnets()["Subnets"],
        "groups": ec2.describe_security_groups()["SecurityGroups"],
    }
    for bucket in (each["Name"] for each in answers["buckets"]):
        for about in (
            "acl",
            "encryption",
            "lifecycle_configuration",
            "location",
            "ownership_controls",
            "policy",
            "tagging",
            "versioning",
        ):
            answers[f"{bucket} {about}"] = asked(getattr(s3, f"get_bucket_{about}"), Bucket=bucket)
        answers[f"{bucket} public"] = asked(s3.get_public_access_block, Bucket=bucket)
        versions = asked(s3.list_object_versions, Bucket=bucket)
        answers[f"{bucket} versions"] = versions
        answers[f"{bucket} listing"] = asked(s3.list_objects_v2, Bucket=bucket, FetchOwner=True)
        answers[f"{bucket} uploads"] = uploads = asked(s3.list_multipart_uploads, Bucket=bucket)
        for upload in uploads.get("Uploads", ()):
            which = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            answers[f"{bucket} {upload['UploadId']}"] = asked(s3.list_parts, **which)
        for version in versions.get("Versions", ()):
            which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
            name = " ".join(which.values())
            answers[name] = asked(s3.get_object, ChecksumMode="ENABLED", **which)
            answers[f"{name} tags"] = asked(s3.get_object_tagging, **which)
            answers[f"{name} acl"] = asked(s3.get_object_acl, **which)
            answers[f"{name} parts"] = asked(
                s3.get_object_attributes, ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize", "ETag"], **which
            )
    return answers


def asked(operation: Any, **parameters: Any) -> dict[str, Any]:
    """An answer without what differs from one to the next; an error's code in its place."""
    try:
        answer = operation(**parameters)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}
    if "Body" in answer:
        answer["Body"] = answer["Body"].read()
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
