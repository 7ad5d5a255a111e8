"""What processor time the jobs take, the generator beside others, the processor beside DuckDB, as Markdown tables.

    .drydock/envs/workspace/bin/python bench/shipments_day.py --packages <site-packages of the environment `bench`>

`make bench` runs it, and makes the environment with dbldatagen first. Each program runs by itself, on two cores
(`local[2]`), from its start to its end: JVM, Spark's session and Python's workers count. The generator uploads to a
gateway that the benchmark starts, whose own share is shown beside. The processor reads and writes local files, as
DuckDB does, and writes the quarantine and Delta's logs on top of the five tables that both make; their tables have
to be equal.
"""

import argparse
import datetime as dt
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cost_chart
import duckdb
from clusters import Platform, running_platform
from duckdb_day import TABLES
from emr_api import machine
from processor_time import Cost, cost_of, process_tree, processor_seconds

from drydock import aws, env, settings, supervision
from drydock.site import INPUT_BUCKET
from drydock.test import environment

DATE = dt.date(2026, 3, 2)
BENCH = settings.REPOSITORY / "bench"
SPARK = settings.REPOSITORY / "spark"
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
FAKER_ROWS, DBLDATAGEN_ROWS = 20_000, 2_000_000


@dataclass(frozen=True)
class Programs:
    """How the programs are started, and where they put their files."""

    platform: Platform
    folder: Path
    packages: str

    def generate(self, rows: int) -> Cost:
        """The generator, which uploads the day."""
        generator = SPARK / "data_generator.py"
        return self._spark(generator, "--date", f"{DATE}", "--rows", f"{rows}", "--target", self.source)

    def process(self) -> Cost:
        """The processor, which makes its tables anew."""
        shutil.rmtree(self.folder / "spark", ignore_errors=True)
        places = ("--source", f"file://{self.folder}/raw", "--target", f"file://{self.folder}/spark")
        return self._spark(SPARK / "data_processor.py", "--date", f"{DATE}", *places)

    def duckdb(self) -> Cost:
        return self._run([sys.executable, BENCH / "duckdb_day.py", self.raw, self.folder / "duckdb"])

    def faker(self) -> Cost:
        python = self.platform.paths.environment("spark") / "bin" / "python"
        return self._run([python, BENCH / "spark" / "faker_day.py", f"{FAKER_ROWS}", self.source])

    def dbldatagen(self) -> Cost:
        target = f"file://{self.folder}/dbldatagen"
        return self._spark(BENCH / "spark" / "dbldatagen_day.py", f"{DBLDATAGEN_ROWS}", target, self.packages)

    @property
    def source(self) -> str:
        return f"s3://{INPUT_BUCKET}/bench"

    @property
    def raw(self) -> Path:
        return self.folder / "raw" / f"ship_date={DATE}"

    def fetch(self) -> None:
        """Bring the generated day from S3 to local disk, for the engines that are compared."""
        s3 = aws.operator_client("s3", self.platform.paths, self.platform.ports)
        self.raw.mkdir(parents=True, exist_ok=True)
        prefix = f"bench/ship_date={DATE}/"
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=INPUT_BUCKET, Prefix=prefix):
            for found in page["Contents"]:
                content = s3.get_object(Bucket=INPUT_BUCKET, Key=found["Key"])["Body"].read()
                (self.raw / found["Key"].rpartition("/")[2]).write_bytes(content)

    def gateway_seconds(self) -> float:
        """The processor time the gateway has taken so far."""
        pid = supervision.Supervisor(self.platform.paths).service_pids()["gateway"]
        return sum(map(processor_seconds, process_tree(pid)))

    def _spark(self, *program: str | Path) -> Cost:
        submit = Path(self._environment["SPARK_HOME"]) / "bin" / "spark-submit"
        conf = {
            "spark.ui.enabled": "false",
            "spark.driver.host": settings.LOOPBACK,
            "spark.driver.bindAddress": settings.LOOPBACK,
            JAVA_OPTIONS: self.platform.spark_defaults[JAVA_OPTIONS],  # as the platform's own steps have it
        }
        options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
        return self._run([submit, "--master", "local[2]", "--jars", self.platform.paths.log_store, *options, *program])

    def _run(self, command: Sequence[str | Path]) -> Cost:
        return cost_of(command, self._environment, self.folder / "log")

    @property
    def _environment(self) -> dict[str, str]:
        client = env.exports(self.platform.paths, self.platform.ports)
        return {**environment(self.platform.paths), **client, "PYTHONPATH": str(SPARK), "TZ": "UTC"}


