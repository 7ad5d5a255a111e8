"""A cluster of one node, whose master runs the worker as well: what Spark's programs are given there and make of it.

The node was warm with a master alone; the cluster asks for a worker beside it, with an environment of its own.
"""

import io
import json
import tarfile
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from drydock_emr.node_protocol import Configuration, Daemons, LeaseReport, Phase
from tests.node.rig import Node
from tests.node.surroundings import BUCKET, PRIMARY, ControlPlane, Gateway
from tests.running import wait_for

# A minute and a half of processor time; what is mapped, refused and told is tested by its parts as well.
pytestmark = pytest.mark.full

CLUSTER = "j-ONE"
STEP_SECONDS = 180
WORKER_MEMORY_MIB = 2048
AWKWARD = "a 'b' \"c\"  two blanks; $HOME \\ *"
MAVEN = "$HOME/.m2/repository/example/tiny/1.0"

JOB = """
import json, sys
from pyspark import SparkFiles
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()

def on_executor(_):
    import os
    from pyspark import SparkFiles
    import shipped
    yield {
        "module": shipped.WORD,
        "file": open(SparkFiles.get("note.txt")).read(),
        "archive": open(SparkFiles.get("unpacked") + "/inside.txt").read(),
        "exported": os.environ.get("FROM_SPARK_ENV"),
    }

def resource(name):
    jvm = spark.sparkContext._jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    return loader.getResource(name) is not None

(executor,) = spark.sparkContext.parallelize([0], 1).mapPartitions(on_executor).collect()
import shipped
print(json.dumps({
    "arguments": sys.argv[1:],
    "name": spark.sparkContext.appName,
    "conf": spark.conf.get("spark.drydock.awkward"),
    "driver": {"module": shipped.WORD, "file": open(SparkFiles.get("note.txt")).read()},
    "executor": executor,
    "jars": resource("of-the-jar.txt"),
    "packages": resource("of-the-package.txt"),
    "nothing": resource("of-nothing.txt"),
    "home": spark.sparkContext._jvm.java.lang.System.getProperty("user.home"),
    "master": spark.sparkContext.master,
}))
spark.stop()
"""

WANTS_TOO_MUCH = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.config("spark.executor.memory", "100g").getOrCreate()
spark.sparkContext.parallelize([1]).count()
"""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, control_plane: ControlPlane, gateway: Gateway) -> Iterator[Node]:
    node = Node("one", "127.0.0.21", tmp_path_factory.mktemp("one"), control_plane, gateway.url)
    control_plane.assign(node.name, daemons=Daemons(master=True))
    node.start()
    try:
        node.await_report(lambda report: report.phase is Phase.IDLE, "to be IDLE", 120)
        exports = Configuration(classification="export", properties={"FROM_SPARK_ENV": "a value"})
        node.join(
            CLUSTER,
            groups=(PRIMARY,),
            configurations=(
                Configuration(classification="spark-env", configurations=(exports,)),
                Configuration(classification="spark-defaults", properties={"spark.executor.memory": "1g"}),
                Configuration(classification="spark-defaults", properties={"spark.executor.cores": "2"}),
            ),
            tenancy=2,
            daemons=Daemons(
                master=True, worker_of=node.master_url, worker_cores=2, worker_memory_mib=WORKER_MEMORY_MIB
            ),
        )
        node.await_report(lambda report: report.phase is Phase.READY and report.tenancy == 2, "to be READY", 180)
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def job(one: Node, gateway: Gateway) -> dict[str, Any]:
    """What a job says that was given all that spark-submit can be given, through S3, in YARN's words."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("inside.txt")
        entry.size = len(b"of the archive")
        tar.addfile(entry, io.BytesIO(b"of the archive"))
    modules = io.BytesIO()
    with zipfile.ZipFile(modules, "w") as packed:
        packed.writestr("shipped.py", "WORD = 'of the zip'\n")
    for key, body in (("one/data.tar.gz", archive), ("one/modules.zip", modules)):
        gateway.s3.put_object(Bucket=BUCKET, Key=key, Body=body.getvalue())
    jar = gateway.put_jar("one/tiny.jar", **{"of-the-jar.txt": "x"})
    package = gateway.put_jar("one/tiny-1.0.jar", **{"of-the-package.txt": "x"})
    pom = gateway.put(
        "one/tiny-1.0.pom",
        "<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>tiny</artifactId>"
        "<version>1.0</version></project>",
    )
    one.lease(
        "s-MAVEN", "bash", "-c", f'mkdir -p "{MAVEN}" && for f in {package} {pom}; do aws s3 cp $f "{MAVEN}/"; done'
    )
    assert one.await_lease("s-MAVEN", seconds=60).exit_code == 0
    one.lease(
        "s-JOB",
        "spark-submit",
        *("--master", "yarn", "--deploy-mode", "cluster", "--name", "a 'name' of \"words\""),
        *("--conf", f"spark.drydock.awkward={AWKWARD}", "--conf", "spark.yarn.queue=x"),
        *("--py-files", f"s3://{BUCKET}/one/modules.zip", "--jars", jar, "--packages", "example:tiny:1.0"),
        *("--files", gateway.put("one/note.txt", "of the file")),
        *("--archives", f"s3://{BUCKET}/one/data.tar.gz#unpacked"),
        gateway.put("one/job.py", JOB),
        *("", AWKWARD, "--master", "ü 日本"),
    )
    report = one.await_lease("s-JOB", seconds=STEP_SECONDS)
    assert report.exit_code == 0, _stderr(one, "s-JOB")
    # Ivy, which resolves packages, has said a line on stdout before, as it does everywhere.
    return json.loads((one.scratch / "tenancy/log/steps/s-JOB/stdout").read_text().splitlines()[-1])


