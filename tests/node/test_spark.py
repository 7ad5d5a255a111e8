"""Spark on three real nodes: a master and two workers. The tests share the fleet and build on its one cluster."""

import json
import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest

from drydock_emr.node_protocol import BootstrapAction, CancelOption, Configuration, LeaseState, Phase
from tests.node.rig import Node
from tests.node.surroundings import BUCKET, PATHS, SPARK_SECRET, Gateway
from tests.running import wait_for

CLUSTER = "j-SPARK"
STEP_SECONDS = 180  # a driver alone takes 20 s on two busy cores

HOSTS = """
import json, sys
import marker
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("hosts").getOrCreate()

def where(_):
    import os, socket, sys
    from pyspark import TaskContext
    import marker
    yield (os.environ["LOCAL_DIRS"], sys.executable, marker.WORD)

lines = spark.read.text(sys.argv[1])
assert lines.count() == 3
lines.write.mode("overwrite").text(sys.argv[2])
seen = set(spark.sparkContext.parallelize(range(16), 16).mapPartitions(where).collect())
executors = {str(e.host()) for e in spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()}
print(json.dumps({"seen": sorted(seen), "executors": sorted(executors), "arguments": sys.argv[1:],
                  "shuffle": spark.conf.get("spark.sql.shuffle.partitions"), "driver": marker.WORD}))
spark.stop()
"""

HANGS = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("hangs").getOrCreate()
open("running", "w").close()
spark.sparkContext.parallelize(range(8), 8).foreach(lambda _: __import__("time").sleep(1000))
"""


@pytest.fixture(scope="module")
def cluster(fleet: list[Node], gateway: Gateway) -> Iterator[list[Node]]:
    install = gateway.put(
        "bootstrap/marker.sh",
        "#!/bin/bash\nsudo python3.11 -c 'import sysconfig; "
        'open(sysconfig.get_path("purelib") + "/marker.py", "w").write("WORD = 42")\'\n',
    )
    configurations = (
        Configuration(classification="spark-defaults", properties={"spark.sql.shuffle.partitions": "3"}),
        Configuration(classification="spark-defaults", properties={"spark.executor.memory": "1g"}),
    )
    for node in fleet:
        node.join(
            CLUSTER,
            master=fleet[0],
            bootstrap_actions=(BootstrapAction(name="marker", path=install),),
            configurations=configurations,
        )
    for node in fleet:
        node.await_report(lambda report: report.phase is Phase.READY, "to be READY", 60)
    yield fleet
    for node in fleet:
        node.leave()


def page(node: Node) -> dict:
    return httpx.get(f"http://127.0.0.1:{node.ui_port}/json/", trust_env=False, timeout=10).json()


def step_log(gateway: Gateway, step_id: str, name: str) -> str:
    return gateway.log(f"logs/{CLUSTER}/steps/{step_id}/{name}.gz")


def test_workers_are_started_when_their_master_listens(fleet: list[Node]) -> None:
    """One that finds nobody would try again after 5 to 15 s only."""
    for worker in fleet[1:]:
        said = (worker.scratch / "tenancy/log/daemons/spark-worker/stderr").read_text()
        assert "Successfully registered with master" in said
        assert "Failed to connect to master" not in said
        assert "Retrying connection to master" not in said


def test_a_cluster_joins_without_a_restart(cluster: list[Node]) -> None:
    for node in cluster:
        assert node.report.tenancy == 1
        assert node.log.count("is starting") == 1


@pytest.mark.full  # tests/platform/test_emr_api.py sees the same on a whole platform
def test_executors_run_on_both_core_nodes_in_the_clusters_python(cluster: list[Node], gateway: Gateway) -> None:
    master, *cores = cluster
    script = gateway.put("jobs/hosts.py", HOSTS)
    source = gateway.put("input/lines.txt", "a\nb\nc\n")
    target = f"s3://{BUCKET}/output/lines"
    awkward = "a 'quoted' \"ü\" $HOME"
    command = ("spark-submit", "--master", "yarn", "--deploy-mode", "cluster", script, source, target, awkward)
    master.lease("s-HOSTS", *command)
    report = master.await_lease("s-HOSTS", seconds=STEP_SECONDS)
    wait_for(lambda: "Command exiting" in step_log(gateway, "s-HOSTS", "stderr"), "the step's stderr")
    assert report.exit_code == 0, step_log(gateway, "s-HOSTS", "stderr")[-5000:]
    told = json.loads(step_log(gateway, "s-HOSTS", "stdout"))
    assert {host for host in told["executors"] if host != master.host} == {core.host for core in cores}
    assert {folder for folder, _, _ in told["seen"]} == {str(core.scratch / "tenancy/tmp") for core in cores}
    assert {python for _, python, _ in told["seen"]} == {
        str(core.scratch / "tenancy/python/bin/python3.11") for core in cores
    }
    assert {word for _, _, word in told["seen"]} == {42}
    assert told["arguments"] == [source, target, awkward]
    assert told["shuffle"] == "3"
    assert "output/lines/_SUCCESS" in gateway.keys("output/lines")
    wait_for(lambda: "Step succeeded" in step_log(gateway, "s-HOSTS", "controller"), "the controller log")
    controller = step_log(gateway, "s-HOSTS", "controller")
    assert (
        f"--master yarn: there is no YARN here; the step runs on Spark's standalone master {master.master_url}"
        in controller
    )
    assert "--deploy-mode cluster" in controller
    executors = f"logs/{CLUSTER}/node/i-{cores[0].name}/applications/spark/"
    wait_for(lambda: any(key.endswith("/stderr.gz") for key in gateway.keys(executors)), "the executors' logs")
    assert list((master.home / "spark-events").iterdir())


def test_the_secret_is_in_no_command_line_and_no_log(cluster: list[Node], gateway: Gateway) -> None:
    assert not [process for process in psutil.process_iter() if SPARK_SECRET in " ".join(_command(process))]
    for key in gateway.keys(f"logs/{CLUSTER}/"):
        assert SPARK_SECRET not in gateway.log(key), key
    for file in (cluster[0].home / "spark-events").rglob("*"):
        assert not file.is_file() or SPARK_SECRET.encode() not in file.read_bytes()


@pytest.fixture(scope="module")
def hanging(cluster: list[Node]) -> Node:
    """The master, with an application of step s-HANGS that keeps both executors busy."""
    master, *cores = cluster
    (master.home / "hangs.py").write_text(HANGS)
    master.lease("s-HANGS", "spark-submit", str(master.home / "hangs.py"))
    running = master.scratch / "tenancy/lib/steps/s-HANGS/running"
    wait_for(running.exists, "the application to run", STEP_SECONDS)
    wait_for(lambda: len(_executors(cores)) == 2, "two executors", STEP_SECONDS)
    return master


def test_drivers_executors_and_daemons_run_from_the_class_archive(hanging: Node, cluster: list[Node]) -> None:
    """`-Xshare:auto` is silent about an archive that is of no use; a JVM's memory map is not."""
    for node, program in (
        (hanging, "SparkSubmit"),
        (cluster[1], "CoarseGrainedExecutorBackend"),
        (cluster[0], "deploy.master.Master"),
        (cluster[1], "deploy.worker.Worker"),
    ):
        jvm, *_ = [process for process in node.processes() if program in " ".join(_command(process))]
        assert str(PATHS.cds_archive) in {mapping.path for mapping in jvm.memory_maps()}, program


