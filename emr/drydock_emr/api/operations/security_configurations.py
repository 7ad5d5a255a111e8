"""Security configurations: stored and reported. What they ask for (encryption, Kerberos) has no effect here.

And the account's own setting about security groups that are open to the world, which is always AWS's default.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from drydock_emr.api.operations.service import Handler, Input, Output, Service, page, without_none
from drydock_emr.errors import InvalidRequest
from drydock_emr.gateway import Caller
from drydock_emr.state.cluster import SecurityConfiguration
from drydock_emr.state.store import Records

MAX_NAME_BYTES = 1024  # what a database's key holds for certain; AWS documents no limit


async def create_security_configuration(service: Service, caller: Caller, request: Input) -> Output:
    name, document = request["Name"], request["SecurityConfiguration"]
    if not 1 <= len(name.encode()) <= MAX_NAME_BYTES:
        raise InvalidRequest(f"The name of a security configuration has 1 to {MAX_NAME_BYTES} bytes of UTF-8.")
    try:
        json.loads(document)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The security configuration is not a JSON document.") from error
    with service.control_plane.changing() as (records, now):
        if records.security_configuration(name, caller.account_id, caller.region) is not None:
            raise InvalidRequest(f"Security configuration with name '{name}' already exists.")
        records.add(SecurityConfiguration(caller.account_id, caller.region, name, document, created_at=now))
    return {"Name": name, "CreationDateTime": now}


async def describe_security_configuration(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        found = _find(records, caller, request["Name"])
        return {
            "Name": found.name,
            "SecurityConfiguration": found.document,
            "CreationDateTime": found.created_at,
        }


async def delete_security_configuration(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.changing() as (records, _):
        records.delete(_find(records, caller, request["Name"]))
    return {}


async def list_security_configurations(service: Service, caller: Caller, request: Input) -> Output:
    with service.control_plane.reading() as records:
        found = records.security_configurations(caller.account_id, caller.region)
        shown, marker = page(found, request.get("Marker"))
        return without_none(
            SecurityConfigurations=[{"Name": c.name, "CreationDateTime": c.created_at} for c in shown], Marker=marker
        )


async def get_block_public_access_configuration(_service: Service, caller: Caller, _request: Input) -> Output:
    """An account's default (EMR's management guide, «Using Amazon EMR block public access»): on, port 22 excepted."""
    return {
        "BlockPublicAccessConfiguration": {
            "BlockPublicSecurityGroupRules": True,
            "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 22, "MaxRange": 22}],
        },
        "BlockPublicAccessConfigurationMetadata": {
            "CreationDateTime": datetime.fromtimestamp(0, UTC),
            "CreatedByArn": f"arn:aws:iam::{caller.account_id}:root",
        },
    }


OPERATIONS: Mapping[str, Handler] = {
    "CreateSecurityConfiguration": create_security_configuration,
    "DescribeSecurityConfiguration": describe_security_configuration,
    "DeleteSecurityConfiguration": delete_security_configuration,
    "ListSecurityConfigurations": list_security_configurations,
    "GetBlockPublicAccessConfiguration": get_block_public_access_configuration,
}


def _find(records: Records, caller: Caller, name: str) -> SecurityConfiguration:
    found = records.security_configuration(name, caller.account_id, caller.region)
    if found is None:
        raise InvalidRequest(f"Security configuration with name '{name}' does not exist.")
    return found
