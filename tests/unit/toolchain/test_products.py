"""What `make setup` has made: SPARK_HOME, the class archive, the jobs' wheels, the Java they need."""

import os
import re
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import cds, jars, java, spark_home, wheels

PATHS = settings.Paths()


def jar_names() -> list[str]:
    return [file.name for file in (spark_home.spark_home(PATHS) / "jars").glob("*.jar")]


def test_spark_has_every_locked_jar_as_it_was_locked():
    for jar in jars.SPARK.locked():
        assert jars.sha256(spark_home.spark_home(PATHS) / "jars" / jar.file_name) == jar.sha256, jar


def test_no_hadoop_client_but_the_release_s_is_left():
    clients = {name for name in jar_names() if name.startswith("hadoop-client")}
    hadoop = settings.versions()["jars"]["hadoop"]
    assert clients == {f"hadoop-client-api-{hadoop}.jar", f"hadoop-client-runtime-{hadoop}.jar"}


def test_no_locked_jar_stands_beside_another_version_of_it():
    namesakes = {"annotations-17.0.0.jar"}  # JetBrains's, not the SDK's
    for jar in jars.SPARK.locked():
        same = {name for name in jar_names() if re.match(rf"{re.escape(jar.artifact)}-\d", name)}
        assert same - namesakes == {jar.file_name}


def test_what_the_configuration_names_can_be_loaded():
    folder = spark_home.spark_home(PATHS) / "jars"
    classes = {
        f"hadoop-aws-{settings.versions()['jars']['hadoop']}.jar": "org/apache/hadoop/fs/s3a/S3AFileSystem.class",
        f"delta-spark_2.12-{settings.versions()['jars']['delta']}.jar": "io/delta/sql/DeltaSparkSessionExtension.class",
    }
    for jar, name in classes.items():
        with ZipFile(folder / jar) as archive:
            assert name in archive.namelist()


def test_the_log_store_is_what_the_session_names():
    with ZipFile(PATHS.log_store) as jar:
        assert "drydock/delta/ConditionalS3LogStore.class" in jar.namelist()
    session = (settings.REPOSITORY / "spark" / "shipments" / "session.py").read_text()
    assert '"spark.delta.logStore.s3.impl", "drydock.delta.ConditionalS3LogStore"' in session


def test_a_spark_that_is_not_there_is_a_sentence(tmp_path: Path):
    with pytest.raises(SetupError, match="Run `make setup`"):
        spark_home.spark_home(settings.Paths(home=tmp_path))


def test_java_is_the_release_s():
    said = subprocess.run([java.SPARK.home(PATHS) / "bin" / "java", "-version"], capture_output=True, text=True)
    assert re.search(rf'version "{java.SPARK.required}\.', said.stderr)


def submit_version(share: str, log: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`spark-submit --version`, the shortest program with the driver's class path."""
    options = f"-XX:SharedArchiveFile={PATHS.cds_archive} -Xshare:{share} -Xlog:class+load:file={log}"
    return subprocess.run(
        [spark_home.spark_home(PATHS) / "bin" / "spark-submit", "--version"],
        env={**cds.environment(PATHS, options), **variables},
        capture_output=True,
        text=True,
    )


def test_the_driver_s_classes_come_from_the_archive(tmp_path: Path):
    log = tmp_path / "classes.log"
    result = submit_version("on", log)
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.findall(r"(org\.apache\.spark\.\S+) source: (.*)", log.read_text())
    loaded = {name: source for name, source in found if "$$Lambda" not in name}  # made while running, never archived
    assert "org.apache.spark.deploy.SparkSubmit" in loaded
    assert {name for name, source in loaded.items() if source != "shared objects file (top)"} == set()


def test_another_configuration_folder_is_a_mismatch(tmp_path: Path):
    """Why SPARK_CONF_DIR stays unset; and proof that `-Xshare:on` would notice an archive that is of no use."""
    result = submit_version("on", tmp_path / "classes.log", SPARK_CONF_DIR=str(tmp_path))
    assert result.returncode != 0
    assert "shared class paths mismatch" in result.stdout + result.stderr


def test_the_wheels_are_the_jobs_lock_for_emr_s_machines():
    python = settings.versions()["emr"]["python"].replace(".", "")
    lines = re.findall(r"^([a-z0-9].*?) *\\$", wheels.LOCK.read_text(), re.MULTILINE)
    locked = {
        (wanted.name, str(wanted.specifier).removeprefix("=="))
        for wanted in map(Requirement, lines)
        if wanted.marker is None or wanted.marker.evaluate()
    }
    assert {"faker", "numpy", "pyarrow"} <= {name for name, _ in locked}
    found = set()
    for file in PATHS.wheels.glob("*.whl"):
        name, version, _, tags = parse_wheel_filename(file.name)
        found.add((str(name), str(version)))
        assert {tag.platform for tag in tags} & {"any", *wheels.PLATFORMS}, file.name
        assert {tag.interpreter for tag in tags} & {f"cp{python}", "py3"} or {"abi3"} & {tag.abi for tag in tags}
        assert jars.sha256(file) in wheels.LOCK.read_text(), file.name
    assert found == locked
    assert (PATHS.wheels / "requirements.txt").read_bytes() == wheels.LOCK.read_bytes()


def test_no_wheel_asks_for_a_newer_glibc_than_amazon_linux_2023_has():
    minors = [int(match[1]) for name in wheels.PLATFORMS if (match := re.search(r"manylinux_2_(\d+)_", name))]
    assert max(minors) == 34


def test_a_node_can_install_them_without_a_network(tmp_path: Path):
    pip = [PATHS.environment("workspace") / "bin" / "python", "-m", "pip", "install", "--isolated", "--quiet"]
    result = subprocess.run(
        [
            *(*pip, "--no-index", "--find-links", PATHS.wheels, "--require-hashes", "--dry-run", "--ignore-installed"),
            *("--target", tmp_path, "--requirement", PATHS.wheels / "requirements.txt"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
