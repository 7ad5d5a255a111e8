"""Fixtures for tests of your own Spark jobs on Drydock. Copy this file beside your tests; it needs pytest and boto3.

    platform    the platform: the one that runs, or one that is brought up for the session and taken down at its end
    cluster     an EMR cluster on it, for the session: its id
    s3_folder   a folder in S3, for one test: its URI; removed afterwards
    submit      runs a program as a step of the cluster: submit("job.py", "--month", "2026-11") is what it printed

DRYDOCK names the checkout of Drydock, by default `../drydock`. Drydock's own variables, such as DRYDOCK_HOME, count.
"""

import gzip
import json
import os
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

CHECKOUT = Path(os.environ.get("DRYDOCK") or "../drydock")
STEP_SECONDS = 1800
CLUSTER_SECONDS = 600
LOG_SECONDS = 60  # for the last lines of a step that has ended to arrive in S3
SHOWN_LINES = 40
LAST_LINE = "Command exiting with ret"  # of the stderr of every step, on EMR as here


class StepFailed(RuntimeError):
    """A step has not come to its end; the message has its state and the last lines that it wrote."""


class Platform:
    """The platform as programs find it: `exports` are what `make -s env` prints, `config` is platform.json."""

    def __init__(self, exports: dict[str, str]) -> None:
        self.exports = exports
        place = urlsplit(exports["DRYDOCK_PLATFORM_CONFIG"])
        answer = self.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
        self.config: dict[str, Any] = json.loads(answer["Body"].read())

    def client(self, service: str) -> Any:
        """boto3's client of a service, whatever AWS the environment of the tests leads to."""
        return boto3.client(
            service,
            endpoint_url=self.exports["AWS_ENDPOINT_URL"],
            region_name=self.exports["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.exports["AWS_SECRET_ACCESS_KEY"],
        )

    def put(self, uri: str, content: bytes) -> str:
        """Store an object; its URI."""
        place = urlsplit(uri)
        self.client("s3").put_object(Bucket=place.netloc, Key=place.path.lstrip("/"), Body=content)
        return uri

    def get(self, uri: str) -> dict[str, bytes]:
        """The objects of a folder, by their names in it."""
        place = urlsplit(uri)
        folder, s3 = place.path.lstrip("/").rstrip("/") + "/", self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=folder)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        bodies = {key: s3.get_object(Bucket=place.netloc, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix(folder): body for key, body in bodies.items()}

    def remove(self, uri: str) -> None:
        """Remove a folder."""
        place = urlsplit(uri)
        for name in self.get(uri):
            key = f"{place.path.lstrip('/').rstrip('/')}/{name}"
            self.client("s3").delete_object(Bucket=place.netloc, Key=key)


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """`make` in Drydock's checkout. What a make that runs these tests was told is not for that one."""
    if not (CHECKOUT / "Makefile").is_file():
        pytest.fail(f"DRYDOCK is `{CHECKOUT}`, which is no checkout of Drydock.", pytrace=False)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--silent", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    running = make("env")
    found = running.returncode == 0
    if not found:
        up = make("local-up", f"RUNTIME={os.environ.get('RUNTIME') or 'process'}")
        if up.returncode != 0:
            pytest.fail(f"`make local-up` failed:\n{up.stdout[-4000:]}\n{up.stderr[-4000:]}", pytrace=False)
        running = make("env")
        assert running.returncode == 0, running.stderr
    words = [shlex.split(line) for line in running.stdout.splitlines()]  # `export NAME='value'`, and one `unset …`
    try:
        yield Platform(dict(word[1].split("=", 1) for word in words if word[0] == "export"))
    finally:
        if not found:
            down = make("local-down")
            assert down.returncode == 0, down.stderr


@pytest.fixture(scope="session")
def cluster(platform: Platform) -> Iterator[str]:
    """As the platform's flows ask for theirs. It ends itself as well, when nobody has used it for a while."""
    config, emr = platform.config, platform.client("emr")
    groups = [("MASTER", config["instance_types"]["master"], 1), ("CORE", config["instance_types"]["core"], 2)]
    answer = emr.run_job_flow(
        Name="tests",
        ReleaseLabel=config["release_label"],
        LogUri=config["log_uri"],
        Applications=[{"Name": name} for name in config["applications"]],
        Configurations=[
            {"Classification": each["classification"], "Properties": each["properties"]}
            for each in config["configurations"]
        ],
        BootstrapActions=[
            {"Name": each["name"], "ScriptBootstrapAction": {"Path": each["path"], "Args": each["args"]}}
            for each in config["bootstrap_actions"]
        ],
        ServiceRole=config["roles"]["service"],
        JobFlowRole=config["roles"]["instance_profile"],
        AutoTerminationPolicy={"IdleTimeout": config["idle_timeout_seconds"]},
        Instances={
            "InstanceGroups": [
                {"InstanceRole": role, "InstanceType": kind, "InstanceCount": count} for role, kind, count in groups
            ],
            "Ec2SubnetId": config["subnet_id"],
            "EmrManagedMasterSecurityGroup": config["security_groups"]["master"],
            "EmrManagedSlaveSecurityGroup": config["security_groups"]["slave"],
            "KeepJobFlowAliveWhenNoSteps": True,
        },
    )
    cluster_id = answer["JobFlowId"]
    try:
        emr.get_waiter("cluster_running").wait(ClusterId=cluster_id, WaiterConfig=each_second(CLUSTER_SECONDS))
        yield cluster_id
    finally:
        emr.terminate_job_flows(JobFlowIds=[cluster_id])
        emr.get_waiter("cluster_terminated").wait(ClusterId=cluster_id, WaiterConfig=each_second(CLUSTER_SECONDS))


@pytest.fixture
def s3_folder(platform: Platform) -> Iterator[str]:
    """In the bucket of the tables, which clusters may read and write."""
    uri = f"{platform.config['output_uri']}/tests/{uuid.uuid4().hex}"
    yield uri
    platform.remove(uri)


@pytest.fixture
def submit(platform: Platform, cluster: str, s3_folder: str) -> Callable[..., str]:
    """`submit(program, *arguments, options=())`: `options` are spark-submit's own, such as `--conf`.

    Raises StepFailed.
    """
    emr = platform.client("emr")

    def run(program: str | Path, *arguments: str, options: tuple[str, ...] = ()) -> str:
        name = Path(program).name
        uri = platform.put(f"{s3_folder}/programs/{name}", Path(program).read_bytes())
        jar = {"Jar": "command-runner.jar", "Args": ["spark-submit", *options, uri, *arguments]}
        step = {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
        (step_id,) = emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step])["StepIds"]
        try:
            emr.get_waiter("step_complete").wait(
                ClusterId=cluster, StepId=step_id, WaiterConfig=each_second(STEP_SECONDS)
            )
        except WaiterError as error:
            state = emr.describe_step(ClusterId=cluster, StepId=step_id)["Step"]["Status"]["State"]
            logs = step_logs(platform, cluster, step_id)
            shown = "\n".join(f"--- {each}\n{last_lines(text)}" for each, text in logs.items())
            raise StepFailed(f"{name} ({step_id} on {cluster}) is {state}\n{shown}") from error
        return step_logs(platform, cluster, step_id)["stdout"]

    return run


def step_logs(platform: Platform, cluster_id: str, step_id: str) -> dict[str, str]:
    """What a step that has ended wrote, `stdout` and `stderr`, as EMR has delivered it."""
    place = urlsplit(f"{platform.config['log_uri']}/{cluster_id}/steps/{step_id}")
    s3, deadline = platform.client("s3"), time.monotonic() + LOG_SECONDS

    def read(stream: str) -> str:
        try:
            answer = s3.get_object(Bucket=place.netloc, Key=f"{place.path.lstrip('/')}/{stream}.gz")
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return ""
        return gzip.decompress(answer["Body"].read()).decode(errors="replace")

    while LAST_LINE not in (stderr := read("stderr")) and time.monotonic() < deadline:
        time.sleep(0.5)
    return {"stdout": read("stdout"), "stderr": stderr}


def last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-SHOWN_LINES:])


def each_second(seconds: int) -> dict[str, int]:
    return {"Delay": 1, "MaxAttempts": seconds}
