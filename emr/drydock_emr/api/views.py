"""What the API says of clusters, steps and instances: the shapes of EMR's model, made from the state's plain data."""

from typing import Any

from drydock_emr import releases
from drydock_emr.state.cluster import (
    ENDED_STATES,
    Cluster,
    ClusterState,
    Instance,
    InstanceGroup,
    InstanceState,
    Step,
    StepState,
)


def cluster(record: Cluster) -> dict[str, Any]:
    """`Cluster`, as DescribeCluster answers."""
    request = record.request
    instances = request["Instances"]
    versions = releases.APPLICATIONS.get(request["ReleaseLabel"], {})
    passed_on = (
        "SecurityConfiguration",
        "AutoScalingRole",
        "CustomAmiId",
        "EbsRootVolumeSize",
        "OSReleaseLabel",
        "KerberosAttributes",
    )
    return {
        **cluster_summary(record),
        "Ec2InstanceAttributes": {
            "Ec2KeyName": instances.get("Ec2KeyName"),
            "Ec2SubnetId": instances.get("Ec2SubnetId"),
            "RequestedEc2SubnetIds": instances.get("Ec2SubnetIds") or _listed(instances.get("Ec2SubnetId")),
            "Ec2AvailabilityZone": f"{record.region}a",
            "RequestedEc2AvailabilityZones": [],
            "IamInstanceProfile": request["JobFlowRole"],
            "EmrManagedMasterSecurityGroup": instances.get("EmrManagedMasterSecurityGroup"),
            "EmrManagedSlaveSecurityGroup": instances.get("EmrManagedSlaveSecurityGroup"),
            "ServiceAccessSecurityGroup": instances.get("ServiceAccessSecurityGroup"),
            "AdditionalMasterSecurityGroups": instances.get("AdditionalMasterSecurityGroups", []),
            "AdditionalSlaveSecurityGroups": instances.get("AdditionalSlaveSecurityGroups", []),
        },
        "InstanceCollectionType": "INSTANCE_GROUP",
        "LogUri": request.get("LogUri"),
        "ReleaseLabel": request["ReleaseLabel"],
        "AutoTerminate": not record.keep_alive,
        "TerminationProtected": record.termination_protected,
        "UnhealthyNodeReplacement": record.unhealthy_node_replacement,
        "VisibleToAllUsers": record.visible_to_all_users,
        "Applications": [
            {**application, "Version": application.get("Version") or versions.get(application["Name"])}
            if application.get("Version") or application["Name"] in versions
            else application
            for application in request.get("Applications", [])
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in record.tags.items()],
        "ServiceRole": request["ServiceRole"],
        "MasterPublicDnsName": record.master.address if record.master else None,
        "Configurations": request.get("Configurations", []),
        "ScaleDownBehavior": request.get("ScaleDownBehavior", "TERMINATE_AT_TASK_COMPLETION"),
        "StepConcurrencyLevel": record.step_concurrency,
        "PlacementGroups": request.get("PlacementGroupConfigs", []),
        **{name: request[name] for name in passed_on if name in request},
    }


def cluster_summary(record: Cluster) -> dict[str, Any]:
    """`ClusterSummary`, as ListClusters answers."""
    return {
        "Id": record.id,
        "Name": record.name,
        "Status": {
            "State": record.state,
            "StateChangeReason": _without_none(Code=record.reason_code, Message=record.reason_message or None),
            "Timeline": _without_none(
                CreationDateTime=record.created_at, ReadyDateTime=record.ready_at, EndDateTime=record.ended_at
            ),
        },
        "NormalizedInstanceHours": 0,
        "ClusterArn": record.arn,
    }


def step(record: Step) -> dict[str, Any]:
    """`Step`, which as far as it is filled here is also `StepSummary`."""
    return {
        "Id": record.id,
        "Name": record.name,
        "Config": _without_none(
            Jar=record.jar, Properties=record.properties, MainClass=record.main_class, Args=record.args
        ),
        "ActionOnFailure": record.action_on_failure,
        "Status": {
            "State": record.state,
            "StateChangeReason": {},
            "FailureDetails": _failure_details(record),
            "Timeline": _without_none(
                CreationDateTime=record.created_at,
                StartDateTime=record.started_at,
                EndDateTime=record.ended_at,
            ),
        },
    }


def instance(record: Instance, market: str) -> dict[str, Any]:
    """`Instance`, as ListInstances answers."""
    return {
        "Id": record.id,
        "Ec2InstanceId": record.ec2_instance_id,
        "PublicDnsName": record.address,
        "PublicIpAddress": record.address,
        "PrivateDnsName": record.address,
        "PrivateIpAddress": record.address,
        "Status": {
            "State": record.state,
            "StateChangeReason": {},
            "Timeline": _without_none(
                CreationDateTime=record.created_at, ReadyDateTime=record.ready_at, EndDateTime=record.ended_at
            ),
        },
        "InstanceGroupId": record.group_id,
        "Market": market,
        "InstanceType": record.instance_type,
        "EbsVolumes": [],
    }


def instance_group(record: InstanceGroup, cluster: Cluster) -> dict[str, Any]:
    """`InstanceGroup`, as ListInstanceGroups answers."""
    members = [instance for instance in cluster.live_instances if instance.group_id == record.id]
    running = sum(instance.state is InstanceState.RUNNING for instance in members)
    return {
        "Id": record.id,
        "Name": record.name,
        "Market": record.market,
        "InstanceGroupType": record.role,
        "InstanceType": record.instance_type,
        "RequestedInstanceCount": record.requested_count,
        "RunningInstanceCount": running,
        "Status": {
            "State": _group_state(record, cluster, running, len(members)),
            "StateChangeReason": {},
            "Timeline": _without_none(
                CreationDateTime=cluster.created_at, ReadyDateTime=cluster.ready_at, EndDateTime=cluster.ended_at
            ),
        },
        "Configurations": [],
        "EbsBlockDevices": [],
        "ShrinkPolicy": {},
    }


def bootstrap_action(config: dict[str, Any]) -> dict[str, Any]:
    """`Command`, as ListBootstrapActions answers."""
    script = config["ScriptBootstrapAction"]
    return {"Name": config["Name"], "ScriptPath": script["Path"], "Args": script.get("Args", [])}


def _group_state(record: InstanceGroup, cluster: Cluster, running: int, members: int) -> str:
    """Of the model's InstanceGroupState."""
    if cluster.state in ENDED_STATES:
        return "TERMINATED"
    if cluster.state is ClusterState.TERMINATING:
        return "TERMINATING"
    if cluster.ready_at is None:
        return "BOOTSTRAPPING" if members else "PROVISIONING"
    return "RUNNING" if running == record.requested_count else "RESIZING"


def _failure_details(record: Step) -> dict[str, Any] | None:
    if record.state is not StepState.FAILED:
        return None
    if record.failure is None:
        return {"Reason": "Unknown Error"}
    return _without_none(Reason=record.failure.reason, Message=record.failure.message, LogFile=record.failure.log_file)


def _listed(value: str | None) -> list[str]:
    return [value] if value else []


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
