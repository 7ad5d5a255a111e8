"""The API's edges: who may call, what is refused and how it is said."""

import base64
import json
import re
import socket
import time
from typing import Any

import boto3
import httpx
import pytest

from drydock import settings
from drydock_emr.api.endpoint import MAX_REQUEST_BYTES
from drydock_emr.api.operations import BUILT
from drydock_emr.node_protocol import FailureDetails, LeaseReport, LeaseState, NodeFailure, Phase
from tests.emr.conftest import NODE_SECRET, Emr, Fleet, caller_token, run_job_flow, step
from tests.emr.test_console import TOKEN

EVERY_OPERATION = sorted(boto3.client("emr", region_name="us-east-1").meta.service_model.operation_names)


def test_an_operation_that_is_not_built_says_so(emr: Emr) -> None:
    for operation in sorted(set(EVERY_OPERATION) - BUILT.keys()):
        response = emr.send(operation, b"{}")
        assert response.status_code == 400, operation
        assert response.json()["__type"] == "NotImplementedException"
        assert operation in response.json()["message"]


@pytest.mark.parametrize("operation", ["", "Nonsense", "runjobflow", "RunJobFlow.x", "../RunJobFlow"])
def test_no_operation_of_emr(emr: Emr, operation: str) -> None:
    response = emr.send(operation, b"{}")
    assert (response.status_code, response.json()["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"ClusterId": NaN}', b"null"])
def test_malformed_bodies_are_refused_with_400(emr: Emr, body: bytes) -> None:
    response = emr.send("DescribeCluster", body)
    assert (response.status_code, response.json()["__type"]) == (400, "SerializationException")


def test_wrong_types_and_missing_members_are_told_apart(emr: Emr) -> None:
    wrong_type = emr.send("DescribeCluster", b'{"ClusterId": 7}').json()
    assert wrong_type["__type"] == "SerializationException"
    missing = emr.send("DescribeCluster", b"{}").json()
    assert missing == {
        "__type": "ValidationException",
        "message": "1 validation error detected: Value null at 'clusterId' failed to satisfy constraint: "
        "Member must not be null",
    }
    wrong_value = emr.send("ListClusters", b'{"ClusterStates": ["ASLEEP"]}').json()
    assert "Value 'ASLEEP' at 'clusterStates.1.member' failed to satisfy constraint" in wrong_value["message"]


LIST_CLUSTERS = "ElasticMapReduce.ListClusters"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "gateway"},
        {"iss": "emr"},
        {"exp": int(time.time()) - 60},
        {"body_sha256": "0" * 64},
        {"target": "ElasticMapReduce.TerminateJobFlows"},
        {"target": None},
        {"account": None},
        {"region": None},
    ],
    ids=[
        "audience",
        "issuer",
        "expired",
        "another body",
        "another operation",
        "no operation",
        "no account",
        "no region",
    ],
)
def test_only_the_gateway_may_call(emr: Emr, claims: dict[str, object]) -> None:
    token = caller_token(LIST_CLUSTERS, b"{}", **claims)
    headers = {"X-Amz-Target": LIST_CLUSTERS, "Authorization": f"Bearer {token}"}
    response = httpx.post(emr.url, content=b"{}", headers=headers)
    assert (response.status_code, response.json()["__type"]) == (400, "AccessDeniedException")


def test_who_is_not_the_gateway_is_refused_before_the_body_is_read(emr: Emr) -> None:
    host, _, port = emr.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"POST / HTTP/1.1\r\nHost: emr\r\nX-Amz-Target: {LIST_CLUSTERS}\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.recv(65536)
    assert b"AccessDeniedException" in answer


def test_bodies_have_a_largest_size(emr: Emr) -> None:
    largest = b'{"Marker": ""}'.ljust(MAX_REQUEST_BYTES)
    assert emr.send("ListClusters", largest).status_code == 200
    response = emr.send("ListClusters", largest + b" ")
    assert (response.status_code, response.json()["__type"]) == (413, "RequestEntityTooLargeException")


