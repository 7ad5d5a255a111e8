"""Policies of both sides, compared: names of their own are no difference, rights are."""

from dataclasses import replace
from typing import Any

from drydock.parity_of import permissions
from drydock.parity_of.comparison import AWS, LOCAL, Verdict
from drydock.parity_of.facts import Facts


def with_policy(facts: Facts, platform: str, prefix: str, account_id: str, action: str = "s3:GetObject") -> Facts:
    policy = {
        "Action": action,
        "Resource": f"arn:aws:iam::{account_id}:role/{prefix}emr-service-role",
        "Condition": {"StringEquals": {"aws:ResourceTag/platform": platform}},
    }
    role: dict[str, Any] = {"arn": "arn", "trust": {}, "policies": [{"name": "clusters", "policy": policy}]}
    config = {**facts.platform_config, "platform": platform}
    return replace(
        facts, account_id=account_id, name_prefix=prefix, platform_config=config, roles={"driver": role}, flows={}
    )


def verdicts(*sides: Facts) -> list[Verdict]:
    return [each.verdict for each in permissions._same_policies(dict(zip((LOCAL, AWS), sides, strict=True))).items]


def test_names_of_their_own_are_no_difference(facts: Facts) -> None:
    here = with_policy(facts, "drydock", "", "000000000000")
    for platform in ("acme", "drydock-210987654321-us-east-1"):
        there = with_policy(facts, platform, f"{platform}-", "210987654321")
        assert verdicts(here, there) == [Verdict.SAME, Verdict.SAME]


def test_a_right_is_one_and_another_platforms_tag_as_well(facts: Facts) -> None:
    here = with_policy(facts, "drydock", "", "000000000000")
    there = with_policy(facts, "acme", "acme-", "210987654321", "s3:*")
    assert Verdict.DIFFERENT in verdicts(here, there)
    there = replace(with_policy(facts, "other", "acme-", "210987654321"), platform_config={"platform": "acme"})
    assert Verdict.DIFFERENT in verdicts(here, there)
