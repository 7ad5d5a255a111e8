"""What is set by one operation is read by another, and a restart of the control plane in between changes nothing."""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from drydock_emr.api.operations import BUILT
from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, step

Client = Any


def described(client: Client, cluster_id: str) -> dict[str, Any]:
    return client.describe_cluster(ClusterId=cluster_id)["Cluster"]


def tags_of(client: Client, cluster_id: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described(client, cluster_id)["Tags"]}


CHANGES: dict[str, tuple[Callable[[Client, str], Any], Callable[[Client, str], Any], Any]] = {
    "SetTerminationProtection": (
        lambda c, i: c.set_termination_protection(JobFlowIds=[i], TerminationProtected=True),
        lambda c, i: described(c, i)["TerminationProtected"],
        True,
    ),
    "SetKeepJobFlowAliveWhenNoSteps": (
        lambda c, i: c.set_keep_job_flow_alive_when_no_steps(JobFlowIds=[i], KeepJobFlowAliveWhenNoSteps=False),
        lambda c, i: described(c, i)["AutoTerminate"],
        True,
    ),
    "SetVisibleToAllUsers": (
        lambda c, i: c.set_visible_to_all_users(JobFlowIds=[i], VisibleToAllUsers=False),
        lambda c, i: described(c, i)["VisibleToAllUsers"],
        False,
    ),
    "SetUnhealthyNodeReplacement": (
        lambda c, i: c.set_unhealthy_node_replacement(JobFlowIds=[i], UnhealthyNodeReplacement=True),
        lambda c, i: described(c, i)["UnhealthyNodeReplacement"],
        True,
    ),
    "ModifyCluster": (
        lambda c, i: c.modify_cluster(ClusterId=i, StepConcurrencyLevel=7),
        lambda c, i: described(c, i)["StepConcurrencyLevel"],
        7,
    ),
    "AddTags": (
        lambda c, i: c.add_tags(ResourceId=i, Tags=[{"Key": "kept", "Value": "new"}, {"Key": "added"}]),
        tags_of,
        {"kept": "new", "removed": "r", "added": ""},
    ),
    "RemoveTags": (
        lambda c, i: c.remove_tags(ResourceId=i, TagKeys=["removed", "unknown"]),
        tags_of,
        {"kept": "k"},
    ),
    "PutAutoTerminationPolicy": (
        lambda c, i: c.put_auto_termination_policy(ClusterId=i, AutoTerminationPolicy={"IdleTimeout": 61}),
        lambda c, i: c.get_auto_termination_policy(ClusterId=i)["AutoTerminationPolicy"],
        {"IdleTimeout": 61},
    ),
    "PutAutoTerminationPolicy by default": (
        lambda c, i: c.put_auto_termination_policy(ClusterId=i),
        lambda c, i: c.get_auto_termination_policy(ClusterId=i)["AutoTerminationPolicy"],
        {"IdleTimeout": 3600},
    ),
    "RemoveAutoTerminationPolicy": (
        lambda c, i: c.remove_auto_termination_policy(ClusterId=i),
        lambda c, i: "AutoTerminationPolicy" in c.get_auto_termination_policy(ClusterId=i),
        False,
    ),
    "PutManagedScalingPolicy": (
        lambda c, i: c.put_managed_scaling_policy(
            ClusterId=i,
            ManagedScalingPolicy={
                "ComputeLimits": {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 3}
            },
        ),
        lambda c, i: c.get_managed_scaling_policy(ClusterId=i)["ManagedScalingPolicy"]["ComputeLimits"],
        {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 3},
    ),
    "RemoveManagedScalingPolicy": (
        lambda c, i: c.remove_managed_scaling_policy(ClusterId=i),
        lambda c, i: "ManagedScalingPolicy" in c.get_managed_scaling_policy(ClusterId=i),
        False,
    ),
    "ModifyInstanceGroups": (
        lambda c, i: c.modify_instance_groups(
            ClusterId=i, InstanceGroups=[{"InstanceGroupId": core_group(c, i)["Id"], "InstanceCount": 5}]
        ),
        lambda c, i: core_group(c, i)["RequestedInstanceCount"],
        5,
    ),
    "AddJobFlowSteps": (
        lambda c, i: c.add_job_flow_steps(JobFlowId=i, Steps=[step("later")]),
        lambda c, i: [s["Name"] for s in c.list_steps(ClusterId=i)["Steps"]],
        ["later"],
    ),
}


