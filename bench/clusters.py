"""How long the local EMR takes for a cluster and for a step, and what the idle platform costs, as Markdown tables.

    .drydock/envs/workspace/bin/python bench/clusters.py

`make bench` runs it. It starts a platform of its own beside yours, and ends it again. Each round goes through the
gateway, as any client's would: a cluster of one master and two cores on nodes that have rested, a few steps one after
the other, the end. Times are a client's: from its request to the answer that shows the new state, asking twenty times
a second.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from emr_api import machine
from processor_time import process_tree, processor_seconds
from step_phases import seconds_of_phases

from drydock import aws, health, processes, settings, supervision
from drydock.second_home import free_ports, second_home
from drydock.settings import PROCESS
from drydock.site import INPUT_BUCKET, PLATFORM_CONFIG_URI
from drydock_driver import creation, platform_config
from drydock_driver.cluster import JobRun

PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 300
IDLE_SECONDS = 30
PROGRAM = f"s3://{INPUT_BUCKET}/spark_app/submitted/bench.py"
PROGRAM_TEXT = b"""
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
assert spark.range(1000).count() == 1000
spark.stop()
"""
SPARK_STEP = "a step that counts 1,000 rows by `spark-submit`"
STEPS = {"a step that runs `true`": ["true"], SPARK_STEP: ["spark-submit", PROGRAM]}


@dataclass
class Platform:
    """A running platform that nobody else uses, and what was measured on it: seconds by what they were spent on."""

    paths: settings.Paths
    ports: settings.Ports
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    phases: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of the Spark step's seconds

    def __post_init__(self) -> None:
        self._emr = aws.operator_client("emr", self.paths, self.ports)
        self._s3 = aws.operator_client("s3", self.paths, self.ports)
        self._described = platform_config.load(self._s3, PLATFORM_CONFIG_URI)
        bucket, _, key = PROGRAM.removeprefix("s3://").partition("/")
        self._s3.put_object(Bucket=bucket, Key=key, Body=PROGRAM_TEXT)

    def round(self, number: int, *, bootstrapped: bool) -> None:
        """One cluster's life. `bootstrapped`: with the bootstrap action that the shipments' clusters have."""
        self.await_rest()
        request = creation.request(self._described, JobRun("bench", date(2026, 1, 1), f"{number}"), {})
        if not bootstrapped:
            request["BootstrapActions"] = []
        name = f"RunJobFlow to WAITING, {'with the bootstrap action' if bootstrapped else 'no bootstrap action'}"
        began = time.monotonic()
        cluster_id = self._emr.run_job_flow(**request)["JobFlowId"]
        self._await(partial(self._cluster_state, cluster_id), {"WAITING"})
        self.seconds[name].append(time.monotonic() - began)
        if not bootstrapped:
            for what, arguments in STEPS.items():
                jar = {"Jar": "command-runner.jar", "Args": arguments}
                step = {"Name": what, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
                began = time.monotonic()
                (step_id,) = self._emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]
                self._await(partial(self._step_state, cluster_id, step_id), {"COMPLETED"})
                self.seconds[what].append(time.monotonic() - began)
                if what == SPARK_STEP:
                    self._look_into_step(time.time() - self.seconds[what][-1], time.time())
        began = time.monotonic()
        self._emr.terminate_job_flows(JobFlowIds=[cluster_id])
        self._await(partial(self._cluster_state, cluster_id), {"TERMINATED"})
        self.seconds["TerminateJobFlows to TERMINATED, logs delivered"].append(time.monotonic() - began)
        self.await_rest()
        self.seconds["TerminateJobFlows to nodes that have rested"].append(time.monotonic() - began)

    def _look_into_step(self, began: float, ended: float) -> None:
        newest = max(self.paths.event_logs.iterdir(), key=lambda log: log.stat().st_mtime)
        for phase, seconds in seconds_of_phases(newest, began, ended).items():
            self.phases[phase].append(seconds)

    def await_rest(self) -> None:
        """Wait until every node is clean, its Spark daemon new, and no cluster has it."""

        def phases() -> str:
            reports = health.node_reports(self.paths, self.ports.emr_url)
            return " ".join(sorted({report["phase"] for report in reports}))

        self._await(phases, {"IDLE"})

    @property
    def spark_defaults(self) -> dict[str, str]:
        """What the platform's clusters are created with."""
        (properties,) = (
            one["properties"] for one in self._described.configurations if one["classification"] == "spark-defaults"
        )
        return dict(properties)

    def _cluster_state(self, cluster_id: str) -> str:
        return str(self._emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"])

    def _step_state(self, cluster_id: str, step_id: str) -> str:
        return str(self._emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]["State"])

    def _await(self, state: Callable[[], str], wanted: set[str]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := state()) not in wanted:
            if time.monotonic() > deadline or "FAILED" in found or "ERRORS" in found:
                raise RuntimeError(f"It is {found}, not {' or '.join(sorted(wanted))}.")
            time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True)
