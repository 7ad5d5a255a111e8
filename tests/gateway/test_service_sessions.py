"""Credentials for AWS's services: who may ask, for which role, and what they are good for."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import Credentials

from .rig import ACCOUNT, REGION, Answer, Gateway, session_token

PATH = "/_drydock/service-sessions"
EC2, EMR = "ec2.amazonaws.com", "elasticmapreduce.amazonaws.com"
ASK = {
    "service": EC2,
    "account_id": ACCOUNT,
    "region": REGION,
    "instance_profile": "nodes",
    "session_name": "i-0123456789abcdef0",
    "duration_seconds": 3600,
}


def trust(principal: dict[str, str], **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module", autouse=True)
def roles(running: Gateway) -> None:
    """emr_nodes in the profile `nodes`; emr_service, for this account's clusters; a profile without a role."""
    iam = running.client("iam")
    iam.create_role(RoleName="emr_nodes", Path="/of/clusters/", AssumeRolePolicyDocument=trust({"Service": EC2}))
    iam.create_instance_profile(InstanceProfileName="nodes", Path="/of/clusters/")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="emr_nodes")
    iam.create_instance_profile(InstanceProfileName="empty")
    condition = {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:elasticmapreduce:{REGION}:{ACCOUNT}:*"},
    }
    iam.create_role(RoleName="emr_service", AssumeRolePolicyDocument=trust({"Service": EMR}, Condition=condition))
    iam.create_role(RoleName="of_a_person", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
    iam.create_instance_profile(InstanceProfileName="of_a_person")
    iam.add_role_to_instance_profile(InstanceProfileName="of_a_person", RoleName="of_a_person")


def ask(gateway: Gateway, **changes: Any) -> Answer:
    body = json.dumps({name: value for name, value in {**ASK, **changes}.items() if value is not None}).encode()
    return send(gateway, body, session_token(gateway.secret, body))


def send(gateway: Gateway, body: bytes, token: str) -> Answer:
    return gateway.send("POST", PATH, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, body)


def test_an_instance_profiles_session(gateway: Gateway) -> None:
    answer = ask(gateway)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    session = json.loads(answer.body)
    assert session["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/of/clusters/emr_nodes"
    expires = datetime.strptime(session["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(expires - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=30)

    credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["Token"])
    identity = gateway.client("sts", credentials).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/emr_nodes/i-0123456789abcdef0"
    assert identity["Account"] == ACCOUNT
    role_id = gateway.client("iam").get_role(RoleName="emr_nodes")["Role"]["RoleId"]
    assert identity["UserId"] == f"{role_id}:i-0123456789abcdef0"
    gateway.client("s3", credentials).list_buckets()
    gateway.client("emr", credentials).list_clusters()
    assert gateway.emr.requests[-1].claims["sub"] == identity["Arn"]


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_profile": f"arn:aws:iam::{ACCOUNT}:instance-profile/of/clusters/nodes"},
        {"instance_profile": None, "role": "emr_nodes"},
        {"instance_profile": None, "role": f"arn:aws:iam::{ACCOUNT}:role/of/clusters/emr_nodes"},
        {"instance_profile": None, "role": "emr_service", "service": EMR, "session_name": "j-1ABCDEFGHIJKL"},
    ],
)
def test_ways_to_name_a_role(gateway: Gateway, changes: dict[str, Any]) -> None:
    answer = ask(gateway, **changes)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"service": EMR},  # the nodes' role trusts EC2
        {"instance_profile": None, "role": "emr_service"},  # … and the service role EMR
        {"instance_profile": "of_a_person"},
        # The role trusts EMR on behalf of clusters in one region.
        {"instance_profile": None, "role": "emr_service", "service": EMR, "region": "eu-west-1"},
    ],
)
def test_trust_policies_count(gateway: Gateway, changes: dict[str, Any]) -> None:
    answer = ask(gateway, **changes)
    assert answer.status == 403
    document = json.loads(answer.body)
    assert document["error"] == "AccessDenied"
    assert "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::" in document["message"]


def test_a_trust_policy_that_is_changed_counts_at_once(gateway: Gateway) -> None:
    iam = gateway.client("iam")
    iam.create_role(RoleName="changing", AssumeRolePolicyDocument=trust({"Service": EC2}))
    changes = {"instance_profile": None, "role": "changing"}
    assert ask(gateway, **changes).status == 200
    iam.update_assume_role_policy(RoleName="changing", PolicyDocument=trust({"Service": EMR}))
    assert ask(gateway, **changes).status == 403
    iam.delete_role(RoleName="changing")
    assert ask(gateway, **changes).status == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_profile": "unknown"},
        {"instance_profile": "empty"},
        {"instance_profile": f"arn:aws:iam::{ACCOUNT}:instance-profile/nodes"},  # another path, another profile
        {"instance_profile": "arn:aws:iam::999999999999:instance-profile/of/clusters/nodes"},
        {"instance_profile": None, "role": "unknown"},
        {"account_id": "999999999999"},
    ],
)
def test_what_is_not_there(gateway: Gateway, changes: dict[str, Any]) -> None:
    answer = ask(gateway, **changes)
    assert (answer.status, json.loads(answer.body)["error"]) == (404, "NoSuchEntity")


@pytest.mark.parametrize(
    "changes",
    [
        {"service": "lambda.amazonaws.com"},
        {"account_id": "1"},
        {"region": "nowhere"},
        {"session_name": "two words"},
        {"session_name": None},
        {"duration_seconds": 899},
        {"duration_seconds": 43_201},
        {"duration_seconds": "3600"},
        {"duration_seconds": True},
        {"role": "emr_nodes"},  # and a profile
        {"instance_profile": None},
        {"instance_profile": 1},
    ],
)
def test_requests_that_make_no_sense(gateway: Gateway, changes: dict[str, Any]) -> None:
    answer = ask(gateway, **changes)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "ValidationError")


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b"{}", b"\xff"])
def test_requests_that_are_none(gateway: Gateway, body: bytes) -> None:
    assert send(gateway, body, session_token(gateway.secret, body)).status == 400


BODY = json.dumps(ASK).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "gateway"},
        {"aud": "emr"},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"exp": int(time.time()) - 1},
        {"exp": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3610},
        {"body_sha256": None},
        {"body_sha256": "0" * 64},
    ],
)
def test_tokens_that_are_not_the_control_planes(gateway: Gateway, changes: dict[str, Any]) -> None:
    assert send(gateway, BODY, session_token(gateway.secret, BODY)).status == 200
    answer = send(gateway, BODY, session_token(gateway.secret, BODY, **changes))
    assert (answer.status, json.loads(answer.body)["error"]) == (401, "Unauthorized")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer x.y.z", "Basic eA=="])
def test_no_token(gateway: Gateway, authorization: str) -> None:
    assert gateway.send("POST", PATH, {"Authorization": authorization}, BODY).status == 401
    assert gateway.send("POST", PATH, {}, BODY).status == 401


def test_a_token_of_another_installation(gateway: Gateway) -> None:
    assert send(gateway, BODY, session_token("another secret, long enough to sign with", BODY)).status == 401


def test_a_signature_is_no_token(gateway: Gateway) -> None:
    """The operator may assume roles by STS; to be a service he may not."""
    assert gateway.send("POST", PATH, gateway.signed("POST", PATH, "sts", BODY), BODY).status == 401


def test_a_token_is_for_sessions_only(gateway: Gateway) -> None:
    token = session_token(gateway.secret, BODY)
    assert gateway.send("POST", "/", {"Authorization": f"Bearer {token}"}, BODY).status == 400
    assert gateway.emr.requests == []
