"""Asking for a run's cluster: one at most, and none when an earlier attempt of the run left one."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from drydock_driver.asking import ask_once, patiently
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import ACTIVE_STATES, Emr, ListedCluster
from drydock_driver.errors import AwsRefused
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Liveness
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter

# IAM is eventually consistent: a new role or instance profile is not seen by EMR for up to two minutes.
IAM_PATIENCE_SECONDS = 120
IAM_PAUSE_SECONDS = 5
# A week: no run lasts longer, and the list of all clusters of an account can be long.
LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True)
class Earlier:
    """Clusters that earlier attempts of a run have left, newest first."""

    active: tuple[str, ...]
    past: tuple[ListedCluster, ...]


def earlier(emr: Emr, name: str, interruption: Interruption, unreachable_seconds: float) -> Earlier:
    """What there is under a run's name."""
    listed: list[ListedCluster] = []

    def ask() -> None:
        listed[:] = emr.clusters_named(name, datetime.now(UTC) - LOOK_BACK)

    patiently(ask, "the list of clusters", interruption, unreachable_seconds)
    return Earlier(
        active=tuple(each.id for each in listed if each.state in ACTIVE_STATES),
        past=tuple(each for each in listed if each.state not in ACTIVE_STATES),
    )


def create(
    emr: Emr,
    platform: Platform,
    run: JobRun,
    liveness: Liveness,
    interruption: Interruption,
    reporter: Reporter,
    unreachable_seconds: float,
) -> str:
    """The id of a new cluster for the run. The caller has seen to it that there is none of its name."""
    name = run.cluster_name(platform)
    deadline = time.monotonic() + IAM_PATIENCE_SECONDS

    def ask() -> str:
        while True:
            try:
                return emr.run_job_flow(request(platform, run, liveness.tags()))
            except AwsRefused as error:
                if not _is_unseen_profile(error) or time.monotonic() > deadline:
                    raise
                reporter.news(f"EMR does not see the instance profile yet ({error.detail}): asking again")
                interruption.wait(IAM_PAUSE_SECONDS)

    def find() -> str | None:
        listed = emr.clusters_named(name, datetime.now(UTC) - LOOK_BACK, ACTIVE_STATES)
        return listed[0].id if listed else None

    cluster_id = ask_once(ask, find, f"cluster {name}", interruption, reporter, unreachable_seconds)
    reporter.news(f"cluster {cluster_id} ({name}) is asked for")
    return cluster_id


def request(platform: Platform, run: JobRun, tags: dict[str, str]) -> dict[str, Any]:
    """The `RunJobFlow` of the run: one master, `core_count` core nodes, alive until it is told to end or is idle."""
    cores = platform.core_count
    return {
        "Name": run.cluster_name(platform),
        "LogUri": f"{platform.log_uri}/",
        "ReleaseLabel": platform.release_label,
        "Applications": [{"Name": name} for name in platform.applications],
        "Configurations": [_configuration(each) for each in platform.configurations],
        "BootstrapActions": [
            {
                "Name": action["name"],
                "ScriptBootstrapAction": {"Path": action["path"], "Args": list(action.get("args", ()))},
            }
            for action in platform.bootstrap_actions
        ],
        "ServiceRole": platform.service_role,
        "JobFlowRole": platform.instance_profile,
        "AutoTerminationPolicy": {"IdleTimeout": platform.idle_timeout_seconds},
        "Instances": {
            "InstanceGroups": [
                _instance_group("Master", "MASTER", platform.master_instance_type, 1),
                # A cluster of one node has no other group: EMR takes no group of none.
                *([_instance_group("Core", "CORE", platform.core_instance_type, cores)] if cores else []),
            ],
            "Ec2SubnetId": platform.subnet_id,
            **({} if platform.ec2_key_name is None else {"Ec2KeyName": platform.ec2_key_name}),
            "EmrManagedMasterSecurityGroup": platform.master_security_group,
            "EmrManagedSlaveSecurityGroup": platform.slave_security_group,
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
        },
        "Tags": [{"Key": key, "Value": value} for key, value in (tags | run.tags()).items()],
        "VisibleToAllUsers": True,
    }


def _configuration(of: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"Classification": of["classification"], "Properties": dict(of.get("properties", {}))}
    if of.get("configurations"):
        answer["Configurations"] = [_configuration(each) for each in of["configurations"]]
    return answer


def _instance_group(name: str, role: str, instance_type: str, count: int) -> dict[str, Any]:
    return {
        "Name": name,
        "InstanceRole": role,
        "InstanceType": instance_type,
        "InstanceCount": count,
        "Market": "ON_DEMAND",
    }


def _is_unseen_profile(error: AwsRefused) -> bool:
    return "Invalid InstanceProfile" in error.detail or "Failed to authorize instance profile" in error.detail
