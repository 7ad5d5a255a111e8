"""RunJobFlow's and AddJobFlowSteps' input, made into the state's plain data.

The messages are EMR's where one was recorded.
"""

import re
from collections.abc import Sequence
from typing import Any

from drydock_emr import releases
from drydock_emr.errors import ValidationError
from drydock_emr.state import ids
from drydock_emr.state.cluster import ActionOnFailure, Cluster, InstanceGroup, InstanceRole, Step

MAX_ACTIVE_STEPS = 256
MAX_BOOTSTRAP_ACTIONS = 16
MAX_STEP_CHARACTERS = 10_240
MAX_STEP_CONCURRENCY = 256
MAX_TAG_KEY_CHARACTERS = 128
MAX_TAG_VALUE_CHARACTERS = 256
IDLE_TIMEOUT_SECONDS = range(60, 604_800 + 1)
DEFAULT_IDLE_TIMEOUT_SECONDS = 3600


def new_cluster(request: dict[str, Any], account_id: str, region: str, now: float) -> Cluster:
    """A STARTING cluster. Raises ValidationError for what EMR refuses at once."""
    release = request.get("ReleaseLabel")
    if not release:
        raise ValidationError("ReleaseLabel is required for creating cluster")
    if release not in releases.APPLICATIONS:
        raise ValidationError(f"The supplied release label is invalid: {release}.")
    for member, name in (("ServiceRole", "ServiceRole"), ("JobFlowRole", "InstanceProfile")):
        if not request.get(member):
            raise ValidationError(f"{name} is required for creating cluster")
    for application in request.get("Applications", []):
        if not application.get("Name"):
            raise ValidationError("Application name is required.")
    _check_log_uri(request.get("LogUri"))
    if len(request.get("BootstrapActions", [])) > MAX_BOOTSTRAP_ACTIONS:
        raise ValidationError(f"A maximum of {MAX_BOOTSTRAP_ACTIONS} bootstrap actions are allowed.")
    instances = request["Instances"]
    concurrency = request.get("StepConcurrencyLevel", 1)
    check_step_concurrency(concurrency)
    for configuration in request.get("Configurations", []):
        _check_classification(configuration)
    if (policy := request.get("ManagedScalingPolicy")) is not None:
        check_managed_scaling_policy(policy)
    cluster = Cluster(
        id=ids.cluster_id(),
        account_id=account_id,
        region=region,
        name=request["Name"],
        created_at=now,
        request={name: value for name, value in request.items() if name != "Steps"},
        keep_alive=instances.get("KeepJobFlowAliveWhenNoSteps", False),
        termination_protected=instances.get("TerminationProtected", False),
        step_concurrency=concurrency,
        visible_to_all_users=request.get("VisibleToAllUsers", True),
        unhealthy_node_replacement=instances.get("UnhealthyNodeReplacement", False),
        idle_timeout_seconds=idle_timeout(request.get("AutoTerminationPolicy")),
        managed_scaling_policy=policy,
        tags=tags({}, request.get("Tags", [])),
        groups=_instance_groups(instances),
    )
    add_steps(cluster, request.get("Steps", []), now)
    return cluster


def add_steps(cluster: Cluster, configs: Sequence[dict[str, Any]], now: float) -> list[str]:
    """Queue steps behind the cluster's; their ids, in order. Raises ValidationError, and then queues none."""
    if len(cluster.unfinished_steps) + len(configs) > MAX_ACTIVE_STEPS:
        raise ValidationError(
            "Maximum number of active steps(State = Running, Pending or Cancel Pending) for cluster exceeded."
        )
    steps = [_step(config, cluster, sequence=len(cluster.steps) + i, now=now) for i, config in enumerate(configs)]
    cluster.steps.extend(steps)
    return [step.id for step in steps]