def core_group(client: Client, cluster_id: str) -> dict[str, Any]:
    groups = client.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    return next(group for group in groups if group["InstanceGroupType"] == "CORE")


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_survives_a_restart(emr: Emr, name: str) -> None:
    change, read, expected = CHANGES[name]
    client = emr.client()
    request = run_job_flow(
        Tags=[{"Key": "kept", "Value": "k"}, {"Key": "removed", "Value": "r"}],
        AutoTerminationPolicy={"IdleTimeout": 120},
        ManagedScalingPolicy={
            "ComputeLimits": {"UnitType": "Instances", "MinimumCapacityUnits": 2, "MaximumCapacityUnits": 2}
        },
    )
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    assert read(client, cluster_id) != expected, "the change would not show"
    change(client, cluster_id)
    emr.restart()
    assert read(client, cluster_id) == expected


def test_every_operation_that_changes_a_cluster_is_among_these() -> None:
    changing = {name for name in BUILT if name.startswith(("Add", "Modify", "Put", "Remove", "Set"))}
    assert changing <= CHANGES.keys()


@pytest.mark.both_databases
def test_what_run_job_flow_was_given_survives_a_restart(emr: Emr) -> None:
    client = emr.client()
    actions = [{"Name": "install", "ScriptBootstrapAction": {"Path": "s3://b/x.sh", "Args": ["a b", ""]}}]
    cluster_id = client.run_job_flow(**run_job_flow(BootstrapActions=actions))["JobFlowId"]
    before = described(client, cluster_id)
    emr.restart()
    listed = client.list_bootstrap_actions(ClusterId=cluster_id)["BootstrapActions"]
    assert listed == [{"Name": "install", "ScriptPath": "s3://b/x.sh", "Args": ["a b", ""]}]
    groups = client.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    assert {(g["InstanceGroupType"], g["InstanceType"], g["RequestedInstanceCount"]) for g in groups} == {
        ("MASTER", "m5.xlarge", 1),
        ("CORE", "m5.xlarge", 2),
    }
    after = described(client, cluster_id)
    for volatile in ("Status", "MasterPublicDnsName", "ResponseMetadata"):
        before.pop(volatile, None)
        after.pop(volatile, None)
    assert after == before


@pytest.mark.both_databases
def test_changes_at_the_same_time_are_all_kept(emr: Emr) -> None:
    cluster_id = emr.client().run_job_flow(**run_job_flow())["JobFlowId"]

    def change(number: int) -> None:
        tags = {"ResourceId": cluster_id, "Tags": [{"Key": f"tag-{number}", "Value": "v"}]}
        assert emr.send("AddTags", json.dumps(tags).encode()).status_code == 200
        steps = {"JobFlowId": cluster_id, "Steps": [step(f"step-{number}")]}
        assert emr.send("AddJobFlowSteps", json.dumps(steps).encode()).status_code == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(40)))
    assert tags_of(emr.client(), cluster_id) == {f"tag-{number}": "v" for number in range(40)}
    listed = emr.client().list_steps(ClusterId=cluster_id)["Steps"]
    assert sorted(s["Name"] for s in listed) == sorted(f"step-{number}" for number in range(40))