def main() -> None:
    arguments = _arguments()
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f} at first.\n", flush=True)
    with running_platform() as platform, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        programs = Programs(platform, Path(folder), arguments.packages)
        print("| shipments made | rows | processor s | rows a processor second | gateway, s | MiB |")
        print("|---|--:|--:|--:|--:|--:|")
        _print_made("Faker, a row at a time", FAKER_ROWS, programs.faker(), None)
        _print_made("dbldatagen, to local disk", DBLDATAGEN_ROWS, programs.dbldatagen(), None)
        days = []
        for rows in arguments.rows:
            before = programs.gateway_seconds()
            made = programs.generate(rows)
            _print_made("the generator", rows, made, programs.gateway_seconds() - before)
            programs.fetch()
            days.append((rows, made, programs.process(), programs.duckdb()))
            different = list(differences(programs.folder))
            if different:
                raise SystemExit("The two engines differ:\n" + "\n".join(different[:20]))
    print("\n| shipments processed | processor s | a million rows | DuckDB | ratio | MiB | DuckDB, MiB |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for rows, _, spark, duck in days:
        ratio = spark.processor_seconds / duck.processor_seconds
        print(
            f"| {rows:,} | {spark.processor_seconds:.1f} | {spark.processor_seconds / rows * 1e6:.1f} "
            f"| {duck.processor_seconds:.1f} | {ratio:.1f} | {spark.memory_mib:.0f} | {duck.memory_mib:.0f} |"
        )
    print("\nAll five tables are equal.")
    if arguments.chart:
        costs = {
            program: [(day[0] / 1e6, day[column].processor_seconds) for day in days]
            for column, program in enumerate(("generator", "processor", "DuckDB"), start=1)
        }
        cost_chart.draw(costs, arguments.chart)


def differences(folder: Path) -> Iterator[str]:
    """What one engine's tables have and the other's do not: counts, sums and texts exactly, doubles within 1e-9."""
    with duckdb.connect() as connection:
        for table in TABLES:
            connection.execute(f"CREATE TABLE made AS SELECT * FROM '{folder}/spark/{table}/*/*.parquet'")
            connection.execute(f"CREATE TABLE expected AS SELECT * FROM '{folder}/duckdb/{table}.parquet'")
            if table == "warehouse_demand":
                connection.execute("DELETE FROM made WHERE shipments = 0")  # hours that the other has no row of
            described = connection.execute("DESCRIBE expected").fetchall()
            doubles = {name for name, type_, *_ in described if type_ == "DOUBLE"}
            names = [name for name, *_ in described]
            exact = ", ".join(name for name in names if name not in doubles)
            same = " AND ".join(
                f"(m.{name} IS NOT DISTINCT FROM e.{name} OR abs(m.{name} - e.{name}) <= 1e-9 * abs(e.{name}))"
                for name in sorted(doubles)
            )
            joined = f"SELECT count(*) FROM made m JOIN expected e USING ({exact})" + (f" WHERE {same}" if same else "")
            each = ("SELECT count(*) FROM made", "SELECT count(*) FROM expected")
            counts = [connection.execute(sql).fetchall()[0][0] for sql in (joined, *each)]
            if len(set(counts)) != 1:
                yield f"{table}: {counts[1]} rows by Spark, {counts[2]} by DuckDB, {counts[0]} of them equal"
            connection.execute("DROP TABLE made; DROP TABLE expected")


def _print_made(what: str, rows: int, cost: Cost, gateway_seconds: float | None) -> None:
    speed = rows / cost.processor_seconds
    gateway = "" if gateway_seconds is None else f"{gateway_seconds:.1f}"
    made = f"| {what} | {rows:,} | {cost.processor_seconds:.1f} | {speed:,.0f} | {gateway} | {cost.memory_mib:.0f} |"
    print(made, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packages", required=True, help="the folder with dbldatagen and what it imports")
    sizes = [1_000_000, 3_000_000, 10_000_000, 30_000_000]
    parser.add_argument("--rows", type=int, nargs="+", default=sizes, help="the sizes of the days")
    parser.add_argument("--chart", type=Path, help="an SVG file to draw the costs into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