@pytest.mark.both_databases
def test_the_largest_steps_of_a_cluster_fit_into_a_request(emr: Emr) -> None:
    steps = [step(f"s{i}", "x" * 10_222) for i in range(256)]
    client = emr.client()
    assert client.run_job_flow(**run_job_flow(Steps=steps))["JobFlowId"]


def test_nodes_need_their_secret(emr: Emr) -> None:
    for path in ("/node/v1/credentials?node=node-1", "/node/v1/nodes"):
        assert httpx.get(emr.url + path).status_code == 401
        assert httpx.get(emr.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.post(emr.url + "/node/v1/sync", content=b"{}").status_code == 401


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("RunJobFlow", run_job_flow(Name="a\0b")),
        ("RunJobFlow", run_job_flow(Steps=[step("s", "a\0b")])),
        ("RunJobFlow", run_job_flow(Tags=[{"Key": "k", "Value": "\0"}])),
        ("RunJobFlow", run_job_flow(Configurations=[{"Classification": "spark-env", "Properties": {"\0": "v"}}])),
        ("DescribeCluster", {"ClusterId": "\0"}),
        ("DescribeStep", {"ClusterId": "j-1", "StepId": "s-\0"}),
        ("CreateSecurityConfiguration", {"Name": "\0", "SecurityConfiguration": "{}"}),
    ],
)
def test_text_with_nul_is_refused(emr: Emr, operation: str, document: dict[str, Any]) -> None:
    response = emr.send(operation, json.dumps(document).encode())
    assert (response.status_code, response.json()["__type"]) == (400, "SerializationException")
    assert "holds a NUL" in response.json()["message"]