@pytest.mark.both_databases
def test_names_of_security_configurations_have_1024_bytes(emr: Emr) -> None:
    client = emr.client()
    longest = "".join(chr(0x10000 + secrets.randbelow(0x10000)) for _ in range(256))  # which nothing makes shorter
    client.create_security_configuration(Name=longest, SecurityConfiguration="{}")
    assert client.describe_security_configuration(Name=longest)["Name"] == longest
    for refused in (longest + "x", ""):
        with pytest.raises(client.exceptions.InvalidRequestException, match="1 to 1024 bytes"):
            client.create_security_configuration(Name=refused, SecurityConfiguration="{}")
    with pytest.raises(client.exceptions.InvalidRequestException, match="does not exist"):
        client.describe_security_configuration(Name=longest * 5)


@pytest.mark.both_databases
def test_security_configurations_are_stored_listed_and_deleted(emr: Emr) -> None:
    client = emr.client()
    document = json.dumps({"EncryptionConfiguration": {"EnableInTransitEncryption": False}})
    client.create_security_configuration(Name="plain", SecurityConfiguration=document)
    with pytest.raises(client.exceptions.InvalidRequestException, match="'plain' already exists"):
        client.create_security_configuration(Name="plain", SecurityConfiguration=document)
    with pytest.raises(client.exceptions.InvalidRequestException, match="not a JSON document"):
        client.create_security_configuration(Name="broken", SecurityConfiguration="{")
    emr.restart()
    assert client.describe_security_configuration(Name="plain")["SecurityConfiguration"] == document
    assert [c["Name"] for c in client.list_security_configurations()["SecurityConfigurations"]] == ["plain"]
    assert emr.client(account_id="111111111111").list_security_configurations()["SecurityConfigurations"] == []
    cluster_id = client.run_job_flow(**run_job_flow(SecurityConfiguration="plain"))["JobFlowId"]
    assert described(client, cluster_id)["SecurityConfiguration"] == "plain"
    client.delete_security_configuration(Name="plain")
    with pytest.raises(client.exceptions.InvalidRequestException, match="'plain' does not exist"):
        client.describe_security_configuration(Name="plain")


def test_releases_and_instance_types(emr: Emr) -> None:
    client = emr.client()
    labels = client.list_release_labels()["ReleaseLabels"]
    assert labels[0] == "emr-7.13.0"
    assert client.list_release_labels(Filters={"Prefix": "emr-7.1"})["ReleaseLabels"] == labels[:4]
    assert client.list_release_labels(Filters={"Application": "spark@3.5.4"})["ReleaseLabels"] == ["emr-7.8.0"]
    first = client.list_release_labels(MaxResults=4)
    rest = client.list_release_labels(MaxResults=4, NextToken=first["NextToken"])
    assert first["ReleaseLabels"] + rest["ReleaseLabels"] == labels
    release = client.describe_release_label(ReleaseLabel="emr-7.13.0")
    assert {"Name": "Spark", "Version": "3.5.6"} in release["Applications"]
    with pytest.raises(client.exceptions.InvalidRequestException, match=r"emr-1\.0\.0"):
        client.describe_release_label(ReleaseLabel="emr-1.0.0")
    first_types = client.list_supported_instance_types(ReleaseLabel="emr-7.13.0")
    second_types = client.list_supported_instance_types(ReleaseLabel="emr-7.13.0", Marker=first_types["Marker"])
    types = {t["Type"]: t for t in first_types["SupportedInstanceTypes"] + second_types["SupportedInstanceTypes"]}
    assert (types["m5.xlarge"]["VCPU"], types["m5.xlarge"]["MemoryGB"]) == (4, 16.0)


