"""The gateway's token, as the control plane reads it: both sides' own code."""

import pytest

from drydock_emr.errors import AccessDenied
from drydock_emr.gateway import Caller, verify_token
from drydock_gateway.principal import Principal
from drydock_gateway.tokens import for_emr

SECRET = "gateway-secret-of-the-tests-0123456789"
OPERATOR = Principal(
    arn="arn:aws:iam::000000000000:root", account_id="000000000000", access_key_id="AKIAOPERATOROPERATOR"
)
TARGET = "ElasticMapReduce.ListClusters"
BODY = b'{"Marker": "x"}'


def test_the_control_plane_learns_who_asks() -> None:
    passage = verify_token(f"Bearer {for_emr(SECRET, OPERATOR, 'eu-west-1', TARGET, BODY)}", TARGET, SECRET)
    assert passage.caller == Caller("arn:aws:iam::000000000000:root", "000000000000", "eu-west-1")
    passage.check_body(BODY)


def test_a_token_is_for_one_operation() -> None:
    token = for_emr(SECRET, OPERATOR, "us-east-1", TARGET, BODY)
    with pytest.raises(AccessDenied, match="another operation"):
        verify_token(f"Bearer {token}", "ElasticMapReduce.TerminateJobFlows", SECRET)


def test_a_token_is_for_one_body() -> None:
    passage = verify_token(f"Bearer {for_emr(SECRET, OPERATOR, 'us-east-1', TARGET, BODY)}", TARGET, SECRET)
    with pytest.raises(AccessDenied, match="another request"):
        passage.check_body(BODY + b" ")


def test_a_token_needs_the_secret_of_both() -> None:
    token = for_emr("another-secret-of-the-tests-0123456789", OPERATOR, "us-east-1", TARGET, BODY)
    with pytest.raises(AccessDenied, match="not valid"):
        verify_token(f"Bearer {token}", TARGET, SECRET)