def test_the_master_runs_the_worker_too(one: Node) -> None:
    one.await_report(lambda report: report.alive_workers == 1, "its own worker", 60)
    assert len(_daemons(one)) == 2
    information = json.loads((one.scratch / "tenancy/emr/mnt/var/lib/info/instance.json").read_text())
    assert information["isMaster"] is True
    assert information["isRunningNodeManager"] is True


def test_spark_env_restarts_the_daemons_with_its_variables(one: Node) -> None:
    assert [daemon.environ().get("FROM_SPARK_ENV") for daemon in _daemons(one)] == ["a value", "a value"]
    assert one.log.count("spark-master is starting") == 2


def test_spark_env_reaches_driver_and_executors(job: dict[str, Any]) -> None:
    assert job["executor"]["exported"] == "a value"


def test_arguments_of_the_job_arrive_byte_for_byte(job: dict[str, Any]) -> None:
    assert job["arguments"] == ["", AWKWARD, "--master", "ü 日本"]


def test_conf_and_name_keep_blanks_and_quotes(job: dict[str, Any]) -> None:
    assert job["conf"] == AWKWARD
    assert job["name"] == "a 'name' of \"words\""


def test_py_files_are_imported_by_driver_and_executors(job: dict[str, Any]) -> None:
    assert job["driver"]["module"] == job["executor"]["module"] == "of the zip"


def test_files_are_beside_driver_and_executors(job: dict[str, Any]) -> None:
    assert job["driver"]["file"] == job["executor"]["file"] == "of the file"


def test_archives_are_unpacked_on_executors(job: dict[str, Any]) -> None:
    assert job["executor"]["archive"] == "of the archive"


def test_jars_are_on_the_class_path(job: dict[str, Any]) -> None:
    assert (job["jars"], job["nothing"]) == (True, False)


def test_packages_are_resolved_in_the_clusters_own_home(one: Node, job: dict[str, Any]) -> None:
    home = one.scratch / "tenancy/home"
    assert job["packages"] is True
    assert job["home"] == str(home)
    assert (home / ".ivy2").is_dir()


