"""What can be known to fail on AWS, looked at before anything is changed there."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from drydock import settings
from drydock.on_aws import trial
from drydock.on_aws.account import Deployment
from drydock.on_aws.plan import Plan
from drydock.preflight.finding import Check, Finding, Status, failure, ok, warning

GROUP = "Before anything is changed"
EMR_CLEANUP_ROLE = "AWSServiceRoleForEMRCleanup"
KESTRA_ROLE_ADDRESS = "module.iam.aws_iam_role.kestra"
SESSION_SECONDS = 900  # the least that STS gives


def of(deployment: Deployment) -> list[Check]:
    """What is looked at before anything else."""
    client, region = deployment.site.account.client, deployment.site.account.region
    release = settings.versions()["emr"]["release"]
    return [
        _check("caller", lambda: _caller(deployment.identity.arn)),
        _check("EMR release", lambda: _release(client("emr"), release, region)),
        # Who deploys may not be allowed to see a setting of the whole account.
        _check("open security groups", lambda: _block_public_access(client("emr")), Status.WARNING),
        _check("EMR's own role", lambda: _service_linked_role(client("iam"))),
    ]


def of_plan(deployment: Deployment, plan: Plan) -> list[Check]:
    """What is looked at when the plan says what clusters are made of, and what stays as it is."""
    client = deployment.site.account.client
    wanted = sorted(set(plan.variables["instance_types"].values()))
    release = settings.versions()["emr"]["release"]
    found = [_check("instance types", lambda: _instance_types(client("emr"), wanted, release))]
    if all(address != KESTRA_ROLE_ADDRESS for _, address in plan.changes):  # else it will trust whom the plan says
        role = deployment.site.name_prefix + settings.KESTRA_ROLE
        found.append(_check(settings.KESTRA_ROLE, lambda: _kestra_role(client("iam"), client("sts"), role)))
    return found


def _check(subject: str, look: Callable[[], Iterable[Finding]], severity: Status = Status.FAILURE) -> Check:
    return Check(GROUP, subject, look, severity, look_again="The same command looks again.")


def _caller(arn: str) -> Iterator[Finding]:
    if arn.endswith(":root"):
        yield failure(
            "caller",
            "You act as the account's root user, which AWS lets assume no role; the driver acts as kestra-role.",
            "Sign in as a user or a role with administrator's rights.",
        )
    else:
        yield ok("caller", arn.rpartition(":")[2])


def _kestra_role(iam: Any, sts: Any, name: str) -> Iterator[Finding]:
    """Whether the caller may act as it, as the trial and `aws-run` do: by doing so."""
    try:
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        return
    try:
        sts.assume_role(RoleArn=arn, RoleSessionName="drydock-preflight", DurationSeconds=SESSION_SECONDS)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        yield failure(
            settings.KESTRA_ROLE,
            f"You may not act as {name}, as the trial and `make aws-run` do.",
            "`kestra_trusted_principals` in terraform/profiles/aws.tfvars names who may (empty: whoever this account "
            "lets), and a policy of yours has to allow sts:AssumeRole.",
        )
    else:
        yield ok(settings.KESTRA_ROLE, f"you may act as {name}")


def _release(emr: Any, release: str, region: str) -> Iterator[Finding]:
    try:
        found = emr.describe_release_label(ReleaseLabel=release)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("InvalidRequestException", "ValidationException"):
            raise
        yield failure(
            "EMR release",
            f"{region} does not offer {release}.",
            "Another region does; versions.toml names the release.",
        )
        return
    spark = next((each["Version"] for each in found.get("Applications", ()) if each["Name"] == "Spark"), "an unknown")
    expected = settings.versions()["jars"]["spark"]
    if trial.is_version(spark, expected):
        yield ok("EMR release", f"{release}, with Spark {spark}")
    else:
        yield warning(
            "EMR release",
            f"{release} has Spark {spark} in {region}, and versions.toml says {expected}.",
            "The jobs were tried with that one.",
        )


def _instance_types(emr: Any, wanted: list[str], release: str) -> Iterator[Finding]:
    """Terraform itself looks whether a zone has them all."""
    page = emr.list_supported_instance_types(ReleaseLabel=release)
    supported = {each["Type"] for each in page["SupportedInstanceTypes"]}
    while marker := page.get("Marker"):
        page = emr.list_supported_instance_types(ReleaseLabel=release, Marker=marker)
        supported |= {each["Type"] for each in page["SupportedInstanceTypes"]}
    if missing := [each for each in wanted if each not in supported]:
        yield failure(
            "instance types",
            f"EMR does not run {release} on {', '.join(missing)} here.",
            "`instance_types` in terraform/profiles/aws.tfvars chooses others.",
        )
    else:
        yield ok("instance types", ", ".join(wanted))


def _block_public_access(emr: Any) -> Iterator[Finding]:
    """EMR refuses clusters whose security groups are open to the world, unless the account has that switched off."""
    found = emr.get_block_public_access_configuration()["BlockPublicAccessConfiguration"]
    permitted = [
        (each["MinRange"], each["MaxRange"]) for each in found.get("PermittedPublicSecurityGroupRuleRanges", ())
    ]
    if found["BlockPublicSecurityGroupRules"]:
        besides = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in permitted)
        yield ok("open security groups", f"refused by EMR{f', port {besides} excepted' if besides else ''}")
    else:
        yield warning(
            "open security groups",
            "EMR would take clusters that are open to the world; ours are not.",
            "`aws emr put-block-public-access-configuration` has them refused.",
        )


def _service_linked_role(iam: Any) -> Iterator[Finding]:
    try:
        iam.get_role(RoleName=EMR_CLEANUP_ROLE)
    except iam.exceptions.NoSuchEntityException:
        yield ok("EMR's own role", f"{EMR_CLEANUP_ROLE} is not there: the first cluster makes it, and it stays")
    else:
        yield ok("EMR's own role", EMR_CLEANUP_ROLE)