@pytest.mark.both_databases
def test_nul_in_an_address_and_in_what_nodes_say_harms_nothing(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    configuration = '{"a": "\\u0000"}'  # a document in a document: its NUL is six characters
    client.create_security_configuration(Name="escaped", SecurityConfiguration=configuration)
    assert client.describe_security_configuration(Name="escaped")["SecurityConfiguration"] == configuration
    for path in ("/clusters/%00", "/clusters/j-1%00"):
        assert httpx.get(emr.url + path, cookies={"drydock_console": TOKEN}).status_code == 404
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    for changed in ({"node": "no\0de"}, {"node": "n" * 65}, {"host": "\0"}, {"rpc_port": 2**31}):
        report = {**fleet.nodes[0].report().model_dump(mode="json"), **changed}
        assert httpx.post(f"{emr.url}/node/v1/sync", json=report, headers=headers).status_code == 400
    assert httpx.get(f"{emr.url}/node/v1/credentials?node=%00", headers=headers).status_code == 404

    cluster_id = fleet.start(client, Steps=[step("fails")])
    fleet.turns()
    master = fleet.nodes[0]
    (lease,) = master.assignment.leases
    failure = FailureDetails(reason="Unknown Error.", message="Exception: \0")
    master._leases[lease.step_id] = LeaseReport(
        step_id=lease.step_id, attempt=1, state=LeaseState.EXITED, exit_code=1, failure=failure
    )
    master.turn()
    (failed,) = client.list_steps(ClusterId=cluster_id)["Steps"]
    assert failed["Status"]["FailureDetails"]["Message"] == "Exception: \0"
    master.phase, master.failure = Phase.FAILED, NodeFailure(message="its daemon said \0", bootstrap_action=None)
    master.turn()
    reason = client.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["StateChangeReason"]["Message"]
    assert reason.endswith("its daemon said \N{REPLACEMENT CHARACTER}")


def test_a_region_that_is_none_is_refused(emr: Emr) -> None:
    for region in ("r" * 33, "", "us east", "us-east-1\n"):
        token = caller_token(LIST_CLUSTERS, b"{}", region=region)
        headers = {"X-Amz-Target": LIST_CLUSTERS, "Authorization": f"Bearer {token}"}
        response = httpx.post(emr.url, content=b"{}", headers=headers)
        assert (response.status_code, response.json()["__type"]) == (400, "AccessDeniedException")
        assert response.json()["message"] == "Credential should be scoped to a valid region."


@pytest.mark.both_databases
def test_unknown_ids(emr: Emr) -> None:
    client = emr.client()
    with pytest.raises(client.exceptions.InvalidRequestException, match=r"Cluster id 'j-NONE' is not valid\."):
        client.describe_cluster(ClusterId="j-NONE")
    with pytest.raises(client.exceptions.ClientError, match="Specified job flow ID does not exist"):
        client.terminate_job_flows(JobFlowIds=["j-NONE"])
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    with pytest.raises(client.exceptions.InvalidRequestException, match=r"Step id 's-NONE' is not valid\."):
        client.describe_step(ClusterId=cluster_id, StepId="s-NONE")


@pytest.mark.both_databases
def test_clusters_belong_to_an_account_and_a_region(emr: Emr) -> None:
    cluster_id = emr.client().run_job_flow(**run_job_flow())["JobFlowId"]
    for other in (emr.client(account_id="111111111111"), emr.client(region="eu-west-1")):
        assert other.list_clusters()["Clusters"] == []
        with pytest.raises(other.exceptions.InvalidRequestException, match="is not valid"):
            other.describe_cluster(ClusterId=cluster_id)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"JobFlowRole": "misnamed"}, r"Invalid InstanceProfile: misnamed\."),
        ({"SecurityConfiguration": "none"}, "Security configuration with name 'none' does not exist"),
        ({"Configurations": [{"Classification": "spork-defaults"}]}, "'spork-defaults' is not known"),
        ({"JobFlowRole": "nobody"}, r"Invalid InstanceProfile: nobody\."),
        ({"JobFlowRole": None}, "InstanceProfile is required for creating cluster"),
        ({"ServiceRole": None}, "ServiceRole is required for creating cluster"),
        ({"ReleaseLabel": "emr-1.0.0"}, "The supplied release label is invalid: emr-1.0.0"),
        ({"StepConcurrencyLevel": 257}, "step concurrency level"),
        ({"StepConcurrencyLevel": 2, "Steps": [step("s", on_failure=None)]}, "ActionOnFailure setting is not valid"),
        ({"LogUri": "file:///tmp"}, "log URI"),
        ({"AutoTerminationPolicy": {"IdleTimeout": 59}}, "idle timeout"),
        ({"Steps": [step("s", "x" * 10_241)]}, "at most 10240"),
    ],
)
def test_what_run_job_flow_refuses_at_once(emr: Emr, changed: dict[str, object], message: str) -> None:
    client = emr.client()
    request = {name: value for name, value in run_job_flow(**changed).items() if value is not None}
    with pytest.raises(client.exceptions.ClientError, match=message) as refusal:
        client.run_job_flow(**request)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert client.list_clusters()["Clusters"] == []


def test_describe_cluster_repeats_what_was_asked_for(emr: Emr) -> None:
    client = emr.client()
    request = run_job_flow(
        LogUri="s3://logs/prefix",
        Tags=[{"Key": "a", "Value": "b"}],
        Configurations=[{"Classification": "spark-defaults", "Properties": {"k": "v"}}],
    )
    answer = client.run_job_flow(**request)
    cluster = client.describe_cluster(ClusterId=answer["JobFlowId"])["Cluster"]
    assert cluster["ClusterArn"] == answer["ClusterArn"]
    assert cluster["LogUri"] == "s3://logs/prefix"
    assert cluster["Tags"] == [{"Key": "a", "Value": "b"}]
    assert cluster["Configurations"] == request["Configurations"]
    assert cluster["Applications"] == [{"Name": "Spark", "Version": "3.5.6"}]
    assert cluster["Ec2InstanceAttributes"]["IamInstanceProfile"] == "emr_instance_profile"
    assert cluster["AutoTerminate"] is False


def test_steps_are_limited_to_256_unfinished(emr: Emr) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[step(f"s{i}") for i in range(200)]))["JobFlowId"]
    with pytest.raises(client.exceptions.ClientError, match="Maximum number of active steps"):
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step(f"t{i}") for i in range(57)])
    client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step(f"t{i}") for i in range(56)])
    listed = [
        s["Name"] for page in client.get_paginator("list_steps").paginate(ClusterId=cluster_id) for s in page["Steps"]
    ]
    assert len(listed) == 256
    assert listed[0] == "t55", "newest first"
    assert listed[-1] == "s0"


