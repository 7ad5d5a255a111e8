"""What EMR looks into after RunJobFlow has answered: service role, subnet, security groups, instance types.

On AWS these faults do not refuse the request; they end the cluster with VALIDATION_ERROR and a reason. The questions
are asked as EMR asks them: of EC2, in a session of the cluster's service role.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from drydock_emr import instance_types
from drydock_emr.control_plane import ControlPlane
from drydock_emr.errors import DatabaseUnavailable, ServiceUnavailable
from drydock_emr.gateway import Gateway, RoleRefused
from drydock_emr.state import transitions
from drydock_emr.state.cluster import Cluster, ClusterState, InstanceGroup

RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Invalid(Exception):
    """The cluster cannot be provisioned; the message is the reason that it ends with."""


class Provisioning:
    """Validates clusters one after the other, as the control plane asks for it."""

    def __init__(self, control_plane: ControlPlane, gateway: Gateway, endpoint_url: str) -> None:
        self._control_plane = control_plane
        self._gateway = gateway
        self._endpoint_url = endpoint_url

    async def run(self) -> None:
        """Until cancelled. A gateway or database that is away delays a validation, it does not decide it."""
        while True:
            cluster_id = await self._control_plane.to_validate.get()
            try:
                await self._validate(cluster_id)
            except DatabaseUnavailable:
                pass  # the store has said so, once
            except ServiceUnavailable as error:
                log.warning("Cluster %s cannot be validated yet: %s", cluster_id, error)
            except Exception:
                log.exception("Cluster %s cannot be validated yet", cluster_id)
            else:
                continue
            await asyncio.sleep(RETRY_SECONDS)
            self._control_plane.wants_validation(cluster_id)

    async def _validate(self, cluster_id: str) -> None:
        with self._control_plane.reading() as records:
            cluster = records.cluster_by_id(cluster_id)
            if cluster is None or cluster.state is not ClusterState.STARTING or cluster.validated:
                return
            groups = list(cluster.groups)
        self._conclude(cluster_id, await self._fault(cluster, groups))

    async def _fault(self, cluster: Cluster, groups: Sequence[InstanceGroup]) -> str | None:
        """Why the cluster cannot be provisioned, or None. Raises ServiceUnavailable when that cannot be known now."""
        try:
            for group in groups:
                _check_instance_type(group.instance_type)
            session = await self._service_session(cluster)
            await asyncio.to_thread(self._check_network, cluster.request["Instances"], cluster.region, session)
        except Invalid as invalid:
            return str(invalid)
        except ServiceUnavailable:
            raise
        except Exception:
            log.exception("The validation of cluster %s failed", cluster.id)
            return "The cluster could not be validated, by a fault of the local EMR."
        return None

    def _conclude(self, cluster_id: str, fault: str | None) -> None:
        with self._control_plane.changing() as (records, now):
            cluster = records.cluster_by_id(cluster_id)
            assert cluster is not None, f"{cluster_id} is gone"
            if fault is None:
                cluster.validated = True
            else:
                transitions.refuse(cluster, fault, now)

    async def _service_session(self, cluster: Cluster) -> dict[str, Any]:
        role = cluster.request["ServiceRole"]
        try:
            return await self._gateway.service_session(
                "elasticmapreduce.amazonaws.com",
                account_id=cluster.account_id,
                region=cluster.region,
                session_name=cluster.id,
                role=role,
            )
        except RoleRefused as error:
            raise Invalid(f"Service role {role} is invalid: {error}") from error

    def _check_network(self, instances: dict[str, Any], region: str, session: dict[str, Any]) -> None:
        """Raises Invalid, or ServiceUnavailable when EC2 gives no answer. Blocks.

        An empty id counts as none: Terraform's `aws_emr_cluster` sends one for each group that is not configured.
        """
        subnet_ids = list(filter(None, [*instances.get("Ec2SubnetIds", ()), instances.get("Ec2SubnetId")]))
        names = ("EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup", "ServiceAccessSecurityGroup")
        lists = ("AdditionalMasterSecurityGroups", "AdditionalSlaveSecurityGroups")
        group_ids = {instances[name] for name in names if instances.get(name)}
        group_ids.update(group_id for name in lists for group_id in instances.get(name, ()) if group_id)
        if not subnet_ids and not group_ids:
            return
        ec2 = boto3.client(
            "ec2",
            endpoint_url=self._endpoint_url,
            region_name=region,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["Token"],
            config=BotoConfig(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=20),
        )
        try:
            subnets = ec2.describe_subnets(SubnetIds=subnet_ids)["Subnets"] if subnet_ids else []
            groups = ec2.describe_security_groups(GroupIds=sorted(group_ids))["SecurityGroups"] if group_ids else []
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise ServiceUnavailable(f"EC2 does not answer: {error}") from error
            raise Invalid(error.response["Error"]["Message"]) from error
        except BotoCoreError as error:
            raise ServiceUnavailable(f"EC2 does not answer: {error}") from error
        finally:
            ec2.close()
        vpc_ids = {subnet["VpcId"] for subnet in subnets}
        for group in groups:
            if vpc_ids and group["VpcId"] not in vpc_ids:
                raise Invalid(
                    f"The security group {group['GroupId']} does not belong to the VPC of the subnet: it is in "
                    f"{group['VpcId']}, the subnet is in {', '.join(sorted(vpc_ids))}."
                )


def _check_instance_type(name: str) -> None:
    """AWS's message for it (EMR Management Guide, «Instance type not supported»)."""
    if name not in instance_types.supported():
        raise Invalid(f"The requested instance type {name} is not supported in the requested Availability Zone.")
