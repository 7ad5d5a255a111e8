"""A running platform as its user sees it, and what is needed to break it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import ClientError
from deltalake import DeltaTable, QueryBuilder

from drydock import aws, env, processes, read_back, settings, site
from drydock.second_home import free_ports, second_home
from drydock.settings import PROCESS
from drydock.supervision import Supervisor
from tests.running import wait_for

DEADLINE_SECONDS = 600
# As make starts it. By `python -m` an interrupt that falls into an import, handled or not, can end it by the signal.
DRYDOCK = Path(sys.executable).with_name("drydock")
NOT_ENDED = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"]
# What only a step has: spark-submit's JVM, its executors, and the programs that they run.
STEP_MARKS = ("SparkSubmit", "CoarseGrainedExecutorBackend", "pyspark.daemon", "data_generator", "data_processor")

until = partial(wait_for, seconds=DEADLINE_SECONDS, pause=0.1)


@dataclass
class Verb:
    """A `drydock` verb that runs in a process group of its own, as a terminal would start it."""

    process: "subprocess.Popen[str]"
    output: list[str] = field(default_factory=list)
    _deaf: bool = False

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def started(cls, environment: Mapping[str, str], *arguments: str) -> "Verb":
        """Start `drydock ARGUMENTS` with this environment."""
        process = subprocess.Popen(
            [DRYDOCK, *arguments],
            cwd=settings.REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return cls(process)

    def wait_for(self, text: str) -> None:
        """Until the verb has printed `text`."""
        until(lambda: text in self.text or self.process.poll() is not None, f"`{text}` to be printed")
        assert text in self.text, self.text

    def ctrl_c(self) -> None:
        """What a terminal does on Ctrl-C: SIGINT to every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def stop_reading(self) -> None:
        """Close the verb's output after its next line."""
        self._deaf = True

    def end(self, within_seconds: float = DEADLINE_SECONDS) -> int:
        """Wait for the verb's end; its exit code. One that takes longer is interrupted, and what it said is shown."""
        try:
            code = self.process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.ctrl_c()
            self.process.wait(DEADLINE_SECONDS)
            raise AssertionError(f"It has not ended within {within_seconds:.0f} s:\n{self.text}") from None
        self._reader.join(DEADLINE_SECONDS)
        return code

    @property
    def text(self) -> str:
        return "".join(self.output)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if self._deaf:
                    return