def test_killing_a_step_ends_its_executors(hanging: Node, cluster: list[Node]) -> None:
    executors = _executors(cluster[1:])
    hanging.cancel("s-HANGS", CancelOption.TERMINATE_PROCESS)
    assert hanging.await_lease("s-HANGS", seconds=15).state is LeaseState.EXITED
    wait_for(lambda: not any(process.is_running() for process in executors), "the executors to be gone", 20)


def test_a_daemon_that_dies_is_started_again_on_its_port(cluster: list[Node]) -> None:
    master, worker = cluster[0], cluster[1]
    (daemon,) = [process for process in worker.processes() if "deploy.worker.Worker" in " ".join(_command(process))]
    daemon.send_signal(signal.SIGKILL)
    master.await_report(lambda report: report.alive_workers == 1, "to miss a worker", 30)
    master.await_report(lambda report: report.alive_workers == 2, "to have both again", 120)
    assert page(worker)["id"].endswith(f"-{worker.host}-{worker.rpc_port}")


def test_a_killed_node_adopts_its_daemon(cluster: list[Node]) -> None:
    worker = cluster[2]
    identity = page(worker)["id"]
    worker.kill()
    worker.control_plane.reports.pop(worker.name)
    worker.start()
    worker.await_report(lambda report: report.phase is Phase.READY, "to be READY again", 30)
    assert page(worker)["id"] == identity
    assert worker.report.tenancy == 1


def test_a_new_tenancy_restarts_daemons_and_wipes(cluster: list[Node]) -> None:
    before = {node.name: set(node.processes()) for node in cluster}
    for node in cluster:
        node.leave()
    for node in cluster:
        node.await_report(lambda report: report.tenancy == 2 and report.phase is Phase.IDLE, "to be IDLE", 180)
        assert not [process for process in before[node.name] if process.is_running()]
        assert not (node.scratch / "tenancy/spark/submit.json").exists()
        assert not list((node.scratch / "tenancy/work").glob("app-*"))
    cluster[0].await_report(lambda report: report.alive_workers == 2, "two workers ALIVE", 60)


def _executors(nodes: list[Node]) -> list[psutil.Process]:
    everything = [process for node in nodes for process in node.processes()]
    return [process for process in everything if "CoarseGrainedExecutorBackend" in " ".join(_command(process))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