def test_fleets_are_refused_for_a_cluster_of_groups(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    with pytest.raises(client.exceptions.InvalidRequestException, match="mutually exclusive"):
        client.list_instance_fleets(ClusterId=cluster_id)


@pytest.mark.both_databases
def test_groups_are_resized_where_nodes_are_free(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = fleet.start(client, Instances={"InstanceGroups": groups_with_cores(1)})
    group_id = core_group(client, cluster_id)["Id"]
    assert core_group(client, cluster_id)["RunningInstanceCount"] == 1

    client.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": group_id, "InstanceCount": 2}])
    fleet.until(lambda: core_group(client, cluster_id)["RunningInstanceCount"] == 2, "a second core")
    assert len([node for node in fleet.nodes if node.assignment.cluster]) == 3

    instances = client.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["CORE"])["Instances"]
    first = instances[0]["Ec2InstanceId"]
    client.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": group_id, "EC2InstanceIdsToTerminate": [first]}])
    fleet.turns()
    assert core_group(client, cluster_id)["RequestedInstanceCount"] == 1
    running = client.list_instances(ClusterId=cluster_id, InstanceStates=["RUNNING"], InstanceGroupTypes=["CORE"])
    assert [i["Ec2InstanceId"] for i in running["Instances"]] == [instances[1]["Ec2InstanceId"]]
    assert len([node for node in fleet.nodes if node.assignment.cluster]) == 2
    assert state_of(client, cluster_id) == "WAITING"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"InstanceCount": 0}, "cannot be resized to 0"),
        ({"InstanceCount": -1}, "cannot be resized to -1"),
        ({"EC2InstanceIdsToTerminate": ["i-nobody"]}, "i-nobody are not in instance group"),
        ({"Configurations": [{"Classification": "spark-defaults"}]}, "cannot reconfigure"),
        ({"InstanceGroupId": "ig-NONE"}, "'ig-NONE' is not valid"),
    ],
)
def test_resizing_refuses(emr: Emr, change: dict[str, Any], message: str) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    change = {"InstanceGroupId": core_group(client, cluster_id)["Id"], **change}
    with pytest.raises(client.exceptions.ClientError, match=message):
        client.modify_instance_groups(ClusterId=cluster_id, InstanceGroups=[change])
    assert core_group(client, cluster_id)["RequestedInstanceCount"] == 2


def test_lowering_the_step_concurrency_lets_running_steps_finish(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    steps = [step(name) for name in "abcd"]
    cluster_id = fleet.start(client, StepConcurrencyLevel=3, Steps=steps)
    fleet.turns()

    def states() -> list[str]:
        return [s["Status"]["State"] for s in reversed(client.list_steps(ClusterId=cluster_id)["Steps"])]

    assert states() == ["RUNNING", "RUNNING", "RUNNING", "PENDING"]
    client.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=1)
    assert states() == ["RUNNING", "RUNNING", "RUNNING", "PENDING"]
    fleet.nodes[0].exit_codes["a"] = 0
    fleet.turns()
    assert states() == ["COMPLETED", "RUNNING", "RUNNING", "PENDING"]
    fleet.nodes[0].exit_codes.update(b=0, c=0)
    fleet.turns()
    assert states() == ["COMPLETED", "COMPLETED", "COMPLETED", "RUNNING"]


@pytest.mark.parametrize("action", ["TERMINATE_CLUSTER", "CANCEL_AND_WAIT"])
def test_a_level_raised_while_a_step_runs_disarms_its_action_on_failure(emr: Emr, fleet: Fleet, action: str) -> None:
    client = emr.client()
    cluster_id = fleet.start(client, Steps=[step("fails", on_failure=action), step("goes on", on_failure=action)])
    client.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=2)
    fleet.nodes[0].exit_codes["fails"] = 1
    fleet.turns()
    states = [s["Status"]["State"] for s in reversed(client.list_steps(ClusterId=cluster_id)["Steps"])]
    assert states == ["FAILED", "RUNNING"]
    assert state_of(client, cluster_id) == "RUNNING"


def test_ended_clusters_are_not_changed(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = fleet.start(client)
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    fleet.until(lambda: state_of(client, cluster_id) == "TERMINATED", "the end")
    for change in (
        lambda: client.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=True),
        lambda: client.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=2),
        lambda: client.add_tags(ResourceId=cluster_id, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: client.put_auto_termination_policy(ClusterId=cluster_id),
    ):
        with pytest.raises(client.exceptions.ClientError) as refusal:
            change()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    assert state_of(client, cluster_id) == "TERMINATED"


def groups_with_cores(count: int) -> list[dict[str, Any]]:
    return [
        {"Name": "Master", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"Name": "Core", "InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": count},
    ]