class Cost:
    """Of a service with all its children while nothing is asked of it."""

    service: str
    memory_mib: float  # proportional set size: what several processes share counts once
    processor_percent: float  # of one core


def main() -> None:
    arguments = _arguments()
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f} at first.\n", flush=True)
    with running_platform() as platform:
        platform.await_rest()
        costs = idle_costs(platform)
        for number in range(arguments.rounds):
            platform.round(number, bootstrapped=False)
        for number in range(arguments.rounds):
            platform.round(arguments.rounds + number, bootstrapped=True)
    print("| the idle platform | memory MiB | of one core |\n|---|--:|--:|")
    for cost in costs:
        print(f"| {cost.service} | {cost.memory_mib:.0f} | {cost.processor_percent:.1f} % |")
    memory, processor = sum(cost.memory_mib for cost in costs), sum(cost.processor_percent for cost in costs)
    print(f"| **all** | **{memory:.0f}** | **{processor:.1f} %** |\n")
    for title, measured in (("seconds", platform.seconds), ("of the Spark step's seconds", platform.phases)):
        print(f"| {title} | median | least | most | times |\n|---|--:|--:|--:|--:|")
        for what, seconds in measured.items():
            figures = (statistics.median(seconds), min(seconds), max(seconds))
            print(f"| {what} | {' | '.join(f'{figure:.1f}' for figure in figures)} | {len(seconds)} |")
        print()


@contextmanager
def running_platform() -> Iterator[Platform]:
    """A platform in a home and at ports of its own, for as long as the context lasts."""
    with second_home() as paths:
        ports = free_ports()
        variables = {
            "DRYDOCK_HOME": str(paths.home),
            "DRYDOCK_PORT_OFFSET": str(ports.offset),
            "DRYDOCK_SCHEDULES": "off",
            "RUNTIME": PROCESS,
        }
        drydock = [sys.executable, "-m", "drydock.cli"]
        try:
            subprocess.run([*drydock, "local-up"], env={**os.environ, **variables}, check=True, stdout=sys.stderr)
            yield Platform(paths, ports)
        finally:
            subprocess.run([*drydock, "local-down"], env={**os.environ, **variables}, check=True, stdout=sys.stderr)


def idle_costs(platform: Platform) -> list[Cost]:
    """What each service, and what starts them, costs for half a minute in which nothing is asked of them."""
    supervisor = supervision.Supervisor(platform.paths)
    trees = {name: process_tree(pid) for name, pid in supervisor.service_pids().items()}
    known = {process for tree in trees.values() for process in tree}
    trees["the rest"] = [process for process in processes.running(platform.paths) if process not in known]
    before = {name: sum(map(processor_seconds, tree)) for name, tree in trees.items()}
    time.sleep(IDLE_SECONDS)
    return [
        Cost(
            name,
            sum(process.memory_full_info().pss for process in tree) / 2**20,
            100 * (sum(map(processor_seconds, tree)) - before[name]) / IDLE_SECONDS,
        )
        for name, tree in trees.items()
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="clusters without, and as many with the bootstrap action")
    return parser.parse_args()


if __name__ == "__main__":
    main()
