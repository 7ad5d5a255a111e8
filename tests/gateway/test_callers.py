"""Who gets in, who does not, and in whose words he is told."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from .rig import ACCOUNT, OPERATOR_ARN, Gateway

TRUST_ACCOUNT = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}
CALLS = {
    "s3": ("list_buckets", {}),
    "sts": ("get_caller_identity", {}),
    "iam": ("list_roles", {}),
    "ec2": ("describe_vpcs", {}),
    "emr": ("list_clusters", {}),
}


def call(gateway: Gateway, service: str, credentials: Credentials | None = None) -> Any:
    name, arguments = CALLS[service]
    return getattr(gateway.client(service, credentials), name)(**arguments)


def error_of(gateway: Gateway, service: str, credentials: Credentials) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(gateway, service, credentials)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.mark.parametrize("service", CALLS)
def test_operator_gets_in(gateway: Gateway, service: str) -> None:
    assert call(gateway, service)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_operator_is_the_owner_of_the_account(gateway: Gateway) -> None:
    assert call(gateway, "sts")["Arn"] == OPERATOR_ARN


@pytest.mark.parametrize(
    ("service", "expected"),
    {
        "s3": (403, "InvalidAccessKeyId"),
        "sts": (403, "InvalidClientTokenId"),
        "iam": (403, "InvalidClientTokenId"),
        "ec2": (401, "AuthFailure"),
        "emr": (400, "UnrecognizedClientException"),
    }.items(),
)
@pytest.mark.parametrize(
    "key", ["test", "AKIAIOSFODNN7EXAMPLE", "injectedaccesskey", "__internal_call__", "123456789012"]
)
def test_unknown_key(gateway: Gateway, key: str, service: str, expected: tuple[int, str]) -> None:
    assert error_of(gateway, service, gateway.credentials(access_key=key)) == expected
    assert gateway.emr.requests == []


@pytest.mark.parametrize(
    ("service", "expected"),
    {
        "s3": (403, "SignatureDoesNotMatch"),
        "sts": (403, "SignatureDoesNotMatch"),
        "iam": (403, "SignatureDoesNotMatch"),
        "ec2": (401, "AuthFailure"),
        "emr": (400, "InvalidSignatureException"),
    }.items(),
)
def test_wrong_secret(gateway: Gateway, service: str, expected: tuple[int, str]) -> None:
    assert error_of(gateway, service, gateway.credentials(secret_key="guessed")) == expected
    assert gateway.emr.requests == []


@pytest.mark.parametrize(
    ("service", "expected"),
    {
        "s3": (400, "InvalidToken"),
        "sts": (403, "InvalidClientTokenId"),
        "ec2": (401, "AuthFailure"),
        "emr": (400, "UnrecognizedClientException"),
    }.items(),
)
def test_token_that_belongs_to_no_session(gateway: Gateway, service: str, expected: tuple[int, str]) -> None:
    assert error_of(gateway, service, gateway.credentials(token="made up")) == expected


ANONYMOUS = [
    ("GET", "/", {}, 403, "AccessDenied"),
    ("GET", "/things/key", {}, 403, "AccessDenied"),
    ("PUT", "/things/key", {}, 403, "AccessDenied"),
    ("POST", "/?Action=GetCallerIdentity&Version=2011-06-15", {}, 403, "MissingAuthenticationToken"),
    ("POST", "/?Action=DescribeVpcs&Version=2016-11-15", {}, 400, "MissingParameter"),
    (
        "POST",
        "/",
        {"X-Amz-Target": "ElasticMapReduce.ListClusters", "Content-Type": "application/x-amz-json-1.1"},
        400,
        "MissingAuthenticationTokenException",
    ),
]


@pytest.mark.parametrize(("method", "target", "headers", "status", "code"), ANONYMOUS)
def test_anonymous(gateway: Gateway, method: str, target: str, headers: dict[str, str], status: int, code: str) -> None:
    answer = gateway.send(method, target, headers)
    assert answer.status == status
    assert code in answer.text
    assert gateway.emr.requests == []


def test_wire_formats(gateway: Gateway) -> None:
    def refused(service: str, target: str, headers: dict[str, str]) -> Any:
        wrong = gateway.credentials(secret_key="guessed")
        return gateway.send("POST", target, gateway.signed("POST", target, service, headers=headers, credentials=wrong))

    s3 = ElementTree.fromstring(refused("s3", "/things?delete", {}).text)
    assert s3.tag == "Error"
    assert s3.findtext("Code") == "SignatureDoesNotMatch"
    assert s3.findtext("AWSAccessKeyId") == gateway.operator["access_key_id"]
    assert (s3.findtext("StringToSign") or "").startswith("AWS4-HMAC-SHA256\n")
    assert (s3.findtext("CanonicalRequest") or "").startswith("POST\n/things\ndelete=\n")

    sts = ElementTree.fromstring(refused("sts", "/?Action=GetCallerIdentity&Version=2011-06-15", {}).text)
    namespace = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    assert sts.tag == f"{namespace}ErrorResponse"
    assert sts.findtext(f"{namespace}Error/{namespace}Type") == "Sender"
    assert sts.findtext(f"{namespace}Error/{namespace}Code") == "SignatureDoesNotMatch"

    ec2 = refused("ec2", "/?Action=DescribeVpcs&Version=2016-11-15", {})
    assert ec2.status == 401
    root = ElementTree.fromstring(ec2.text)
    assert root.tag.endswith("Response")
    assert [each.text for each in root.iter() if each.tag.endswith("Code")] == ["AuthFailure"]
    assert any(each.tag.endswith("RequestID") for each in root)

    target = {"X-Amz-Target": "ElasticMapReduce.ListClusters", "Content-Type": "application/x-amz-json-1.1"}
    emr = refused("elasticmapreduce", "/", target)
    assert emr.status == 400
    assert emr.headers["content-type"] == "application/x-amz-json-1.1"
    assert json.loads(emr.body)["__type"] == "InvalidSignatureException"


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("service", "target", "minutes", "status", "code"),
    [
        ("s3", "/", 14, 200, ""),
        ("s3", "/", 16, 403, "RequestTimeTooSkewed"),
        ("sts", "/?Action=GetCallerIdentity&Version=2011-06-15", 4, 200, ""),
        ("sts", "/?Action=GetCallerIdentity&Version=2011-06-15", 6, 403, "SignatureDoesNotMatch"),
        ("ec2", "/?Action=DescribeVpcs&Version=2016-11-15", 14, 200, ""),
        ("ec2", "/?Action=DescribeVpcs&Version=2016-11-15", 16, 400, "RequestExpired"),
        ("elasticmapreduce", "/", 4, 200, ""),
        ("elasticmapreduce", "/", 6, 400, "InvalidSignatureException"),
    ],
)
def test_clock_skew(
    gateway: Gateway, service: str, target: str, minutes: int, direction: int, status: int, code: str
) -> None:
    headers = gateway.signed("GET", target, service, at=datetime.now(UTC) + direction * timedelta(minutes=minutes))
    method = "GET"
    if service == "elasticmapreduce":
        method = "POST"
        headers = gateway.signed("POST", target, service, at=datetime.now(UTC) + direction * timedelta(minutes=minutes))
    answer = gateway.send(method, target, headers)
    assert answer.status == status, answer.text
    assert code in answer.text


def test_session_of_a_role_gets_in_as_the_role(gateway: Gateway) -> None:
    credentials = assumed(gateway, "visitor")
    assert call(gateway, "sts", credentials)["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/visitor/test"
    call(gateway, "s3", credentials)
    call(gateway, "emr", credentials)
    assert gateway.emr.requests[-1].claims["sub"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/visitor/test"


@pytest.mark.parametrize(
    ("service", "without", "wrong"),
    [
        ("s3", (403, "InvalidAccessKeyId"), (400, "InvalidToken")),
        ("sts", (403, "InvalidClientTokenId"), (403, "InvalidClientTokenId")),
        ("ec2", (401, "AuthFailure"), (401, "AuthFailure")),
        ("emr", (400, "UnrecognizedClientException"), (400, "UnrecognizedClientException")),
    ],
)
def test_session_needs_its_own_token(
    gateway: Gateway, service: str, without: tuple[int, str], wrong: tuple[int, str]
) -> None:
    session = assumed(gateway, "forgetful")
    other = assumed(gateway, "forgetful")
    assert error_of(gateway, service, Credentials(session.access_key, session.secret_key)) == without
    assert error_of(gateway, service, Credentials(session.access_key, session.secret_key, other.token)) == wrong


def test_session_expires(gateway: Gateway) -> None:
    # A second is less than AWS allows; LocalStack issues it, and the test need not wait a quarter of an hour.
    session = assumed(gateway, "short-lived", seconds=1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            call(gateway, "s3", session)
        except ClientError:
            break
        time.sleep(0.1)
    assert error_of(gateway, "s3", session) == (400, "ExpiredToken")
    assert error_of(gateway, "sts", session) == (403, "ExpiredToken")
    assert error_of(gateway, "ec2", session) == (400, "RequestExpired")
    assert error_of(gateway, "emr", session) == (400, "ExpiredTokenException")


def test_user_gets_in_until_the_key_is_deactivated_and_deleted(gateway: Gateway) -> None:
    iam = gateway.client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    assert call(gateway, "sts", ann)["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ann"
    call(gateway, "s3", ann)
    assert error_of(gateway, "s3", Credentials(key["AccessKeyId"], "guessed")) == (403, "SignatureDoesNotMatch")

    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert error_of(gateway, "s3", ann) == (403, "InvalidAccessKeyId")
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Active")
    call(gateway, "s3", ann)
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
    assert error_of(gateway, "iam", ann) == (403, "InvalidClientTokenId")


def assumed(gateway: Gateway, role: str, seconds: int = 900) -> Credentials:
    iam = gateway.client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST_ACCOUNT))
    sts = gateway.client("sts", parameter_validation=False)
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="test", DurationSeconds=seconds)["Credentials"]
    return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
