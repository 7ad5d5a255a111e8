"""A Spark session as the jobs open it, on local disk, in UTC, with the EMR release's jars; and days of raw data."""

import datetime as dt
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SPARK_FOLDER = REPOSITORY / "spark"
sys.path[:0] = [str(SPARK_FOLDER), str(Path(__file__).parent)]

import local_s3  # noqa: E402

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_configure(config: pytest.Config) -> None:
    # PySpark leaves the sockets, over which it collects results, to the garbage collector.
    ignored = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
    config.addinivalue_line("filterwarnings", ignored)


def _spark_environment(scratch: Path) -> dict[str, str]:
    home = Path(os.environ.get("DRYDOCK_HOME") or REPOSITORY / ".drydock")
    spark_home = home / "spark"
    if not any(spark_home.glob("jars/delta-spark_*.jar")):
        pytest.fail(f"{spark_home} has no Delta jar: run `make test`, which prepares it.", pytrace=False)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
    }
    # A session of minutes is over before the JVM's second compiler has paid for itself. (The first one alone has
    # room for 48 MB of code by default, and Spark's is compiled again and again.)
    settings["spark.driver.extraJavaOptions"] = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
    arguments = " ".join(f"--conf {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
    return {
        "TZ": "UTC",
        "SPARK_HOME": str(spark_home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(SPARK_FOLDER),  # of the Python workers; spark-submit's --py-files in a cluster
        "PYSPARK_SUBMIT_ARGS": f"--master local[2] {arguments} pyspark-shell",
    }


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    os.environ.update(_spark_environment(tmp_path_factory.mktemp("spark")))
    time.tzset()
    from shipments.session import open_session

    session = open_session("tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a test starts a job as a process of its own."""
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    return passed_on | _spark_environment(tmp_path_factory.mktemp("spark-process"))


@pytest.fixture(scope="session")
def make_day(spark: "SparkSession") -> Callable[..., Any]:
    """`make_day(source, date, rows=…, seed=…, broken_share=…)` generates a raw day and returns its manifest."""
    from shipments.generation import Order, generate

    def make(source: str, date: dt.date, rows: int, seed: int = 42, broken_share: float = 0.05) -> Any:
        return generate(spark, Order(date, rows, source, seed, broken_share))

    return make


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway, with S3 alone: it checks signatures as AWS does."""
    with local_s3.running(tmp_path_factory.mktemp("gateway")) as url:
        yield url
