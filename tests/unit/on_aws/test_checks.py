"""What is looked at before anything is changed on AWS."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from drydock import settings
from drydock.on_aws import checks
from drydock.on_aws.account import Deployment, Identity
from drydock.on_aws.plan import Plan
from drydock.preflight import finding
from drydock.preflight.finding import Finding, Status

RELEASE = settings.versions()["emr"]["release"]
MISSING = ClientError(
    {"Error": {"Code": "InvalidRequestException", "Message": "no such release"}}, "DescribeReleaseLabel"
)
ADMIN, ROOT = "arn:aws:iam::123456789012:role/admin", "arn:aws:iam::123456789012:root"
KESTRA_ROLE = "arn:aws:iam::123456789012:role/acme-kestra-role"


class NoSuchEntityException(Exception):
    """As IAM's client has it."""


class Aws:
    """An account in which all is well, unless a test says otherwise."""

    exceptions = SimpleNamespace(NoSuchEntityException=NoSuchEntityException)

    def __init__(self) -> None:
        self.applications = [{"Name": "Spark", "Version": "3.5.6-amzn-2"}]
        self.has_release = True
        self.blocks: bool | None = True
        self.has_cleanup_role = True
        self.has_kestra_role = True
        self.refuses_sessions: str | None = None
        self.types = ["m5.xlarge", "m5.2xlarge", "r5.xlarge"]

    def client(self, _service: str) -> "Aws":
        return self

    def describe_release_label(self, **_: str) -> dict[str, Any]:
        if not self.has_release:
            raise MISSING
        return {"Applications": self.applications}

    def get_block_public_access_configuration(self) -> dict[str, Any]:
        if self.blocks is None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetBlockPublicAccessConfiguration")
        ranges = [{"MinRange": 22, "MaxRange": 22}, {"MinRange": 8000, "MaxRange": 8100}]
        found = {"BlockPublicSecurityGroupRules": self.blocks, "PermittedPublicSecurityGroupRuleRanges": ranges}
        return {"BlockPublicAccessConfiguration": found}

    def get_role(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803
        there = {"AWSServiceRoleForEMRCleanup": self.has_cleanup_role, "acme-kestra-role": self.has_kestra_role}
        if not there[RoleName]:
            raise NoSuchEntityException
        return {"Role": {"Arn": f"arn:aws:iam::123456789012:role/{RoleName}"}}

    def assume_role(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"RoleArn": KESTRA_ROLE, "RoleSessionName": "drydock-preflight", "DurationSeconds": 900}
        if self.refuses_sessions:
            raise ClientError({"Error": {"Code": self.refuses_sessions, "Message": "no"}}, "AssumeRole")
        return {"Credentials": {}}

    def list_supported_instance_types(self, **asked: str) -> dict[str, Any]:
        """A type a page."""
        number = int(asked.get("Marker", "0"))
        page: dict[str, Any] = {"SupportedInstanceTypes": [{"Type": self.types[number]}]}
        return page | ({"Marker": str(number + 1)} if number + 1 < len(self.types) else {})


@pytest.fixture
def aws() -> Aws:
    return Aws()


def look(aws: Aws, arn: str = ADMIN, plan: Plan | None = None) -> dict[str, Finding]:
    """The findings by their subjects: those before there is a plan, or of one."""
    account = SimpleNamespace(client=aws.client, region="eu-central-1")
    site = SimpleNamespace(account=account, name_prefix="acme-")
    found = Deployment(Identity("123456789012", arn), site)  # type: ignore[arg-type]
    to_check = checks.of(found) if plan is None else checks.of_plan(found, plan)
    return {each.subject: each for group in finding.carry_out(to_check).values() for each in group}


def plan_of(*addresses: str, master: str = "m5.xlarge", core: str = "m5.xlarge") -> Plan:
    types = {"instance_types": {"master": master, "core": core}}
    return Plan(Path("plan"), [("update", address) for address in addresses], types)


def test_where_all_is_well_each_line_says_what_was_found(aws: Aws) -> None:
    assert {subject: (each.status, each.found) for subject, each in look(aws).items()} == {
        "caller": (Status.OK, "role/admin"),
        "EMR release": (Status.OK, f"{RELEASE}, with Spark 3.5.6-amzn-2"),
        "open security groups": (Status.OK, "refused by EMR, port 22, 8000-8100 excepted"),
        "EMR's own role": (Status.OK, "AWSServiceRoleForEMRCleanup"),
    }


def test_a_release_that_is_not_offered_is_a_failure(aws: Aws) -> None:
    aws.has_release = False
    found = look(aws)["EMR release"]
    assert (found.status, found.found) == (Status.FAILURE, f"eu-central-1 does not offer {RELEASE}.")


def test_open_groups_are_a_warning(aws: Aws) -> None:
    aws.blocks = False
    assert look(aws)["open security groups"].status == Status.WARNING


def test_the_root_user_can_assume_no_role(aws: Aws) -> None:
    found = look(aws, ROOT)["caller"]
    assert (found.status, "lets assume no role" in found.found) == (Status.FAILURE, True)


def test_a_release_of_other_versions_is_a_warning(aws: Aws) -> None:
    aws.applications = [{"Name": "Spark", "Version": "3.5.7-amzn-0"}]
    found = look(aws)["EMR release"]
    assert (found.status, found.found) == (
        Status.WARNING,
        f"{RELEASE} has Spark 3.5.7-amzn-0 in eu-central-1, and versions.toml says 3.5.6.",
    )


def test_a_setting_of_the_account_that_may_not_be_seen_stops_nothing(aws: Aws) -> None:
    aws.blocks = None
    found = look(aws)["open security groups"]
    assert (found.status, "AccessDenied" in found.found) == (Status.WARNING, True)
    assert found.fix == "The same command looks again."


class TestKestraRole:
    def test_that_the_caller_may_act_as_it_is_tried(self, aws: Aws) -> None:
        found = look(aws, plan=plan_of())["kestra-role"]
        assert (found.status, found.found) == (Status.OK, "you may act as acme-kestra-role")

    def test_one_that_does_not_trust_the_caller_is_a_failure(self, aws: Aws) -> None:
        aws.refuses_sessions = "AccessDenied"
        found = look(aws, plan=plan_of("module.storage.aws_s3_bucket.this"))["kestra-role"]
        assert (found.status, "`kestra_trusted_principals`" in found.fix) == (Status.FAILURE, True)

    def test_one_that_the_plan_makes_or_changes_is_not_asked_for(self, aws: Aws) -> None:
        aws.refuses_sessions = "AccessDenied"
        assert "kestra-role" not in look(aws, plan=plan_of("module.iam.aws_iam_role.kestra"))

    def test_one_that_is_not_there_is_not_asked_for(self, aws: Aws) -> None:
        aws.has_kestra_role = False
        assert "kestra-role" not in look(aws, plan=plan_of())


def test_a_role_that_the_first_cluster_makes_is_nothing_to_worry_about(aws: Aws) -> None:
    aws.has_cleanup_role = False
    found = look(aws)["EMR's own role"]
    assert (found.status, "the first cluster makes it" in found.found) == (Status.OK, True)


def test_types_that_emr_does_not_run_on_are_named(aws: Aws) -> None:
    found = look(aws, plan=plan_of(master="r5.xlarge"))["instance types"]
    assert (found.status, found.found) == (Status.OK, "m5.xlarge, r5.xlarge")
    found = look(aws, plan=plan_of(core="t2.nano"))["instance types"]
    assert (found.status, found.found) == (Status.FAILURE, f"EMR does not run {RELEASE} on t2.nano here.")