def test_clusters_are_listed_in_pages_newest_first(emr: Emr) -> None:
    client = emr.client()
    ids = [client.run_job_flow(**run_job_flow(Name=f"c{i}"))["JobFlowId"] for i in range(53)]
    first = client.list_clusters()
    assert [c["Id"] for c in first["Clusters"]] == ids[:2:-1]
    second = client.list_clusters(Marker=first["Marker"])
    assert [c["Id"] for c in second["Clusters"]] == ids[2::-1]
    assert "Marker" not in second
    assert client.list_clusters(ClusterStates=["TERMINATED"])["Clusters"] == []
    client.run_job_flow(**run_job_flow(Name="late"))
    again = client.list_clusters(Marker=first["Marker"])["Clusters"]
    assert [c["Id"] for c in again] == ids[2::-1], "pages stay as they were"


@pytest.mark.both_databases
def test_clusters_are_listed_between_two_moments(emr: Emr) -> None:
    client = emr.client()
    ids = [client.run_job_flow(**run_job_flow(Name=f"c{i}"))["JobFlowId"] for i in range(3)]

    def listed(**between: float) -> list[dict[str, Any]]:
        """Past boto3, which knows seconds and microseconds where JSON has more digits."""
        return emr.send("ListClusters", json.dumps(between).encode()).json()["Clusters"]

    first, _, last = reversed([c["Status"]["Timeline"]["CreationDateTime"] for c in listed()])
    assert [c["Id"] for c in listed(CreatedAfter=first)] == [ids[2], ids[1]]
    assert [c["Id"] for c in listed(CreatedBefore=last)] == [ids[1], ids[0]]
    assert [c["Id"] for c in listed(CreatedAfter=first, CreatedBefore=last)] == [ids[1]]


@pytest.mark.parametrize("operation", ["ListClusters", "ListSteps", "ListInstances", "ListReleaseLabels"])
def test_markers_of_other_lists_are_refused(emr: Emr, operation: str) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[step(f"s{i}") for i in range(51)]))["JobFlowId"]
    for position in (b"offset:x", b"cluster:1.0", b"step:-1", b"step:" + b"9" * 10, b"\xff", b"offset:\xd9\xa3"):
        marker = base64.urlsafe_b64encode(position).decode()
        document = {"ClusterId": cluster_id, "NextToken" if operation == "ListReleaseLabels" else "Marker": marker}
        response = emr.send(operation, json.dumps(document).encode())
        assert (response.status_code, response.json()["__type"]) == (400, "InvalidRequestException")


def test_ended_clusters_take_no_steps(emr: Emr, fleet: Fleet) -> None:
    client = emr.client()
    cluster_id = client.run_job_flow(**run_job_flow())["JobFlowId"]
    client.terminate_job_flows(JobFlowIds=[cluster_id])
    with pytest.raises(client.exceptions.ClientError, match="shutting down, terminated, or finished"):
        client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("late")])


def test_health_needs_a_writable_database(emr: Emr) -> None:
    response = httpx.get(emr.url + "/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.both_databases
def test_step_details_show_what_was_submitted_byte_for_byte(emr: Emr) -> None:
    client = emr.client()
    args = ["bash", "-c", "printf '%s' \"a  b\"", "", "ü\t\n", "--x=y z"]
    cluster_id = client.run_job_flow(**run_job_flow(Steps=[step("s", *args)]))["JobFlowId"]
    (listed,) = client.list_steps(ClusterId=cluster_id)["Steps"]
    assert listed["Config"]["Args"] == args
    assert json.dumps(listed["Config"]["Jar"]) == '"command-runner.jar"'


def test_the_documentation_lists_what_is_built() -> None:
    page = (settings.REPOSITORY / "docs" / "emr-fidelity.md").read_text()
    table = page.split("## Operations")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE)) - {"operation"} == BUILT.keys()