def test_yarn_and_cluster_mode_are_mapped_and_said(one: Node, job: dict[str, Any], gateway: Gateway) -> None:
    assert job["master"] == one.master_url
    controller = f"logs/{CLUSTER}/steps/s-JOB/controller.gz"
    wait_for(lambda: "Step succeeded" in gateway.log(controller), "the controller log")
    for part in ("--master yarn: there is no YARN here", "--deploy-mode cluster: ", "spark.yarn.queue has no effect"):
        assert part in gateway.log(controller)


@pytest.mark.parametrize(
    ("step_id", "asked", "part"),
    [
        ("s-OPTION", ("--executor-memory", "100g"), "Required executor memory (102400 MB)"),
        ("s-CONF", ("--conf", "spark.executor.memory=2g"), "overhead (384 MB)"),  # 2 GiB of heap alone would fit
        ("s-CORES", ("--executor-cores=64",), "Required executor cores (64) is above the max threshold (2)"),
    ],
)
def test_executors_that_never_fit_are_refused_at_once(
    one: Node, step_id: str, asked: tuple[str, ...], part: str
) -> None:
    one.lease(step_id, "spark-submit", "--master", "yarn", *asked, "/no/such/job.py")
    report = one.await_lease(step_id)
    assert report.exit_code == 1
    assert part in report.failure.message
    assert "of this cluster!" in report.failure.message


def test_executors_that_a_job_asks_for_in_its_code_and_never_fit_end_it_within_a_minute(
    one: Node, gateway: Gateway
) -> None:
    began = time.time()
    one.lease("s-STRANDED", "spark-submit", gateway.put("one/wants.py", WANTS_TOO_MUCH))
    report: LeaseReport = one.await_lease("s-STRANDED", seconds=STEP_SECONDS)
    assert report.exit_code != 0
    assert "Required executor memory (102400 MB)" in report.failure.message
    assert "ask for less" in report.failure.message
    assert time.time() - began < 60 + 30  # a driver alone takes half a minute on two busy cores
    stderr = f"logs/{CLUSTER}/steps/s-STRANDED/stderr.gz"
    wait_for(lambda: "Required executor memory (102400 MB)" in gateway.log(stderr), "the step's stderr to say so")
    wait_for(lambda: not one.processes_of_step("s-STRANDED"), "nothing of it to run on")


def test_spark_sql_queries_s3(one: Node, gateway: Gateway) -> None:
    source = gateway.put("one/words.csv", "a,1\nb,2\n")
    one.lease("s-SQL", "spark-sql", "-S", "-e", f"select sum(_c1) + 39 from csv.`{source}`", "--master", "yarn")
    assert one.await_lease("s-SQL", seconds=STEP_SECONDS).exit_code == 0, _stderr(one, "s-SQL")
    assert (one.scratch / "tenancy/log/steps/s-SQL/stdout").read_text().split() == ["42.0"]


SCALA = 'println("sum " + sc.parallelize(1 to 9).sum)'
# Python does as it is told by PYTHONSTARTUP at a terminal only, so `sc` is not there, as it is not on EMR.
PYTHON = """
from pyspark.sql import SparkSession
print("sum", SparkSession.builder.getOrCreate().sparkContext.parallelize(range(10)).sum() + 0.0)
"""


@pytest.mark.parametrize(("shell", "program"), [("spark-shell", SCALA), ("pyspark", PYTHON)])
def test_shells_read_their_program(one: Node, shell: str, program: str) -> None:
    step_id = f"s-{shell}"
    one.lease(step_id, "bash", "-c", f'echo "$0" | {shell} --master yarn', program)
    assert one.await_lease(step_id, seconds=STEP_SECONDS).exit_code == 0, _stderr(one, step_id)
    assert "sum 45.0" in (one.scratch / f"tenancy/log/steps/{step_id}/stdout").read_text()


def _daemons(node: Node) -> list[psutil.Process]:
    return [process for process in node.processes() if "org.apache.spark.deploy." in " ".join(process.cmdline())]


def _stderr(node: Node, step_id: str) -> str:
    return (node.scratch / f"tenancy/log/steps/{step_id}/stderr").read_text()[-6000:]
