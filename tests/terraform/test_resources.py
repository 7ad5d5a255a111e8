"""What is on the gateway after an apply, read back from its APIs."""

import json
import re
from typing import Any

from drydock import settings, site

from .conftest import Platform

ACCOUNT = settings.ACCOUNT_ID
MANAGED_TAG = {"for-use-with-amazon-emr-managed-policies": "true"}
KESTRA = f"arn:aws:iam::{ACCOUNT}:role/kestra-role"
SERVICE = f"arn:aws:iam::{ACCOUNT}:role/emr-service-role"
INSTANCE = f"arn:aws:iam::{ACCOUNT}:role/emr_instance_profile"


def test_platform_json_is_exactly_what_the_driver_reads(platform: Platform) -> None:
    config, revision = platform.target.platform_config(), platform.revision
    assert platform.outputs["platform_config_uri"] == site.PLATFORM_CONFIG_URI
    assert platform.outputs["platform_config"] == config
    groups = config.pop("security_groups")
    assert list(groups) == ["master", "slave"]
    assert all(re.fullmatch(r"sg-[0-9a-f]+", group) for group in groups.values())
    assert re.fullmatch(r"subnet-[0-9a-f]+", config.pop("subnet_id"))
    assert config == {
        "format": 1,
        "platform": "drydock",
        "region": "us-east-1",
        "account_id": "000000000000",
        "release_label": settings.versions()["emr"]["release"],
        "applications": ["Spark"],
        "instance_types": {"master": "m5.xlarge", "core": "m5.xlarge"},
        "core_count": 2,
        "ec2_key_name": None,
        "roles": {"service": "emr-service-role", "instance_profile": "emr_instance_profile", "kestra_arn": KESTRA},
        "application_uri": f"s3://spark-job-data-input/spark_app/{revision.name}",
        "source_uri": "s3://spark-job-data-source-1/data_source/shipment",
        "output_uri": "s3://spark-job-data-output",
        "log_uri": "s3://emr-cluster-spark-logs/test-emr-logs",
        "audit_uri": "s3://builditall-logs/kestra",
        "bootstrap_actions": [
            {
                "name": "Install the jobs' Python packages",
                "path": f"s3://spark-job-data-input/spark_app/{revision.name}/bootstrap.sh",
                "args": [f"s3://spark-job-data-input/spark_app/{revision.wheels}"],
            }
        ],
        "configurations": [
            {"classification": "delta-defaults", "properties": {"delta.enabled": "true"}},
            {
                "classification": "spark-defaults",
                "properties": {
                    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
                    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
                    "spark.sql.session.timeZone": "UTC",
                    "spark.pyspark.python": "python3.11",
                    "spark.driver.memory": "2g",
                    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m",
                    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m",
                },
            },
        ],
        "tags": {"for-use-with-amazon-emr-managed-policies": "true", "platform": "drydock"},
        "idle_timeout_seconds": 900,
    }


def test_clusters_get_a_public_subnet_with_a_way_out(platform: Platform) -> None:
    ec2 = platform.client("ec2")
    vpc_id = platform.outputs["vpc_id"]
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        name = attribute[0].lower() + attribute[1:]
        assert ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)[attribute] == {"Value": True}
    (vpc,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    (subnet,) = ec2.describe_subnets(Filters=here)["Subnets"]
    assert subnet["SubnetId"] == platform.target.platform_config()["subnet_id"]
    assert subnet["MapPublicIpOnLaunch"] is True
    assert MANAGED_TAG.items() <= tags(vpc).items()
    assert MANAGED_TAG.items() <= tags(subnet).items()

    (gateway,) = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc_id]}])[
        "InternetGateways"
    ]
    (table,) = ec2.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}],
    )["RouteTables"]
    routes = {route.get("DestinationCidrBlock"): route.get("GatewayId") for route in table["Routes"]}
    assert routes["0.0.0.0/0"] == gateway["InternetGatewayId"]
    (endpoint,) = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
    assert endpoint["ServiceName"] == "com.amazonaws.us-east-1.s3"
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["RouteTableIds"] == [table["RouteTableId"]]


def test_nodes_reach_each_other_and_nobody_reaches_them(platform: Platform) -> None:
    ec2 = platform.client("ec2")
    ids = platform.target.platform_config()["security_groups"]
    for group_id in ids.values():
        (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        assert group["VpcId"] == platform.outputs["vpc_id"]
        assert MANAGED_TAG.items() <= tags(group).items()
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])
        ingress = [rule for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]]
        egress = [rule for rule in rules["SecurityGroupRules"] if rule["IsEgress"]]
        assert {rule["ReferencedGroupInfo"]["GroupId"] for rule in ingress} == set(ids.values())
        assert {rule["IpProtocol"] for rule in ingress} == {"-1"}
        assert not any("CidrIpv4" in rule or "CidrIpv6" in rule for rule in ingress)
        assert [(rule["IpProtocol"], rule["CidrIpv4"]) for rule in egress] == [("-1", "0.0.0.0/0")]


def test_every_bucket_is_closed_and_names_its_roles(platform: Platform) -> None:
    s3 = platform.client("s3")
    roles = {}
    for purpose, bucket in platform.outputs["buckets"].items():
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert set(block.values()) == {True}
        assert len(block) == 4
        statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        [refused, *statements] = statements
        assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        assert {statement["Effect"] for statement in statements} == {"Allow"}
        assert all(f"arn:aws:s3:::{bucket}" == arn.split("/")[0] for s in statements for arn in as_list(s["Resource"]))
        roles[purpose] = {statement["Principal"]["AWS"] for statement in statements}
    assert roles == {
        "input": {INSTANCE, KESTRA},
        "source": {INSTANCE},
        "output": {INSTANCE},
        "logs": {INSTANCE, KESTRA},
        "audit": {KESTRA},
    }


def test_the_instance_profile_holds_the_role_of_its_name(platform: Platform) -> None:
    profile = platform.client("iam").get_instance_profile(InstanceProfileName="emr_instance_profile")
    assert [role["Arn"] for role in profile["InstanceProfile"]["Roles"]] == [INSTANCE]


def test_roles_are_trusted_by_their_services(platform: Platform) -> None:
    iam = platform.client("iam")

    def trusted(role: str) -> list[Any]:
        document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        return [statement["Principal"] for statement in document["Statement"]]

    assert trusted("emr-service-role") == [{"Service": "elasticmapreduce.amazonaws.com"}]
    assert trusted("emr_instance_profile") == [{"Service": "ec2.amazonaws.com"}]
    assert trusted("kestra-role") == [
        {"Service": "ec2.amazonaws.com"},
        {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
    ]


def test_managed_policies_are_the_two_that_emr_and_ssm_need(platform: Platform) -> None:
    iam = platform.client("iam")
    attached = {
        role: [p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
        for role in ("emr-service-role", "emr_instance_profile", "kestra-role")
    }
    assert attached == {
        "emr-service-role": ["arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"],
        "emr_instance_profile": ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"],
        "kestra-role": [],
    }


def test_the_operator_may_work_as_kestra(platform: Platform) -> None:
    session = platform.client("sts").assume_role(RoleArn=KESTRA, RoleSessionName="test")
    assert session["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/kestra-role/test"


def tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
