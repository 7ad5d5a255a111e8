"""EMR's API on the running platform, through the gateway: what is not built says so, and steps really run."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from drydock import secrets, settings
from drydock_emr.api.operations import BUILT
from tests.platform.platform_rig import Platform, until

# Spark's status store knows every executor of the application that runs, by the address of its block manager.
EXECUTOR_HOSTS = """
import time
from pyspark.sql import SparkSession
context = SparkSession.builder.getOrCreate().sparkContext
deadline = time.monotonic() + 120
hosts = []
while len(hosts) < 2 and time.monotonic() < deadline:
    context.parallelize(range(8), 8).map(lambda number: number).count()
    infos = context._jsc.sc().statusTracker().getExecutorInfos()
    hosts = sorted({info.host() for info in infos} - {context._conf.get("spark.driver.host")})
print("executors on", *hosts)
"""


def test_every_operation_that_is_not_built_is_refused_by_name(platform: Platform) -> None:
    key = secrets.operator_key(platform.paths)
    credentials = Credentials(key.access_key_id, key.secret_access_key)
    operations = set(platform.client("emr").meta.service_model.operation_names) - BUILT.keys()
    assert operations
    for operation in sorted(operations):
        request = AWSRequest(
            "POST",
            platform.ports.gateway_url + "/",
            {"X-Amz-Target": f"ElasticMapReduce.{operation}", "Content-Type": "application/x-amz-json-1.1"},
            b"{}",
        )
        SigV4Auth(credentials, "elasticmapreduce", settings.REGION).add_auth(request)
        answer = httpx.post(request.url, content=b"{}", headers=dict(request.headers.items()), trust_env=False)
        assert (answer.status_code, answer.json()["__type"]) == (400, "NotImplementedException"), operation
        assert operation in answer.json()["message"]


@pytest.fixture(scope="module")
def cluster(platform: Platform) -> Iterator[str]:
    """A cluster of one master and two cores, made by a plain `RunJobFlow`; its id."""
    emr, s3 = platform.client("emr"), platform.client("s3")
    config = json.loads(s3.get_object(Bucket="spark-job-data-input", Key="config/platform.json")["Body"].read())
    cluster_id = emr.run_job_flow(
        Name="acceptance",
        ReleaseLabel=config["release_label"],
        LogUri=config["log_uri"],
        ServiceRole=config["roles"]["service"],
        JobFlowRole=config["roles"]["instance_profile"],
        Applications=[{"Name": "Spark"}],
        Instances={
            "InstanceCount": 3,
            "MasterInstanceType": "m5.xlarge",
            "SlaveInstanceType": "m5.xlarge",
            "Ec2SubnetId": config["subnet_id"],
            "KeepJobFlowAliveWhenNoSteps": True,
        },
    )["JobFlowId"]
    emr.get_waiter("cluster_running").wait(ClusterId=cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    yield cluster_id
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    emr.get_waiter("cluster_terminated").wait(ClusterId=cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 300})


def test_a_step_that_exits_7_is_failed_and_its_log_says_7(platform: Platform, cluster: str) -> None:
    step = run_step(platform, cluster, "bash", "-c", "exit 7")
    assert step["Status"]["State"] == "FAILED"
    await_log(platform, cluster, step["Id"], "controller", "exitCode 7")


def test_executors_run_on_both_core_nodes(platform: Platform, cluster: str) -> None:
    platform.client("s3").put_object(
        Bucket="spark-job-data-input", Key="spark_app/executor_hosts.py", Body=EXECUTOR_HOSTS.encode()
    )
    step = run_step(platform, cluster, "spark-submit", "s3://spark-job-data-input/spark_app/executor_hosts.py")
    assert step["Status"]["State"] == "COMPLETED"
    cores = platform.client("emr").list_instances(ClusterId=cluster, InstanceGroupTypes=["CORE"])["Instances"]
    addresses = sorted(instance["PrivateIpAddress"] for instance in cores)
    assert len(set(addresses)) == 2
    await_log(platform, cluster, step["Id"], "stdout", f"executors on {addresses[0]} {addresses[1]}")


def run_step(platform: Platform, cluster_id: str, *arguments: str) -> dict[str, Any]:
    """Run a step to its end; DescribeStep's answer."""
    emr = platform.client("emr")
    step = {
        "Name": arguments[0],
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(arguments)},
    }
    (step_id,) = emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]
        return found if found["Status"]["State"] not in {"PENDING", "RUNNING"} else None

    return until(ended, f"step {step_id} to end")


def await_log(platform: Platform, cluster_id: str, step_id: str, name: str, text: str) -> None:
    """Until a step's log holds the text: logs are delivered bit by bit, the last of them after the step's end."""
    s3 = platform.client("s3")
    key = f"test-emr-logs/{cluster_id}/steps/{step_id}/{name}.gz"

    def is_delivered() -> bool:
        try:
            body = s3.get_object(Bucket="emr-cluster-spark-logs", Key=key)["Body"].read()
        except ClientError:
            return False
        return text in gzip.decompress(body).decode()

    until(is_delivered, f"`{text}` in the log {name} of step {step_id}", seconds=60)
