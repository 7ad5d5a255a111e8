"""deploy-aws and destroy-aws, killed at each of their stages by `kill -9`: the next run completes what they began."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from drydock import aws
from drydock.aws_rehearsal import ACCOUNT_ID, DEPLOYER, NOTHING_TO_DO, deployer, second_account
from drydock.on_aws import inventory
from drydock.second_home import second_home
from tests.platform.platform_rig import NOT_ENDED, Verb, until

pytestmark = pytest.mark.full

CONFIRM = f"--confirm={ACCOUNT_ID}"


@dataclass(frozen=True)
class Account:
    """An account that a second gateway plays, and what the verbs see of it."""

    aws: aws.LocalAccount
    environment: dict[str, str]

    def start(self, *arguments: str) -> Verb:
        return Verb.started(self.environment, *arguments)

    def complete(self, *arguments: str) -> str:
        """Run a verb to its end, which has to be a good one; what it said."""
        verb = self.start(*arguments)
        assert verb.end() == 0, verb.text
        return verb.text

    def roles(self) -> list[str]:
        found = self.aws.client("iam").list_roles()["Roles"]
        return [role["RoleName"] for role in found if role["RoleName"] != DEPLOYER]

    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.aws.client("s3").list_buckets()["Buckets"]]

    def clusters(self) -> list[str]:
        """Those that have not ended."""
        found = self.aws.client("emr").list_clusters(ClusterStates=NOT_ENDED)["Clusters"]
        return [cluster["Id"] for cluster in found]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with second_home() as paths, second_account(paths) as second, deployer(second, paths) as environment:
        yield Account(second, environment)


def kill(verb: Verb) -> None:
    """The verb alone, as the kernel does that lacks memory; not what it has started."""
    assert verb.process.poll() is None, verb.text
    verb.process.kill()
    verb.process.wait()


def test_a_deployment_that_is_killed_at_each_stage_is_completed_by_the_next(account: Account) -> None:
    planning = account.start("deploy-aws", CONFIRM)
    planning.wait_for("Terraform: comparing")
    kill(planning)

    making = account.start("deploy-aws", CONFIRM)
    until(account.roles, "Terraform to have made the first role")
    kill(making)

    uploading = account.start("deploy-aws", CONFIRM)
    uploading.wait_for("✓ Terraform: ")
    assert "was killed, is still at work here" in uploading.text
    kill(uploading)

    trying = account.start("deploy-aws", CONFIRM)
    trying.wait_for("Trying a step")
    until(account.clusters, "the cluster on which a step is tried")
    kill(trying)

    said = account.complete("deploy-aws", CONFIRM)
    assert "✓ Tried a step" in said
    assert NOTHING_TO_DO in said
    assert account.clusters() == []
    assert NOTHING_TO_DO in account.complete("deploy-aws", CONFIRM)


def test_a_change_whose_trial_was_killed_is_tried_by_the_next(account: Account) -> None:
    [bucket] = [name for name in account.buckets() if name.endswith("-spark-job-data-input")]
    account.aws.client("s3").delete_object(Bucket=bucket, Key="kestra/current")  # as if other flows were deployed
    trying = account.start("deploy-aws", CONFIRM)
    trying.wait_for("Trying a step")
    until(account.clusters, "the cluster on which a step is tried")
    kill(trying)
    assert "✓ Tried a step" in account.complete("deploy-aws", CONFIRM)
    assert "Trying a step" not in account.complete("deploy-aws", CONFIRM)


def test_a_destruction_that_is_killed_at_each_stage_is_completed_by_the_next(account: Account) -> None:
    emptying = account.start("destroy-aws", CONFIRM, "--data=delete")
    emptying.wait_for("Emptying")
    kill(emptying)

    removing = account.start("destroy-aws", CONFIRM, "--data=delete")
    until(lambda: not account.roles() or removing.process.poll() is not None, "Terraform to have removed the roles")
    kill(removing)

    said = account.complete("destroy-aws", CONFIRM, "--data=delete")
    assert inventory.of(account.aws) == {"roles": [DEPLOYER]}, said
    assert "Nothing of the platform is in" in account.complete("destroy-aws", CONFIRM, "--data=delete")
