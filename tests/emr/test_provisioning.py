"""Which faults refuse RunJobFlow, and which end the cluster later: as EMR has it."""

import time
from typing import Any

import pytest

from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, wait_for
from tests.emr.test_changes import groups_with_cores

NETWORK = {
    "Ec2SubnetId": "subnet-1",
    "EmrManagedMasterSecurityGroup": "sg-1",
    "EmrManagedSlaveSecurityGroup": "sg-2",
}


def ended_status(client: Any, cluster_id: str) -> dict[str, Any]:
    wait_for(lambda: state_of(client, cluster_id).startswith("TERMINATED"), "the end of the cluster")
    return client.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ServiceRole": "nobody"}, "Service role nobody is invalid"),
        ({"Instances": NETWORK | {"Ec2SubnetId": "subnet-9"}}, "The subnet ID 'subnet-9' does not exist"),
        (
            {"Instances": NETWORK | {"EmrManagedMasterSecurityGroup": "sg-none"}},
            "The security group 'sg-none' does not exist",
        ),
        (
            {"Instances": NETWORK | {"AdditionalSlaveSecurityGroups": ["sg-9"]}},
            "The security group sg-9 does not belong to the VPC of the subnet",
        ),
        (
            {"Instances": {"InstanceGroups": [{**groups_with_cores(1)[0], "InstanceType": "x9.huge"}]}},
            "The requested instance type x9.huge is not supported in the requested Availability Zone",
        ),
    ],
    ids=["service role", "subnet", "security group", "another VPC", "instance type"],
)
def test_faults_of_the_surroundings_end_the_cluster(emr: Emr, changed: dict[str, Any], message: str) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(**changed))["JobFlowId"]
    status = ended_status(client, cluster_id)
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "VALIDATION_ERROR"
    assert message in status["StateChangeReason"]["Message"]


def test_good_surroundings_are_asked_about_as_the_service_role(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = fleet.start(client, Instances=NETWORK)
    assert state_of(client, cluster_id) == "WAITING"
    services = [(asked["service"], asked.get("role")) for asked in emr.gateway.requests]
    assert ("elasticmapreduce.amazonaws.com", "emr-service-role") in services


def test_ids_that_are_empty_count_as_none(emr: Emr, fleet: Fleet) -> None:
    """As Terraform's `aws_emr_cluster` sends them for what is not configured."""
    network = NETWORK | {
        "ServiceAccessSecurityGroup": "",
        "AdditionalMasterSecurityGroups": [""],
        "AdditionalSlaveSecurityGroups": [""],
    }
    cluster_id = fleet.start(emr.client(), Instances=network)
    assert state_of(emr.client(), cluster_id) == "WAITING"


def test_a_gateway_that_is_away_delays_and_does_not_decide(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    # Between the answer and the validation there is a moment only; a restart makes it long enough to be used.
    emr.gateway.is_away = True
    emr.restart()
    fleet.turns()
    emr.gateway.is_away = False
    fleet.until(lambda: state_of(client, cluster_id) == "WAITING", "the cluster, after all")


def test_a_service_away_is_503_and_no_cluster(emr: Emr) -> None:
    emr.gateway.is_away = True
    client = emr.client()
    with pytest.raises(client.exceptions.ClientError) as refusal:
        client.run_job_flow(**run_job_flow())
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert client.list_clusters()["Clusters"] == []


@pytest.mark.parametrize("provisioning_timeout_seconds", [5.0])
def test_more_nodes_than_there_are_end_in_a_time_out_and_block_nobody(
    emr: Emr, fleet: Fleet, provisioning_timeout_seconds: float
) -> None:
    client = emr.client()
    too_large = client.run_job_flow(**run_job_flow(Instances={"InstanceGroups": groups_with_cores(5)}))["JobFlowId"]
    began = time.monotonic()
    fitting = fleet.start(client)
    assert state_of(client, fitting) == "WAITING"
    fleet.until(lambda: state_of(client, too_large).startswith("TERMINATED"), "the time-out")
    assert time.monotonic() - began >= provisioning_timeout_seconds - 1
    status = ended_status(client, too_large)
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR")
    assert "EC2 is out of capacity for m5.xlarge: 6 instances were asked for" in status["StateChangeReason"]["Message"]
    assert "ReadyDateTime" not in status["Timeline"]


def test_a_number_of_instances_costs_nothing_by_itself(emr: Emr, fleet: Fleet) -> None:
    """Two thousand million of them are waited for like five."""
    client = emr.client()
    cluster_id = fleet.start(client, Instances={"InstanceGroups": groups_with_cores(1)})
    huge = client.run_job_flow(**run_job_flow(Instances={"InstanceGroups": groups_with_cores(2**31 - 1)}))["JobFlowId"]
    (group,) = [g for g in client.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"] if g["Name"] == "Core"]
    client.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": group["Id"], "InstanceCount": 2**31 - 1}])
    began = time.monotonic()
    fleet.turns()
    assert time.monotonic() - began < 5
    assert (state_of(client, huge), state_of(client, cluster_id)) == ("STARTING", "WAITING")
    assert len(client.list_instances(ClusterId=cluster_id, InstanceStates=["RUNNING"])["Instances"]) == 3
