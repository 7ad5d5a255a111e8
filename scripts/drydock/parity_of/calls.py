"""What the driver, the sweep, the nodes and the jobs ask of AWS, and of what: what their roles have to allow, and all
that they may.

The list is held against IAM's policies by an evaluator of others, and against the calls that the gateway has seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drydock.parity_of.facts import Facts
from drydock.site import BUCKETS

DRIVER, INSTANCES = "driver", "instances"
INPUT, SOURCE, OUTPUT, LOGS, AUDIT = BUCKETS
EMR, EC2 = "elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"
LOG_PREFIX = "test-emr-logs/"
TLS = {"aws:SecureTransport": "true"}
CREATING, TAGGING = frozenset({"elasticmapreduce:RunJobFlow"}), frozenset({"elasticmapreduce:AddTags"})
SERVICES = ("elasticmapreduce", "s3", "iam", "sts")
"""Of which every action is tried; the policies name no other, which is looked at as well."""


@dataclass(frozen=True)
class Thing:
    """What a call is of: `arn`, and what IAM is told besides of thing and request. `only`: the actions whose
    requests can differ in what this thing differs in from another one; all when None."""

    name: str
    arn: str
    context: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] | None = None


@dataclass(frozen=True)
class Call:
    """An action on a thing, by the role of `principal`. `why` says who makes it and when; what AWS asks of the caller's
    role beside another call is made by nobody: `is_implied`."""

    principal: str
    action: str
    thing: str
    why: str
    is_implied: bool = False


def _calls(principal: str, service: str, actions: str, thing: str, why: str) -> list[Call]:
    return [Call(principal, f"{service}:{action}", thing, why) for action in actions.split()]


def _implied(service: str, actions: str, thing: str) -> list[Call]:
    why = "RunJobFlow asks for it as well"
    return [Call(DRIVER, f"{service}:{action}", thing, why, is_implied=True) for action in actions.split()]


NEW = "a cluster that is only being made"
NO_TAGS = "PutAutoTerminationPolicy by itself has no tags to send, so AWS never sees a request like that"
NEEDED = (
    *_calls(DRIVER, "sts", "GetCallerIdentity", "anything", "who it is, at its beginning"),
    *_calls(DRIVER, "s3", "GetObject", "the description of the platform", "at its beginning"),
    *_calls(DRIVER, "elasticmapreduce", "RunJobFlow", "a request with our tags", "create"),
    *_implied("elasticmapreduce", "PutAutoTerminationPolicy AddTags", NEW),
    *_calls(DRIVER, "elasticmapreduce", "ListClusters", "anything", "find a cluster by its name; the sweep"),
    *_calls(DRIVER, "elasticmapreduce", "AddTags", "our cluster", "create"),
    *_calls(
        DRIVER,
        "elasticmapreduce",
        "AddJobFlowSteps CancelSteps DescribeCluster DescribeStep ListSteps TerminateJobFlows",
        "our cluster",
        "submit, wait, terminate; the sweep",
    ),
    *_implied("iam", "PassRole", "EMR's role, to EMR"),
    *_implied("iam", "PassRole", "the instances' role, to EC2"),
    *_calls(DRIVER, "iam", "CreateServiceLinkedRole", "EMR's clean-up role", "an account's first cluster"),
    *_calls(DRIVER, "s3", "ListBucket", "the clusters' logs", "wait: a log that is not there yet is 404, else 403"),
    *_calls(DRIVER, "s3", "GetObject", "an object of the clusters' logs", "wait: what the step says"),
    *_calls(DRIVER, "s3", "PutObject", "an object of the orchestrator's logs", "ship_logs"),
    *_calls(INSTANCES, "s3", "ListBucket", "the input bucket", "bootstrap action: the wheels"),
    *_calls(INSTANCES, "s3", "GetObject", "an object of the jobs", "bootstrap action, spark-submit"),
    *_calls(INSTANCES, "s3", "ListBucket ListBucketMultipartUploads", "the raw data's bucket", "jobs, by S3A"),
    *_calls(INSTANCES, "s3", "ListBucket ListBucketMultipartUploads", "the tables' bucket", "jobs, by S3A"),
    *_calls(INSTANCES, "s3", "GetObject", "an object of the raw data", "data_processor"),
    *_calls(INSTANCES, "s3", "GetObject", "an object of the tables", "data_processor"),
    *_calls(INSTANCES, "s3", "GetObject", "elsewhere in the raw data's bucket", "S3A asks whether a parent is a file"),
    *_calls(
        INSTANCES,
        "s3",
        "PutObject DeleteObject AbortMultipartUpload ListMultipartUploadParts",
        "an object of the raw data",
        "data_generator",
    ),
    *_calls(
        INSTANCES,
        "s3",
        "PutObject DeleteObject AbortMultipartUpload ListMultipartUploadParts",
        "an object of the tables",
        "data_processor",
    ),
    *_calls(INSTANCES, "s3", "PutObject AbortMultipartUpload", "an object of the clusters' logs", "EMR delivers logs"),
)

ALLOWED_BESIDES = (
    Call(INSTANCES, "s3:GetBucketLocation", "the input bucket", "EMR's own file system asks it; Apache's S3A does not"),
    Call(INSTANCES, "s3:GetBucketLocation", "the raw data's bucket", "EMR's own file system asks it"),
    Call(INSTANCES, "s3:GetBucketLocation", "the tables' bucket", "EMR's own file system asks it"),
    Call(INSTANCES, "s3:ListBucketMultipartUploads", "the input bucket", "one statement for all three buckets"),
    Call(INSTANCES, "sts:GetCallerIdentity", "anything", "AWS lets everybody"),
    Call(DRIVER, "elasticmapreduce:PutAutoTerminationPolicy", "our cluster", NO_TAGS),
    Call(DRIVER, "elasticmapreduce:PutAutoTerminationPolicy", "a cluster of others", NO_TAGS),
)
"""What is allowed and not called, each with its reason; anything else that is allowed is a difference."""


REFUSED = tuple(
    Call(principal, "ssm:GetParameter", "a secret in Parameter Store", "AWS's policy for Systems Manager allows it")
    for principal in (DRIVER, INSTANCES)
)
"""What AWS's own policies would allow, and ours have to deny."""

