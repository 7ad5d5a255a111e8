"""A platform's configuration, a scripted AWS, and the driver as the program that flows start."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from drydock_driver.emr_api import Emr
from drydock_driver.platform_config import Platform, parse
from drydock_driver.reporting import Output, Reporter
from tests.driver.scripted_aws import OPERATOR_KEY, ROLE_ARN, ScriptedAws

CONFIG_URI = "s3://input/config/platform.json"


@pytest.fixture
def document() -> dict[str, Any]:
    """A complete platform.json."""
    return complete_document()


def complete_document() -> dict[str, Any]:
    """A platform.json that lacks nothing; a new one each time, to be spoilt."""
    return {
        "format": 1,
        "platform": "drydock",
        "region": "eu-west-1",
        "account_id": "111122223333",
        "release_label": "emr-7.13.0",
        "applications": ["Spark"],
        "instance_types": {"master": "m5.xlarge", "core": "m5.2xlarge"},
        "core_count": 2,
        "subnet_id": "subnet-1",
        "security_groups": {"master": "sg-m", "slave": "sg-s"},
        "roles": {"service": "emr-service-role", "instance_profile": "emr_instance_profile", "kestra_arn": ROLE_ARN},
        "application_uri": "s3://input/spark_app",
        "source_uri": "s3://source/data_source/shipment",
        "output_uri": "s3://output",
        "log_uri": "s3://logs/emr",
        "audit_uri": "s3://audit/kestra",
        "bootstrap_actions": [{"name": "Install", "path": "s3://input/bootstrap.sh", "args": ["s3://input/wheels"]}],
        "configurations": [{"classification": "spark-defaults", "properties": {"spark.a": "b"}}],
        "tags": {"for-use-with-amazon-emr-managed-policies": "true", "platform": "drydock"},
        "idle_timeout_seconds": 900,
    }


@pytest.fixture
def aws(document: dict[str, Any]) -> Iterator[ScriptedAws]:
    """An endpoint on which a run succeeds, unless the test scripts something else."""
    with ScriptedAws() as aws:
        aws.objects["input/config/platform.json"] = json.dumps(document).encode()
        aws.answer("ListClusters", {"Clusters": []})
        aws.answer("RunJobFlow", {"JobFlowId": "j-1"})
        aws.answer("AddJobFlowSteps", {"StepIds": ["s-1"]})
        aws.answer("TerminateJobFlows", {})
        aws.answer("CancelSteps", {})
        aws.answer("ListSteps", {"Steps": []})
        aws.answer("AddTags", {})
        aws.cluster_states("WAITING", "TERMINATED")  # each look in between would cost a second
        aws.step_states("COMPLETED")
        aws.put_log("controller", "INFO Step succeeded with exitCode 0 and took 3 seconds\n")
        yield aws


@pytest.fixture
def environment(aws: ScriptedAws) -> dict[str, str]:
    """All that the driver is given by its environment."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": OPERATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DRYDOCK_PLATFORM_CONFIG": CONFIG_URI,
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "120",
    }


Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start `drydock-driver ARGS`; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str, **overrides: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "drydock_driver", *args],
            env=environment | overrides.pop("env", {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **overrides,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def driver(start: Start) -> Run:
    """Run `drydock-driver ARGS` to its end."""

    def run(*args: str, **overrides: Any) -> "subprocess.CompletedProcess[str]":
        process = start(*args, **overrides)
        stdout, stderr = process.communicate(timeout=60)
        assert "Traceback" not in stderr, stderr
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)

    return run


@pytest.fixture(scope="session")
def anybody() -> boto3.Session:
    """One for all tests: it reads botocore's models, which takes a while, once."""
    return boto3.Session("AKIAANYBODY", "secret", region_name="eu-west-1")


@pytest.fixture
def session(aws: ScriptedAws, anybody: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """For the driver's parts in this process: its clients find the scripted endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    return anybody


@pytest.fixture
def emr(session: boto3.Session) -> Emr:
    return Emr(session, "eu-west-1")


@pytest.fixture
def platform(document: dict[str, Any]) -> Platform:
    return parse(document, "here")


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(Output.EVENTS)


@pytest.fixture
def run_arguments() -> list[str]:
    """`run` of a small job."""
    command = ["spark-submit", "{application_uri}/job.py", "--date", "{date}", "--target", "{source_uri}"]
    return ["run", "--job", "data-generation", "--date", "2026-11-21", "--run-id", "r1", "--", *command]


def with_options(arguments: list[str], *options: str) -> list[str]:
    """The run's arguments with more options; of an option given twice, the last counts."""
    at = arguments.index("--")
    return [*arguments[:at], *options, *arguments[at:]]


def assert_ends_its_cluster_by_a_signal(aws: ScriptedAws, process: "subprocess.Popen[str]") -> None:
    """The driver, asked to stop, ends cluster j-1 and then itself."""
    aws.cluster_states("TERMINATING", "TERMINATED")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert aws.bodies("TerminateJobFlows") == [{"JobFlowIds": ["j-1"]}]