@dataclass
class Platform:
    """A platform in a DRYDOCK_HOME of its own."""

    paths: settings.Paths
    ports: settings.Ports
    runtime: str = PROCESS

    def start(self, *arguments: str, **environment: str) -> Verb:
        """Start `drydock ARGUMENTS`, with variables of its own beside the platform's."""
        return Verb.started(self.environment | environment, *arguments)

    def drydock(self, *arguments: str, within_seconds: float = DEADLINE_SECONDS) -> "subprocess.CompletedProcess[str]":
        """Run `drydock ARGUMENTS` to its end."""
        verb = self.start(*arguments)
        return subprocess.CompletedProcess(arguments, verb.end(within_seconds), verb.text, "")

    def driver(self, *arguments: str) -> dict[str, Any]:
        """Run a verb of the driver's with what `drydock env` exports; what it prints at last."""
        driver = settings.Paths().environment("workspace") / "bin" / "drydock-driver"
        ended = subprocess.run(
            [driver, *arguments, "--output=json"],
            env={"PATH": os.defpath, **env.exports(self.paths, self.ports)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        document: dict[str, Any] = json.loads(ended.stdout)
        return document

    @contextmanager
    def job_replaced(self, job: str, program: str) -> Iterator[None]:
        """The jobs of a day, one of them another program."""
        s3 = self.client("s3")
        application_uri = site.local(self.paths, self.ports).platform_config()["application_uri"]
        bucket, _, folder = application_uri.removeprefix("s3://").partition("/")
        place = {"Bucket": bucket, "Key": f"{folder}/{job}.py"}
        kept = s3.get_object(**place)["Body"].read()
        s3.put_object(**place, Body=program.encode())
        try:
            yield
        finally:
            s3.put_object(**place, Body=kept)

    def client(self, service: str) -> Any:
        """boto3's client of a service, with the operator's key."""
        return aws.operator_client(service, self.paths, self.ports)

    def pid_of(self, service: str) -> int:
        """The process id of a service."""
        return Supervisor(self.paths).service_pids()[service]

    def clusters(self, states: list[str] = NOT_ENDED) -> list[str]:
        """Ids of the clusters in these states."""
        return [cluster["Id"] for cluster in self.client("emr").list_clusters(ClusterStates=states)["Clusters"]]

    def running_step(self) -> str:
        """Wait until a step is RUNNING and its program too; the step's cluster."""
        emr = self.client("emr")

        def find() -> str | None:
            for cluster_id in self.clusters(["RUNNING"]):
                steps = emr.list_steps(ClusterId=cluster_id, StepStates=["RUNNING"])["Steps"]
                if steps and self.step_processes():
                    return str(cluster_id)
            return None

        return until(find, "a running step")

    def run_job_flow(self, name: str, *, keep_alive: bool = True, **changes: Any) -> str:
        """A cluster of one master and two cores by a plain `RunJobFlow`, changed in these members; its id."""
        place = {"Bucket": "spark-job-data-input", "Key": "config/platform.json"}
        config = json.loads(self.client("s3").get_object(**place)["Body"].read())
        request = {
            "Name": name,
            "ReleaseLabel": config["release_label"],
            "LogUri": config["log_uri"],
            "ServiceRole": config["roles"]["service"],
            "JobFlowRole": config["roles"]["instance_profile"],
            "Applications": [{"Name": "Spark"}],
            "Instances": {
                "InstanceCount": 3,
                "MasterInstanceType": "m5.xlarge",
                "SlaveInstanceType": "m5.xlarge",
                "Ec2SubnetId": config["subnet_id"],
                "KeepJobFlowAliveWhenNoSteps": keep_alive,
            },
        }
        return str(self.client("emr").run_job_flow(**request | changes)["JobFlowId"])

    def cluster(self, cluster_id: str) -> dict[str, Any]:
        """DescribeCluster's answer."""
        found: dict[str, Any] = self.client("emr").describe_cluster(ClusterId=cluster_id)["Cluster"]
        return found

    def cluster_state(self, cluster_id: str) -> str:
        """The cluster's state."""
        return str(self.cluster(cluster_id)["Status"]["State"])

    def await_cluster(self, cluster_id: str, *states: str) -> dict[str, Any]:
        """Wait until the cluster is in one of the states; DescribeCluster's status then."""
        until(lambda: self.cluster_state(cluster_id) in states, f"cluster {cluster_id} to be {' or '.join(states)}")
        status: dict[str, Any] = self.cluster(cluster_id)["Status"]
        return status

    def add_step(self, cluster_id: str, *arguments: str, on_failure: str = "CONTINUE") -> str:
        """Add a step of command-runner.jar; its id."""
        jar = {"Jar": "command-runner.jar", "Args": list(arguments)}
        step = {"Name": arguments[0], "ActionOnFailure": on_failure, "HadoopJarStep": jar}
        (step_id,) = self.client("emr").add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]
        return str(step_id)

    def step(self, cluster_id: str, step_id: str) -> dict[str, Any]:
        """DescribeStep's answer."""
        found: dict[str, Any] = self.client("emr").describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]
        return found

    def await_step(self, cluster_id: str, step_id: str) -> dict[str, Any]:
        """Wait until the step has ended; DescribeStep's answer then."""
        active = {"PENDING", "CANCEL_PENDING", "RUNNING"}
        until(lambda: self.step(cluster_id, step_id)["Status"]["State"] not in active, f"step {step_id} to end")
        return self.step(cluster_id, step_id)

    def await_log(self, cluster_id: str, path: str, text: str) -> None:
        """Until a log of the cluster holds the text: logs come bit by bit, the last of them after the end."""
        place = {"Bucket": "emr-cluster-spark-logs", "Key": f"test-emr-logs/{cluster_id}/{path}.gz"}

        def is_delivered() -> bool:
            try:
                body = self.client("s3").get_object(**place)["Body"].read()
            except ClientError:
                return False
            return text in gzip.decompress(body).decode()

        until(is_delivered, f"`{text}` in the log {path} of cluster {cluster_id}", seconds=60)

    def raw_files(self, day: date, folder: Path) -> list[str]:
        """The day's raw blocks, fetched into the folder; their paths."""
        s3 = self.client("s3")
        place = {"Bucket": "spark-job-data-source-1", "Prefix": f"data_source/shipment/ship_date={day}/block-"}
        files = []
        for entry in s3.list_objects_v2(**place)["Contents"]:
            file = folder / Path(entry["Key"]).name
            file.write_bytes(s3.get_object(Bucket=place["Bucket"], Key=entry["Key"])["Body"].read())
            files.append(str(file))
        return files

    def rows(self, table: str, day: date) -> list[dict[str, object]]:
        """The day's rows of a Delta table, as the oracle has them. Raises TableNotFoundError."""
        options = aws.LocalAccount(self.paths, self.ports).storage_options()
        opened = DeltaTable(f"s3://spark-job-data-output/{table}", storage_options=options)
        sql = f"SELECT * FROM day WHERE ship_date = DATE '{day}'"
        rows = read_back.rows_of(QueryBuilder().register("day", opened), sql)
        return [{column: _naive(value) for column, value in row.items()} for row in rows]

    def everything_running(self) -> list[str]:
        """Command lines of all that runs for this platform."""
        commands = []
        for process in processes.running(self.paths):
            with suppress(psutil.NoSuchProcess):
                commands.append(" ".join(process.cmdline()))
        return commands

    def drivers(self, verb: str) -> list[psutil.Process]:
        """The EMR drivers that flows have started with this verb."""
        found = []
        for process in processes.running(self.paths):
            with suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                if verb in command and any("drydock-driver" in word for word in command):
                    found.append(process)
        return found

    def step_processes(self) -> list[str]:
        """Command lines of all that a step has started."""
        return [command for command in self.everything_running() if any(mark in command for mark in STEP_MARKS)]

    def assert_nothing_runs(self) -> None:
        """No cluster lives, and no process of a step is left."""
        assert self.clusters() == []
        until(lambda: not self.step_processes(), "the step's processes to be gone", seconds=15)

    def assert_two_clusters_work_at_once(self) -> None:
        """Of three nodes each, none of them in both; they are ended."""
        clusters = [self.run_job_flow(name) for name in ("first", "second")]
        for cluster_id in clusters:
            self.await_cluster(cluster_id, "WAITING")
        assert [self.cluster_state(cluster_id) for cluster_id in clusters] == ["WAITING", "WAITING"]
        emr = self.client("emr")
        hosts = [
            instance["PrivateIpAddress"]
            for cluster_id in clusters
            for instance in emr.list_instances(ClusterId=cluster_id)["Instances"]
        ]
        assert len(set(hosts)) == len(hosts) == 6
        steps = [self.add_step(cluster_id, "spark-submit", "--version") for cluster_id in clusters]
        for cluster_id, step_id in zip(clusters, steps, strict=True):
            assert self.await_step(cluster_id, step_id)["Status"]["State"] == "COMPLETED"
        emr.terminate_job_flows(JobFlowIds=clusters)
        for cluster_id in clusters:
            self.await_cluster(cluster_id, "TERMINATED")

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DRYDOCK_HOME": str(self.paths.home),
            "DRYDOCK_PORT_OFFSET": str(self.ports.offset),
            "RUNTIME": self.runtime,
            "COLUMNS": "80",
        }


@contextmanager
def place_of_its_own() -> Iterator[Platform]:
    """A folder and ports for a platform of processes. At the end it is brought down, and nothing of it may be left."""
    with second_home() as paths:
        platform = Platform(paths, free_ports())
        try:
            yield platform
        finally:
            down = platform.drydock("local-down")
            left = platform.everything_running()
    assert down.returncode == 0, down.stdout
    assert left == []


def _naive(value: object) -> object:
    """Timestamps in UTC, without saying so."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
