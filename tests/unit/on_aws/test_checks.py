"""What is looked at before anything is changed on AWS."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from drydock import settings
from drydock.on_aws import checks
from drydock.on_aws.account import Deployment, Identity
from drydock.preflight import finding
from drydock.preflight.finding import Finding, Status

RELEASE = settings.versions()["emr"]["release"]
MISSING = ClientError(
    {"Error": {"Code": "InvalidRequestException", "Message": "no such release"}}, "DescribeReleaseLabel"
)


class NoSuchEntityException(Exception):
    """As IAM's client has it."""


class Aws:
    """An account in which all is well, unless a test says otherwise."""

    exceptions = SimpleNamespace(NoSuchEntityException=NoSuchEntityException)

    def __init__(self) -> None:
        self.applications = [{"Name": "Spark", "Version": "3.5.6-amzn-2"}]
        self.has_release = True
        self.blocks = True
        self.has_cleanup_role = True
        self.types = ["m5.xlarge", "m5.2xlarge", "r5.xlarge"]

    def client(self, _service: str) -> "Aws":
        return self

    def describe_release_label(self, **_: str) -> dict[str, Any]:
        if not self.has_release:
            raise MISSING
        return {"Applications": self.applications}

    def get_block_public_access_configuration(self) -> dict[str, Any]:
        ranges = [{"MinRange": 22, "MaxRange": 22}, {"MinRange": 8000, "MaxRange": 8100}]
        found = {"BlockPublicSecurityGroupRules": self.blocks, "PermittedPublicSecurityGroupRuleRanges": ranges}
        return {"BlockPublicAccessConfiguration": found}

    def get_role(self, **asked: str) -> dict[str, Any]:
        assert asked == {"RoleName": "AWSServiceRoleForEMRCleanup"}
        if not self.has_cleanup_role:
            raise NoSuchEntityException
        return {}

    def list_supported_instance_types(self, **asked: str) -> dict[str, Any]:
        """A type a page."""
        number = int(asked.get("Marker", "0"))
        page: dict[str, Any] = {"SupportedInstanceTypes": [{"Type": self.types[number]}]}
        return page | ({"Marker": str(number + 1)} if number + 1 < len(self.types) else {})


@pytest.fixture
def aws() -> Aws:
    return Aws()


def look(aws: Aws, arn: str = "arn:aws:iam::123456789012:role/admin", *types: str) -> dict[str, Finding]:
    """The findings by their subjects."""
    account = SimpleNamespace(client=aws.client, region="eu-central-1")
    found = Deployment(Identity("123456789012", arn), SimpleNamespace(account=account))  # type: ignore[arg-type]
    to_check = checks.of_clusters(found, types) if types else checks.of(found)
    return {each.subject: each for group in finding.carry_out(to_check).values() for each in group}


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


def test_the_root_user_and_open_groups_are_warnings(aws: Aws) -> None:
    aws.blocks = False
    found = look(aws, "arn:aws:iam::123456789012:root")
    assert (found["caller"].status, found["open security groups"].status) == (Status.WARNING, Status.WARNING)


def test_a_role_that_the_first_cluster_makes_is_nothing_to_worry_about(aws: Aws) -> None:
    aws.has_cleanup_role = False
    found = look(aws)["EMR's own role"]
    assert (found.status, "the first cluster makes it" in found.found) == (Status.OK, True)


def test_types_that_emr_does_not_run_on_are_named(aws: Aws) -> None:
    assert look(aws, "any", "r5.xlarge", "m5.xlarge")["instance types"].found == "m5.xlarge, r5.xlarge"
    found = look(aws, "any", "m5.xlarge", "t2.nano")["instance types"]
    assert (found.status, found.found) == (Status.FAILURE, f"EMR does not run {RELEASE} on t2.nano here.")