POLICIES_OF_AWS = {
    "AmazonSSMManagedInstanceCore": "Systems Manager instead of SSH: a shell on a node, no open port (`enable_ssm`).",
}
"""AWS's own policies, of services that nothing here calls, and why they are attached."""


def things(facts: Facts) -> list[Thing]:
    """Ours and others', by the names in the lists above."""
    partition = facts.roles[DRIVER]["arn"].split(":")[1]
    emr = f"arn:{partition}:elasticmapreduce:{facts.region}:{facts.account_id}:cluster"
    roles, tags = f"arn:{partition}:iam::{facts.account_id}:role", facts.platform_config["tags"]
    ours = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    asked = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    emr_role = f"{roles}/{facts.platform_config['roles']['service']}"
    instance_role = f"{roles}/{facts.platform_config['roles']['instance_profile']}"
    linked = f"{roles}/aws-service-role/elasticmapreduce.amazonaws.com/AWSServiceRoleForEMRCleanup"

    def in_s3(name: str, bucket: str, key: str = "", **context: str) -> Thing:
        of_bucket = f"arn:{partition}:s3:::{facts.name_prefix}{bucket}"
        return Thing(name, f"{of_bucket}/{key}" if key else of_bucket, {**TLS, **context})

    return [
        Thing("anything", "*"),
        Thing("a request with our tags", "*", asked, CREATING),
        Thing("a request with others' tags", "*", dict.fromkeys(asked, "other"), CREATING),
        Thing("our cluster", f"{emr}/j-OURS", {**ours, **asked}),
        Thing(NEW, f"{emr}/j-NEW", asked),
        Thing("a cluster of others", f"{emr}/j-OTHER", {**dict.fromkeys(ours, "other"), **asked}),
        Thing("our cluster, given away", f"{emr}/j-OURS", {**ours, **dict.fromkeys(asked, "other")}, TAGGING),
        Thing("EMR's role, to EMR", emr_role, {"iam:PassedToService": EMR}),
        Thing("EMR's role, to EC2", emr_role, {"iam:PassedToService": EC2}),
        Thing("the instances' role, to EC2", instance_role, {"iam:PassedToService": EC2}),
        Thing("the instances' role, to EMR", instance_role, {"iam:PassedToService": EMR}),
        Thing("the driver's role, to EC2", facts.roles[DRIVER]["arn"], {"iam:PassedToService": EC2}),
        Thing("a role of others, to EC2", f"{roles}/administrator", {"iam:PassedToService": EC2}),
        Thing("EMR's clean-up role", linked, {"iam:AWSServiceName": EMR}),
        in_s3("the input bucket", INPUT),
        in_s3("the description of the platform", INPUT, "config/platform.json"),
        in_s3("an object of the jobs", INPUT, f"spark_app/{facts.revision}/data_generator.py"),
        in_s3("elsewhere in the input bucket", INPUT, "other"),
        in_s3("the raw data's bucket", SOURCE),
        in_s3("an object of the raw data", SOURCE, "data_source/shipment/ship_date=2026-01-31/block-00000.parquet"),
        in_s3("elsewhere in the raw data's bucket", SOURCE, "other"),
        in_s3("the tables' bucket", OUTPUT),
        in_s3("an object of the tables", OUTPUT, "daily_trends/_delta_log/00000000000000000000.json"),
        in_s3("the clusters' logs", LOGS, **{"s3:prefix": f"{LOG_PREFIX}j-OURS/steps/"}),
        in_s3("the logs' bucket", LOGS, **{"s3:prefix": "other/"}),
        in_s3("an object of the clusters' logs", LOGS, f"{LOG_PREFIX}j-OURS/steps/s-1/stderr.gz"),
        in_s3("elsewhere in the logs' bucket", LOGS, "other"),
        in_s3("the orchestrator's bucket", AUDIT),
        in_s3("an object of the orchestrator's logs", AUDIT, "kestra/executions/2026-01-31.jsonl.gz"),
        in_s3("elsewhere in the orchestrator's bucket", AUDIT, "other"),
        in_s3("the bucket of Terraform's state", "spark-kestra-platform"),
        in_s3("Terraform's state", "spark-kestra-platform", "key/terraform.tfstate"),
        Thing(
            "a secret in Parameter Store",
            f"arn:{partition}:ssm:{facts.region}:{facts.account_id}:parameter/drydock/secret",
        ),
        Thing("a bucket of others", f"arn:{partition}:s3:::others", TLS),
        Thing("an object of others", f"arn:{partition}:s3:::others/object", TLS),
    ]


UNENCRYPTED = ("aws:SecureTransport", "false")

FOLDERS = (
    (INPUT, "config/", "the description of the platform"),
    (INPUT, "spark_app/", "an object of the jobs"),
    (INPUT, "", "elsewhere in the input bucket"),
    (SOURCE, "data_source/shipment/", "an object of the raw data"),
    (SOURCE, "", "elsewhere in the raw data's bucket"),
    (OUTPUT, "", "an object of the tables"),
    (LOGS, LOG_PREFIX, "an object of the clusters' logs"),
    (LOGS, "", "elsewhere in the logs' bucket"),
    (AUDIT, "kestra/", "an object of the orchestrator's logs"),
    (AUDIT, "", "elsewhere in the orchestrator's bucket"),
)
"""Bucket and beginning of a key → what an object there is called above; the first that fits."""
OF_BUCKETS = {
    INPUT: "the input bucket",
    SOURCE: "the raw data's bucket",
    OUTPUT: "the tables' bucket",
    LOGS: "the clusters' logs",
    AUDIT: "the orchestrator's bucket",
}
