"""The credentials of the orchestrator's host: for whom, by which rule, and found by the AWS SDK as it comes."""

import json
import subprocess
import sys

import pytest

from drydock import services
from drydock.settings import KESTRA_ROLE

from .rig import ACCOUNT, Answer, Gateway

PATH = services.ORCHESTRATOR_CREDENTIALS
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/{KESTRA_ROLE}/orchestrator"
WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


def ask(gateway: Gateway, token: str | None = None) -> Answer:
    return gateway.send("GET", PATH, {"Authorization": token or gateway.secret_files.orchestrator_token.read_text()})


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def role(gateway: Gateway):
    iam = gateway.client("iam")
    iam.create_role(RoleName=KESTRA_ROLE, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    yield
    iam.delete_role(RoleName=KESTRA_ROLE)


def test_an_sdk_finds_them_by_its_own_two_variables(gateway: Gateway, role: None) -> None:
    environment = {
        "AWS_ENDPOINT_URL": gateway.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{gateway.url}{PATH}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(gateway.secret_files.orchestrator_token),
    }
    found = subprocess.run([sys.executable, "-c", WHO_AM_I], env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == SESSION, found.stderr


def test_they_are_kept_by_nobody_on_the_way(gateway: Gateway, role: None) -> None:
    answer = ask(gateway)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body)["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/{KESTRA_ROLE}"


@pytest.mark.parametrize("token", ["", "Bearer ", "a guess", "ключ"])
def test_nobody_else_gets_them(gateway: Gateway, role: None, token: str) -> None:
    headers = {"Authorization": token.encode().decode("latin-1")} if token else {}
    assert gateway.send("GET", PATH, headers).status == 401


def test_the_control_plane_s_secret_does_not_open_them(gateway: Gateway, role: None) -> None:
    assert ask(gateway, gateway.secret).status == 401


def test_the_role_has_to_trust_ec2(gateway: Gateway, role: None) -> None:
    gateway.client("iam").update_assume_role_policy(
        RoleName=KESTRA_ROLE, PolicyDocument=trust("elasticmapreduce.amazonaws.com")
    )
    answer = ask(gateway)
    assert answer.status == 403
    assert "is not authorized to perform: sts:AssumeRole" in answer.text


def test_a_role_that_is_not_there(gateway: Gateway) -> None:
    answer = ask(gateway)
    assert answer.status == 404
    assert KESTRA_ROLE in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_they_are_only_read(gateway: Gateway, role: None, method: str) -> None:
    assert gateway.send(method, PATH, {"Authorization": "x"}).status == 403
