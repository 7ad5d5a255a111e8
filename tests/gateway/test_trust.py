"""Trust policies: which ones let a service assume a role."""

import json

import pytest

from drydock_gateway.trust import may_assume

EC2, EMR = "ec2.amazonaws.com", "elasticmapreduce.amazonaws.com"
CONTEXT = {
    "aws:sourceaccount": "000000000000",
    "aws:sourcearn": "arn:aws:elasticmapreduce:us-east-1:000000000000:cluster/j-1",
}
SOURCE_ARN = "arn:aws:elasticmapreduce:us-east-1:000000000000:*"
ELSEWHERE = "arn:aws:elasticmapreduce:eu-west-1:000000000000:*"


def allow(**changes):
    statement = {"Effect": "Allow", "Principal": {"Service": EC2}, "Action": "sts:AssumeRole", **changes}
    return {name: value for name, value in statement.items() if value is not None}


ALLOWED = {
    "plainly": [allow()],
    "among others": [allow(Principal={"Service": [EMR, EC2]})],
    "beside an account": [allow(Principal={"Service": EC2, "AWS": "arn:aws:iam::1:root"})],
    "everybody": [allow(Principal="*")],
    "by a list of actions": [allow(Action=["sts:TagSession", "sts:AssumeRole"])],
    "by a pattern": [allow(Action="sts:Assume*")],
    "by another pattern": [allow(Action="*")],
    "by another case": [allow(Action="STS:assumerole")],
    "in a second statement": [allow(Principal={"Service": EMR}), allow()],
    "denied to another": [allow(), allow(Effect="Deny", Principal={"Service": EMR})],
    "for its account": [allow(Condition={"StringEquals": {"aws:SourceAccount": ["1", "000000000000"]}})],
    "for its clusters": [allow(Condition={"ArnLike": {"AWS:SOURCEARN": SOURCE_ARN}})],
    "for both": [
        allow(
            Condition={
                "StringEquals": {"aws:SourceAccount": "000000000000"},
                "ArnLike": {"aws:SourceArn": SOURCE_ARN},
            }
        )
    ],
    "if a key is there that is not": [allow(Condition={"StringEqualsIfExists": {"aws:PrincipalTag/x": "y"}})],
    "unless another account": [allow(Condition={"StringNotEquals": {"aws:SourceAccount": "1"}})],
    "unless another account in any case": [allow(Condition={"StringNotEqualsIgnoreCase": {"aws:SourceAccount": "A"}})],
    "unless another's clusters": [allow(Condition={"ArnNotEquals": {"aws:SourceArn": ELSEWHERE}})],
    "denied from elsewhere": [allow(), allow(Effect="Deny", Condition={"ArnNotEquals": {"aws:SourceArn": SOURCE_ARN}})],
    "denied to another account": [
        allow(),
        allow(Effect="Deny", Condition={"StringNotEqualsIgnoreCase": {"aws:SourceAccount": "000000000000"}}),
    ],
}  # fmt: skip

NOT_ALLOWED = {
    "nothing": [],
    "another service": [allow(Principal={"Service": EMR})],
    "accounts, not services": [allow(Principal={"AWS": "*"})],
    "no principal": [allow(Principal=None)],
    "another action": [allow(Action="sts:AssumeRoleWithSAML")],
    "a pattern that is another": [allow(Action="sts:AssumeRole?")],
    "no action": [allow(Action=None)],
    "denied": [allow(), allow(Effect="Deny")],
    "denied before": [allow(Effect="Deny", Principal="*"), allow()],
    "effect in another case": [allow(Effect="allow")],
    "another account's": [allow(Condition={"StringEquals": {"aws:SourceAccount": "1"}})],
    "another region's": [
        allow(Condition={"ArnLike": {"aws:SourceArn": ELSEWHERE}})
    ],
    "denied unless elsewhere": [
        allow(),
        allow(Effect="Deny", Condition={"ArnNotEquals": {"aws:SourceArn": ELSEWHERE}}),
    ],
    "denied unless another account": [
        allow(),
        allow(Effect="Deny", Condition={"StringNotEqualsIgnoreCase": {"aws:SourceAccount": "A"}}),
    ],
    "denied by an operator nobody knows": [
        allow(),
        allow(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    ],
    "allowed by an operator nobody knows": [allow(Condition={"Null": {"aws:SourceAccount": "false"}})],
    "a key that is not there": [allow(Condition={"StringEquals": {"sts:ExternalId": "x"}})],
    "an operator nobody knows": [allow(Condition={"StringAlmost": {"aws:SourceAccount": "000000000000"}})],
    "one condition of two": [
        allow(Condition={"StringEquals": {"aws:SourceAccount": "000000000000"}, "ArnLike": {"aws:SourceArn": "arn:*"}})
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(name: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": ALLOWED[name]}
    assert may_assume(policy, EC2, CONTEXT)
    assert may_assume(json.dumps(policy), EC2, CONTEXT)


@pytest.mark.parametrize("name", NOT_ALLOWED)
def test_not_allowed(name: str) -> None:
    assert not may_assume({"Version": "2012-10-17", "Statement": NOT_ALLOWED[name]}, EC2, CONTEXT)


def test_a_single_statement_needs_no_list() -> None:
    assert may_assume({"Statement": allow()}, EC2, {})
