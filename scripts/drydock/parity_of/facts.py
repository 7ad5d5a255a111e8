"""What a platform is made of, asked of the platform itself: its account, its buckets, and a cluster.

Facts of the local platform are kept in `DRYDOCK_HOME/parity`, so that those of AWS, which are asked for by a process
that has the caller's credentials, can be held against them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drydock import jobs, settings
from drydock.parity_of import tables
from drydock.site import BUCKETS, Site
from drydock.toolchain.stamps import write_file

ROLES = {"driver": "kestra-role", "instances": "emr_instance_profile"}
"""Whose rights are looked at. What EMR itself may do is AWS's own policy."""


@dataclass(frozen=True)
class Facts:
    """What was found. `told` is what `spark/cluster_check.py` said on a cluster, `flows` the sources by name."""

    account_id: str
    region: str
    name_prefix: str
    revision: str
    platform_config: dict[str, Any]
    told: dict[str, Any]
    deviating_objects: list[str]
    """Keys of the jobs' revision whose content is not that of this checkout; all of them if it is another revision."""
    flows: dict[str, str]
    roles: dict[str, Any]
    """By what they are for: `arn`, `trust`, `policies` (a list of `name`, `policy`, and `arn` where it has one)."""
    bucket_policies: dict[str, Any]
    day: tables.DayHashes | None


def gather(
    where: Site, here: jobs.Revision, told: Mapping[str, Any], flows: Mapping[str, str], day: tables.DayHashes | None
) -> Facts:
    """`here` is the revision of the checkout's jobs. Raises DrydockError when something cannot be asked."""
    config = where.platform_config()
    return Facts(
        account_id=config["account_id"],
        region=where.account.region,
        name_prefix=where.name_prefix,
        revision=jobs.deployed(config),
        platform_config=config,
        told=dict(told),
        deviating_objects=_deviating(where, here),
        flows=dict(flows),
        roles=roles_of(where),
        bucket_policies=bucket_policies_of(where),
        day=day,
    )


def _deviating(where: Site, here: jobs.Revision) -> list[str]:
    with where.account.explained("compare the jobs"):
        return jobs.missing(where.account.client("s3"), where.input_bucket, here)


def roles_of(where: Site) -> dict[str, Any]:
    """The roles whose rights are looked at, as `Facts.roles` has them. Raises ServiceFailed."""
    iam = where.account.client("iam")
    found = {}
    with where.account.explained("read the roles' policies"):
        for purpose, name in ROLES.items():
            role = iam.get_role(RoleName=where.name_prefix + name)["Role"]
            found[purpose] = {
                "arn": role["Arn"],
                "trust": role["AssumeRolePolicyDocument"],
                "policies": [*_inline(iam, role["RoleName"]), *_attached(iam, role["RoleName"])],
            }
    return found


def _inline(iam: Any, role: str) -> list[dict[str, Any]]:
    names = [name for page in _pages(iam, "list_role_policies", role) for name in page["PolicyNames"]]
    return [
        {"name": name, "policy": iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]}
        for name in names
    ]


def _attached(iam: Any, role: str) -> list[dict[str, Any]]:
    found = []
    for page in _pages(iam, "list_attached_role_policies", role):
        for each in page["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=each["PolicyArn"])["Policy"]["DefaultVersionId"]
            of_version = iam.get_policy_version(PolicyArn=each["PolicyArn"], VersionId=version)
            policy = of_version["PolicyVersion"]["Document"]
            found.append({"name": each["PolicyName"], "arn": each["PolicyArn"], "policy": policy})
    return found


def _pages(iam: Any, operation: str, role: str) -> Any:
    return iam.get_paginator(operation).paginate(RoleName=role)


def bucket_policies_of(where: Site) -> dict[str, Any]:
    """Each bucket's policy, by its name without prefix. Raises ServiceFailed."""
    s3 = where.account.client("s3")
    with where.account.explained("read the buckets' policies"):
        return {
            bucket: json.loads(s3.get_bucket_policy(Bucket=where.name_prefix + bucket)["Policy"]) for bucket in BUCKETS
        }


def keep(paths: settings.Paths, facts: Facts) -> None:
    """For a later comparison. Raises OSError."""
    write_file(_file(paths), json.dumps(asdict(facts), default=str, indent=1))


def kept(paths: settings.Paths) -> Facts | None:
    """What was kept last of the local platform; None when there is nothing, or of another version of this."""
    try:
        document = json.loads(_file(paths).read_text())
        day = document.pop("day")
        return Facts(**document, day=tables.DayHashes.of_document(day) if day else None)
    except (FileNotFoundError, json.JSONDecodeError, TypeError, KeyError):
        return None


def _file(paths: settings.Paths) -> Path:
    return paths.home / "parity" / "local.json"
