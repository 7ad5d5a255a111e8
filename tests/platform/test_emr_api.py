"""EMR's API on the running platform, through the gateway: what is not built says so, and steps really run."""

from collections.abc import Iterator

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from drydock import secrets, settings
from drydock_emr.api.operations import BUILT
from tests.platform.platform_rig import Platform

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
    """A cluster that waits for steps; its id."""
    cluster_id, emr = platform.run_job_flow("acceptance"), platform.client("emr")
    emr.get_waiter("cluster_running").wait(ClusterId=cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    yield cluster_id
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    emr.get_waiter("cluster_terminated").wait(ClusterId=cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 300})


def test_a_step_that_exits_7_is_failed_and_its_log_says_7(platform: Platform, cluster: str) -> None:
    step_id = platform.add_step(cluster, "bash", "-c", "exit 7")
    assert platform.await_step(cluster, step_id)["Status"]["State"] == "FAILED"
    platform.await_log(cluster, f"steps/{step_id}/controller", "exitCode 7")


def test_executors_run_on_both_core_nodes(platform: Platform, cluster: str) -> None:
    platform.client("s3").put_object(
        Bucket="spark-job-data-input", Key="spark_app/executor_hosts.py", Body=EXECUTOR_HOSTS.encode()
    )
    step_id = platform.add_step(cluster, "spark-submit", "s3://spark-job-data-input/spark_app/executor_hosts.py")
    assert platform.await_step(cluster, step_id)["Status"]["State"] == "COMPLETED"
    cores = platform.client("emr").list_instances(ClusterId=cluster, InstanceGroupTypes=["CORE"])["Instances"]
    addresses = sorted(instance["PrivateIpAddress"] for instance in cores)
    assert len(set(addresses)) == 2
    platform.await_log(cluster, f"steps/{step_id}/stdout", f"executors on {addresses[0]} {addresses[1]}")
