"""A plan in words, what it costs, and what a trial's cluster should have."""

from pathlib import Path
from typing import Any

import pytest

from drydock.on_aws import costs, trial
from drydock.on_aws.plan import SHOWN_CHANGES, Plan
from drydock_driver import prices


def planned(action: str, address: str) -> dict[str, Any]:
    return {"type": "planned_change", "change": {"action": action, "resource": {"addr": address}}}


def plan(*events: dict[str, Any]) -> Plan:
    made = Plan(Path("plan"))
    for event in events:
        made.note(event)
    return made


def test_what_is_new_is_counted_by_kind_and_all_else_is_named() -> None:
    found = plan(
        planned("create", 'module.storage.aws_s3_bucket.this["input"]'),
        planned("create", 'module.storage.aws_s3_bucket.this["output"]'),
        planned("create", "aws_s3_object.platform_config"),
        planned("create", "module.kestra_host[0].aws_instance.this"),
        planned("read", "module.network.data.aws_ec2_instance_type_offerings.this"),
        planned("update", 'module.emr.aws_security_group_rule.this["a.b"]'),
        planned("delete", "module.iam.aws_iam_role.kestra"),
        planned("replace", "module.network.aws_subnet.public"),
        {"type": "version", "terraform": "1.11.4"},
    )
    assert list(found.lines()) == [
        "4 made: 1 instance, 2 s3 bucket, 1 s3 object",
        "1 changed: 1 security group rule",
        "1 made anew: 1 subnet",
        "1 removed: 1 iam role",
        "module.iam.aws_iam_role.kestra is removed",
        "module.network.aws_subnet.public is made anew",
        'module.emr.aws_security_group_rule.this["a.b"] is changed',
    ]
    assert list(found.lines(each=False))[-1] == "1 removed: 1 iam role"


def test_a_plan_that_only_reads_is_empty() -> None:
    assert plan(planned("read", "data.aws_partition.this"), planned("no-op", "aws_vpc.this")).is_empty


def test_a_long_list_of_changes_is_cut_and_says_so() -> None:
    changes = [planned("update", f"aws_vpc.this[{number}]") for number in range(SHOWN_CHANGES + 3)]
    lines = list(plan(*changes).lines())
    assert len(lines) == 1 + SHOWN_CHANGES + 1
    assert lines[-1] == "and 3 more are changed"


def test_what_goes_for_good_is_told_however_much_is_changed() -> None:
    changes = [planned("update", f"aws_vpc.this[{number}]") for number in range(SHOWN_CHANGES + 3)]
    lost = [planned("replace", f"aws_instance.this[{number}]") for number in range(SHOWN_CHANGES + 3)]
    lines = list(plan(*changes, *lost).lines())
    assert [line for line in lines if line.endswith("is made anew")] == [
        f"aws_instance.this[{number}] is made anew" for number in range(SHOWN_CHANGES + 3)
    ]


def test_what_it_costs_is_the_list_price_of_a_quarter_of_an_hour() -> None:
    found = costs.estimate("us-east-1", {"master": "m5.xlarge", "core": "m5.xlarge"}, 2)
    assert found.run == pytest.approx(3 * (0.192 + 0.048) / 4)
    assert found.month == pytest.approx(60 * 3 * (0.192 + 0.048) / 4)
    assert "$0.18" in str(found)
    assert "$11 a month" in str(found)


def test_a_host_for_kestra_costs_all_month() -> None:
    types = {"master": "m5.xlarge", "core": "m5.xlarge"}
    assert list(costs.of("us-east-1", types, 2, None))[1:] == ["While nothing runs there is only S3 to pay."]
    _, host = costs.of("us-east-1", types, 2, {"instance_type": "t3.large", "volume_gb": 30})
    assert prices.host_a_month("us-east-1", "t3.large", 30) == pytest.approx((0.0832 + 0.005) * 730 + 0.08 * 30)
    assert host.startswith("Kestra's host, t3.large with 30 GB and an address, costs about $67 a month")
    [_, unknown] = costs.of("us-east-1", types, 2, {"instance_type": "c7i.large", "volume_gb": 30})
    assert "not known here" in unknown


@pytest.mark.parametrize(("region", "core"), [("eu-central-1", "m5.xlarge"), ("us-east-1", "x1.32xlarge")])
def test_what_is_not_known_is_not_made_up(region: str, core: str) -> None:
    assert "not known" in str(costs.estimate(region, {"master": "m5.xlarge", "core": core}, 2))


def test_amazons_builds_are_the_same_versions_and_others_are_told() -> None:
    amazons = {name: f"{version}-amzn-2" for name, version in trial.expected_versions().items()}
    assert trial.other_versions({"versions": amazons}) == []
    found = trial.other_versions({"versions": amazons | {"spark": "3.5.60", "python": "3.9.16"}})
    assert found == ["spark is 3.5.60, expected 3.5.6", "python is 3.9.16, expected 3.11"]
    assert "hadoop is unknown" in "; ".join(trial.other_versions({}))
