"""Delta's log on S3 with several writers: of those that race for a version one wins, and it is told so.

At the level of the log store, since a race of whole Spark jobs hides a lost update behind their other seconds. Each
writer is a JVM of its own.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import py4j.java_gateway
import py4j.protocol
import pytest
from local_s3 import REPOSITORY, client, hadoop_settings, way_to
from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JJavaError
from pyspark.java_gateway import launch_gateway

VERSIONS = 40
ALREADY_EXISTS = "java.nio.file.FileAlreadyExistsException"


class Writer:
    """A JVM with a log store that speaks to S3 at `endpoint`."""

    def __init__(self, java: JavaGateway, endpoint: str) -> None:
        self._java = java
        self._configuration = java.jvm.org.apache.hadoop.conf.Configuration()
        self._configuration.set("fs.s3.impl.disable.cache", "true")  # each writer of a JVM has its own endpoint
        for name, value in hadoop_settings(endpoint).items():
            self._configuration.set(name, value)
        self._store = java.jvm.drydock.delta.ConditionalS3LogStore(self._configuration)

    def write(self, uri: str, *lines: str, overwrite: bool = False) -> None:
        """Write a version. Raises FileExistsError when somebody else has."""
        actions = self._java.jvm.java.util.ArrayList()
        for line in lines:
            actions.add(line)
        try:
            self._store.write(self._path(uri), actions.iterator(), overwrite, self._configuration)
        except Py4JJavaError as error:
            if error.java_exception.getClass().getName() == ALREADY_EXISTS:
                raise FileExistsError(uri) from None
            raise

    def read(self, uri: str) -> list[str]:
        lines = self._store.read(self._path(uri), self._configuration)
        try:
            return list(lines)
        finally:
            lines.close()

    def names_from(self, uri: str) -> list[str]:
        """Names of the files beside `uri` that come after it or are it."""
        return [status.getPath().getName() for status in self._store.listFrom(self._path(uri), self._configuration)]

    def _path(self, uri: str) -> Any:
        return self._java.jvm.org.apache.hadoop.fs.Path(uri)


@pytest.fixture(scope="module")
def jvms(spark_environment: dict[str, str]) -> Iterator[list[JavaGateway]]:
    """Two of them, with the jar as set-up makes it and no Spark session."""
    home = Path(os.environ.get("DRYDOCK_HOME") or REPOSITORY / ".drydock")
    jar = home / "log-store" / "delta-log-store.jar"
    assert jar.is_file(), f"{jar} is not there: run `make test`, which prepares it."
    former = dict(os.environ)
    arguments = spark_environment["PYSPARK_SUBMIT_ARGS"].replace("pyspark-shell", "")
    os.environ.update(
        spark_environment | {"PYSPARK_SUBMIT_ARGS": f"{arguments} --driver-class-path {jar} pyspark-shell"}
    )
    gateways = []
    try:
        gateways += [launch_gateway() for _ in range(2)]
        yield gateways
    finally:
        os.environ.clear()
        os.environ.update(former)
        for gateway in gateways:
            gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait(30)


@pytest.fixture(autouse=True)
def plain_py4j(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Spark session of an earlier test has py4j look every exception up in the session's JVM."""
    monkeypatch.setattr(py4j.java_gateway, "get_return_value", py4j.protocol.get_return_value)


@pytest.fixture
def log(s3_endpoint: str) -> str:
    """The URI of a table's log that has no version yet."""
    bucket = f"log-{uuid.uuid4().hex}"
    client(s3_endpoint).create_bucket(Bucket=bucket)
    return f"s3://{bucket}/table/_delta_log"


def test_of_two_that_race_for_a_version_one_wins(jvms: list[JavaGateway], s3_endpoint: str, log: str) -> None:
    writers = [Writer(jvm, s3_endpoint) for jvm in jvms]
    together = threading.Barrier(len(writers))

    def commit(number: int) -> list[int]:
        """The versions that this writer was told to have made."""
        made = []
        for version in range(VERSIONS):
            together.wait(60)
            with suppress(FileExistsError):
                writers[number].write(_version(log, version), f"writer {number}")
                made.append(version)
        return made

    with ThreadPoolExecutor(len(writers)) as pool:
        made = list(pool.map(commit, range(len(writers))))
    assert sorted(made[0] + made[1]) == list(range(VERSIONS))
    for number, versions in enumerate(made):
        for version in versions:
            assert writers[0].read(_version(log, version)) == [f"writer {number}"]


def test_a_version_is_read_as_it_was_written_and_listed(jvms: list[JavaGateway], s3_endpoint: str, log: str) -> None:
    writer = Writer(jvms[0], s3_endpoint)
    for version in range(3):
        writer.write(_version(log, version), f'{{"version": {version}}}', "Füße 🚢")
    assert writer.read(_version(log, 1)) == ['{"version": 1}', "Füße 🚢"]
    assert writer.names_from(_version(log, 1)) == [f"{version:020}.json" for version in (1, 2)]
    with pytest.raises(FileExistsError):
        writer.write(_version(log, 1), "mine")
    writer.write(_version(log, 1), "mine", overwrite=True)
    assert writer.read(_version(log, 1)) == ["mine"]


def test_a_file_of_another_store_is_a_conflict(jvms: list[JavaGateway], s3_endpoint: str, log: str) -> None:
    bucket, _, key = _version(log, 0).removeprefix("s3://").partition("/")
    client(s3_endpoint).put_object(Bucket=bucket, Key=key, Body=b"theirs\n")
    with pytest.raises(FileExistsError):
        Writer(jvms[0], s3_endpoint).write(_version(log, 0), "mine")
    assert Writer(jvms[0], s3_endpoint).read(_version(log, 0)) == ["theirs"]


def test_a_repeated_put_knows_its_own_file(jvms: list[JavaGateway], s3_endpoint: str, log: str) -> None:
    """The first PUT succeeds, its answer is lost, and the SDK sends it once more."""
    with way_to(s3_endpoint, answer_lost=lambda puts: puts == 1) as (way, answers):
        Writer(jvms[0], way).write(_version(log, 0), "mine")
    assert answers == [200, 412]
    assert Writer(jvms[0], s3_endpoint).read(_version(log, 0)) == ["mine"]


def test_a_repeated_put_knows_anothers_file(jvms: list[JavaGateway], s3_endpoint: str, log: str) -> None:
    Writer(jvms[0], s3_endpoint).write(_version(log, 0), "theirs")
    with (
        way_to(s3_endpoint, answer_lost=lambda puts: puts == 1) as (way, answers),
        pytest.raises(FileExistsError),
    ):
        Writer(jvms[0], way).write(_version(log, 0), "mine")
    assert answers == [412, 412]
    assert Writer(jvms[0], s3_endpoint).read(_version(log, 0)) == ["theirs"]


def test_a_bucket_that_is_not_there_is_no_conflict(jvms: list[JavaGateway], s3_endpoint: str) -> None:
    with pytest.raises(Py4JJavaError, match=r"NoSuchBucket|does not exist"):
        Writer(jvms[0], s3_endpoint).write(_version("s3://no-such-bucket/table/_delta_log", 0), "mine")


def _version(log: str, version: int) -> str:
    return f"{log}/{version:020}.json"
