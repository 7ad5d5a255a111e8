"""The roles' rights as an evaluator of IAM that is not ours decides, and that it sees one that lacks or is too many."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from drydock import settings
from drydock.parity_of import permissions
from drydock.parity_of.comparison import LOCAL, Verdict
from drydock.parity_of.facts import Facts, bucket_policies_of, roles_of

from .conftest import Platform

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def applied(platform: Platform) -> Facts:
    """What Terraform has put into the account."""
    config = platform.target.platform_config()
    return Facts(
        account_id=config["account_id"],
        region=platform.target.account.region,
        name_prefix="",
        revision=platform.revision.name,
        platform_config=config,
        told={},
        deviating_objects=[],
        flows={},
        roles=roles_of(platform.target),
        bucket_policies=bucket_policies_of(platform.target),
        day=None,
    )


@pytest.fixture
def facts(applied: Facts) -> Facts:
    return deepcopy(applied)


def different(facts: Facts) -> list[str]:
    [section] = permissions.compare(settings.Paths(), {LOCAL: facts}, lambda _: None)
    return [item.what for item in section.items if item.verdict is Verdict.DIFFERENT]


def statements(facts: Facts, role: str) -> Iterator[dict[str, Any]]:
    for each in facts.roles[role]["policies"]:
        yield from each["policy"]["Statement"]


def test_nothing_needed_is_denied_and_nothing_else_allowed(facts: Facts) -> None:
    assert different(facts) == []


def test_a_right_that_lacks_is_seen(facts: Facts) -> None:
    """IAM's and the bucket's policy both name the roles: without either the call is denied."""
    for each in facts.roles["instances"]["policies"]:
        text = json.dumps(each["policy"]).replace('"s3:DeleteObject"', '"s3:GetObjectTagging"')
        each["policy"] = json.loads(text)
    for name, policy in facts.bucket_policies.items():
        facts.bucket_policies[name] = json.loads(json.dumps(policy).replace('"s3:DeleteObject", ', ""))
    found = different(facts)
    assert "instances: s3:DeleteObject, an object of the tables" in found
    assert "instances: s3:GetObjectTagging, an object of the tables" in found


def test_a_condition_that_lacks_is_seen(facts: Facts) -> None:
    for statement in statements(facts, "driver"):
        if statement.get("Sid") in ("OperateOwnClusters", "PassInstanceRole"):
            del statement["Condition"]
    found = different(facts)
    assert "driver: elasticmapreduce:TerminateJobFlows, a cluster of others" in found
    assert "driver: iam:PassRole, the instances' role, to EMR" in found


def test_too_wide_a_resource_is_seen(facts: Facts) -> None:
    for statement in statements(facts, "instances"):
        if statement.get("Sid") == "ReadData":
            statement["Resource"] = "*"
    found = different(facts)
    assert "instances: s3:GetObject, an object of others" in found
    assert "instances: s3:GetObject, the description of the platform" in found


def test_a_bucket_that_takes_plain_http_is_seen(facts: Facts) -> None:
    policy = facts.bucket_policies["spark-job-data-output"]
    policy["Statement"] = [each for each in policy["Statement"] if each["Effect"] != "Deny"]
    assert "instances: s3:GetObject, an object of the tables, without TLS" in different(facts)


def test_a_service_that_nothing_calls_is_seen(facts: Facts) -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    facts.roles["driver"]["policies"].append({"name": "more", "policy": {"Statement": [statement]}})
    assert "driver: more" in different(facts)
