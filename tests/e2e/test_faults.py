"""Faults while a day is processed: it ends rightly or it is told that it has not, and the next run makes it good."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from testcontainers.compose import DockerCompose

from tests.e2e.containers import SERVICES, docker, inspected, kill_everything_in
from tests.platform.platform_rig import Platform, until
from tests.spark import oracle

pytestmark = pytest.mark.full

DAY = date(2026, 5, 9)  # far from the days of other tests, whose figures its own would count
ROWS = 2000
WORKER = "spark-worker-1"

Fault = Callable[[DockerCompose, str], AbstractContextManager[None]]


@contextmanager
def killed(containers: DockerCompose, service: str) -> Iterator[None]:
    """All its processes at once; Docker starts it again."""
    kill_everything_in(containers.get_container(service))
    yield


@contextmanager
def cut_off(containers: DockerCompose, service: str) -> Iterator[None]:
    """Its cable pulled, and plugged in again at last."""
    container = containers.get_container(service)
    (network,) = inspected(container, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}").split()
    docker("network", "disconnect", network, str(container.ID))
    try:
        yield
    finally:
        docker("network", "connect", f"--alias={service}", network, str(container.ID))


@contextmanager
def full(containers: DockerCompose, service: str) -> Iterator[None]:
    """Not a byte is left in its scratch."""
    container = str(containers.get_container(service).ID)
    fill = ["docker", "exec", container, "dd", "if=/dev/zero", "of=/scratch/filling", "bs=1M"]
    try:
        subprocess.run(fill, capture_output=True, check=False)
        assert docker("exec", container, "df", "--output=avail", "/scratch").split()[-1] == "0"
        yield
    finally:
        docker("exec", container, "rm", "/scratch/filling")


@pytest.mark.parametrize(
    ("fault", "service"),
    [
        (killed, WORKER),
        (cut_off, WORKER),
        (full, WORKER),
        (killed, "spark-master"),
        (killed, "gateway"),
        (killed, "emr"),
        (killed, "postgres"),
        (killed, "kestra"),
    ],
)
def test_a_day_ends_rightly_or_says_why_not_and_the_next_run_makes_it_good(
    platform: Platform,
    containers: DockerCompose,
    fault: Fault,
    service: str,
    tmp_path: Path,
) -> None:
    run = platform.start("run", f"--date={DAY}", f"--rows={ROWS}")
    until(lambda: executes(platform, containers), "the processing's executors to work")
    with fault(containers, service):
        code = run.end()
        if code == 0:
            assert_right(platform, tmp_path)
        else:
            assert "Traceback" not in run.text
            assert "✗" in run.text, run.text
        until(lambda: is_idle(platform), "no cluster to be active", seconds=90)
    until(lambda: all_healthy(containers), "all to be healthy")
    again = platform.drydock("run", f"--date={DAY}", f"--rows={ROWS}")
    assert again.returncode == 0, again.stdout
    assert_right(platform, tmp_path)


def executes(platform: Platform, containers: DockerCompose) -> bool:
    """Whether a step of the processing runs, and an executor on the worker that is meant."""
    emr = platform.client("emr")
    for cluster in emr.list_clusters(ClusterStates=["RUNNING"])["Clusters"]:
        if "processing" in cluster["Name"] and emr.list_steps(ClusterId=cluster["Id"], StepStates=["RUNNING"])["Steps"]:
            shown = docker("top", str(containers.get_container(WORKER).ID), "-eo", "pid,args")
            return "CoarseGrainedExecutorBackend" in shown
    return False


def assert_right(platform: Platform, folder: Path) -> None:
    expected = oracle.expected_tables({DAY: platform.raw_files(DAY, folder)}, DAY)
    assert oracle.all_differences(expected, {table: platform.rows(table, DAY) for table in expected}) == []


def is_idle(platform: Platform) -> bool:
    try:
        return platform.clusters() == []
    except (BotoCoreError, ClientError):  # what was killed comes back
        return False


def all_healthy(containers: DockerCompose) -> bool:
    found = {each.Service: each.Health for each in containers.get_containers()}
    return found == dict.fromkeys(SERVICES, "healthy")