def tags(present: dict[str, str], added: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The tags after adding these; a key that is there gets the new value. Raises ValidationError."""
    result = present | {tag.get("Key", ""): tag.get("Value", "") for tag in added}
    for key, value in result.items():
        if not 1 <= len(key) <= MAX_TAG_KEY_CHARACTERS or len(value) > MAX_TAG_VALUE_CHARACTERS:
            raise ValidationError(
                f"The tag {key!r} is not valid: keys have 1 to {MAX_TAG_KEY_CHARACTERS} characters, values at most "
                f"{MAX_TAG_VALUE_CHARACTERS}."
            )
    return result


def check_step_concurrency(level: int) -> None:
    """Raises ValidationError outside EMR's range."""
    if not 1 <= level <= MAX_STEP_CONCURRENCY:
        raise ValidationError(f"The step concurrency level has to be from 1 to {MAX_STEP_CONCURRENCY}, it is {level}.")


def check_managed_scaling_policy(policy: dict[str, Any]) -> None:
    """Raises ValidationError when its limits contradict each other."""
    limits = policy.get("ComputeLimits")
    if limits is not None and limits["MinimumCapacityUnits"] > limits["MaximumCapacityUnits"]:
        raise ValidationError("MinimumCapacityUnits of the managed scaling policy is above its MaximumCapacityUnits.")


def idle_timeout(policy: dict[str, Any] | None) -> int | None:
    """The seconds of an AutoTerminationPolicy. Raises ValidationError outside EMR's range."""
    if policy is None:
        return None
    seconds: int = policy.get("IdleTimeout", DEFAULT_IDLE_TIMEOUT_SECONDS)
    if seconds not in IDLE_TIMEOUT_SECONDS:
        low, high = IDLE_TIMEOUT_SECONDS[0], IDLE_TIMEOUT_SECONDS[-1]
        raise ValidationError(f"The idle timeout must be between {low} and {high} seconds, it is {seconds}.")
    return seconds


def _step(config: dict[str, Any], cluster: Cluster, sequence: int, now: float) -> Step:
    jar_step = config["HadoopJarStep"]
    args = jar_step.get("Args", [])
    properties = {item["Key"]: item.get("Value", "") for item in jar_step.get("Properties", []) if item.get("Key")}
    characters = sum(
        map(len, [jar_step["Jar"], jar_step.get("MainClass", ""), *args, *properties, *properties.values()])
    )
    if characters > MAX_STEP_CHARACTERS:
        raise ValidationError(
            f"The strings of step {config['Name']!r} have {characters} characters, "
            f"at most {MAX_STEP_CHARACTERS} are allowed."
        )
    action = ActionOnFailure(config.get("ActionOnFailure", ActionOnFailure.TERMINATE_CLUSTER))
    if cluster.step_concurrency > 1 and action is not ActionOnFailure.CONTINUE:
        raise ValidationError(
            "ActionOnFailure setting is not valid. When StepConcurrencyLevel is greater than 1, it has to be CONTINUE."
        )
    return Step(
        id=ids.step_id(),
        name=config["Name"],
        jar=jar_step["Jar"],
        created_at=now,
        sequence=sequence,
        args=args,
        main_class=jar_step.get("MainClass"),
        properties=properties,
        action_on_failure=action,
    )


def _instance_groups(instances: dict[str, Any]) -> list[InstanceGroup]:
    if instances.get("InstanceFleets"):
        raise ValidationError("The local EMR has instance groups only: describe the instances as InstanceGroups.")
    configs = instances.get("InstanceGroups") or _groups_from_count(instances)
    for role in InstanceRole:
        count = sum(config["InstanceRole"] == role for config in configs)
        if role is not InstanceRole.TASK and count > 1:
            raise ValidationError(f"A cluster has one {role} instance group at most, {count} were given.")
    master = [config for config in configs if config["InstanceRole"] == InstanceRole.MASTER]
    if not master:
        raise ValidationError("A cluster needs a MASTER instance group.")
    if master[0]["InstanceCount"] != 1:
        raise ValidationError(
            "The local EMR runs clusters of one master: InstanceCount of the MASTER group has to be 1."
        )
    for config in configs:
        if config["InstanceCount"] < 0:
            raise ValidationError(f"InstanceCount has to be positive, it is {config['InstanceCount']}.")
    return [
        InstanceGroup(
            id=ids.instance_group_id(),
            name=config.get("Name", ""),
            role=InstanceRole(config["InstanceRole"]),
            instance_type=config["InstanceType"],
            requested_count=config["InstanceCount"],
            market=config.get("Market", "ON_DEMAND"),
        )
        for config in configs
    ]


def _groups_from_count(instances: dict[str, Any]) -> list[dict[str, Any]]:
    """The short form: one master, the other instances are cores."""
    count = instances.get("InstanceCount", 0)
    master_type = instances.get("MasterInstanceType")
    if count < 1 or not master_type:
        raise ValidationError("Instances need InstanceGroups, or InstanceCount with MasterInstanceType.")
    groups = [{"InstanceRole": "MASTER", "InstanceType": master_type, "InstanceCount": 1}]
    if count > 1:
        core_type = instances.get("SlaveInstanceType", master_type)
        groups.append({"InstanceRole": "CORE", "InstanceType": core_type, "InstanceCount": count - 1})
    return groups


def _check_classification(configuration: dict[str, Any]) -> None:
    name = configuration.get("Classification", "")
    if name not in releases.CLASSIFICATIONS:
        raise ValidationError(f"The configuration classification {name!r} is not known to the release.")
    for nested in configuration.get("Configurations", []):
        _check_classification(nested)


def _check_log_uri(log_uri: str | None) -> None:
    """Without the parts `.` and `..`: to S3 they are letters of a key, but a client on the way may resolve them."""
    if log_uri is None:
        return
    matched = re.fullmatch(r"s3[an]?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\r\n\t]*)?", log_uri)
    if not matched or {".", ".."} & set((matched[1] or "").split("/")):
        raise ValidationError(f"The log URI {log_uri!r} is not valid: s3://BUCKET/PREFIX is expected.")
