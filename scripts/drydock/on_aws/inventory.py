"""Everything in an account that the platform could have made, asked of the APIs: what an empty account does not have.

Left out is what AWS makes for every account: the default VPC with what belongs to it, roles of services.
"""

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

from drydock.aws import Account
from drydock.health import PROBE_BUCKET_PREFIX
from drydock.leftovers import ALIVE_STATES

GONE = ("deleted", "terminated")
"""What is listed for a while after it is gone."""
SERVICE_ROLES = "/aws-service-role/"
AWSS_OWN_PARAMETERS = "/aws/"

Inventory = dict[str, list[str]]


def of(account: Account, changing: Collection[str] = (), *, parameters: bool = False) -> Inventory:
    """Kind → what there is of it, sorted; kinds of which there is nothing are left out. Raises ServiceFailed.

    Buckets are told with what is in them, but for those of `changing`; `parameters` of an account that has Parameter
    Store, which the local platform has not.
    """
    with account.explained("show what is in the account"):
        found = {
            **dict(_buckets(account.client("s3"), changing)),
            **dict(_identities(account.client("iam"))),
            **dict(_network(account.client("ec2"))),
            **dict(_clusters(account.client("emr"))),
            **(dict(_parameters(account.client("ssm"))) if parameters else {}),
        }
    return {kind: sorted(names) for kind, names in found.items() if names}


def _buckets(s3: Any, changing: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Each with a digest of the keys and ETags of its objects. Those of a gateway's health checks come and go, or stay
    when a gateway was killed in the midst of one."""
    names = []
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"].startswith(PROBE_BUCKET_PREFIX):
            continue
        if bucket["Name"] in changing:
            names.append(bucket["Name"])
            continue
        digest, count = hashlib.sha256(), 0
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"]):
            for version in page.get("Versions", ()):
                digest.update(f"{version['Key']} {version['ETag']} {version['IsLatest']}\n".encode())
                count += 1
        names.append(f"{bucket['Name']}: {count} versions, {digest.hexdigest()[:16]}")
    yield "buckets", names


def _identities(iam: Any) -> Iterator[tuple[str, list[str]]]:
    def paged(operation: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        pages = iam.get_paginator(operation).paginate(**parameters)
        return [each for page in pages for each in page[key]]

    roles = [each for each in paged("list_roles", "Roles") if not each["Path"].startswith(SERVICE_ROLES)]
    yield "roles", [each["RoleName"] for each in roles]
    yield (
        "instance profiles",
        [each["InstanceProfileName"] for each in paged("list_instance_profiles", "InstanceProfiles")],
    )
    yield "policies", [each["PolicyName"] for each in paged("list_policies", "Policies", Scope="Local")]
    yield "users", [each["UserName"] for each in paged("list_users", "Users")]


def _network(ec2: Any) -> Iterator[tuple[str, list[str]]]:
    vpcs = ec2.describe_vpcs()["Vpcs"]
    default = {each["VpcId"] for each in vpcs if each.get("IsDefault")}
    yield "VPCs", [each["VpcId"] for each in vpcs if each["VpcId"] not in default]
    for kind, operation, key, id_ in (
        ("subnets", "describe_subnets", "Subnets", "SubnetId"),
        ("security groups", "describe_security_groups", "SecurityGroups", "GroupId"),
        ("route tables", "describe_route_tables", "RouteTables", "RouteTableId"),
        ("VPC endpoints", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ):
        pages = ec2.get_paginator(operation).paginate()
        found = [each for page in pages for each in page[key] if each.get("VpcId") not in default]
        yield kind, [each[id_] for each in found if each.get("State") not in GONE]
    gateways = ec2.describe_internet_gateways()["InternetGateways"]
    attached = {each["InternetGatewayId"]: {a["VpcId"] for a in each["Attachments"]} for each in gateways}
    yield "internet gateways", [id_ for id_, to in attached.items() if not to & default]
    yield "volumes", [each["VolumeId"] for each in ec2.describe_volumes()["Volumes"]]
    yield "addresses", [each["AllocationId"] for each in ec2.describe_addresses()["Addresses"]]
    pages = ec2.get_paginator("describe_instances").paginate()
    instances = [each for page in pages for group in page["Reservations"] for each in group["Instances"]]
    yield "instances", [each["InstanceId"] for each in instances if each["State"]["Name"] not in GONE]


def _parameters(ssm: Any) -> Iterator[tuple[str, list[str]]]:
    pages = ssm.get_paginator("describe_parameters").paginate()
    names = [each["Name"] for page in pages for each in page["Parameters"]]
    yield "parameters", [each for each in names if not each.startswith(AWSS_OWN_PARAMETERS)]


def _clusters(emr: Any) -> Iterator[tuple[str, list[str]]]:
    pages = emr.get_paginator("list_clusters").paginate(ClusterStates=ALIVE_STATES)
    yield "active clusters", [each["Id"] for page in pages for each in page["Clusters"]]
