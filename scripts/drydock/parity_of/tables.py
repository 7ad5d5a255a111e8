"""The tables of a day, as one value each: from one Spark process on this machine, from the local cluster, from AWS."""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from deltalake import DeltaTable, QueryBuilder

from drydock import content_hash, days, jobs, settings
from drydock.errors import RunFailed
from drydock.parity_of.comparison import Item, Section, Verdict, compared
from drydock.read_back import QUARANTINE, TABLES, manifest, reading, rows_of
from drydock.site import Site
from drydock.toolchain import java, spark_home

ALL_TABLES = (*TABLES, QUARANTINE)
TITLE = "Tables"


@dataclass(frozen=True)
class RawDay:
    """What a day's raw data is made of: the same of all gives the same bytes."""

    date: str
    rows: int
    seed: int


@dataclass(frozen=True)
class DayHashes:
    """The tables' hashes of the last of `raw_days`; the others are those at which its measures look back."""

    raw_days: tuple[RawDay, ...]
    hashes: Mapping[str, str]

    @property
    def date(self) -> str:
        return self.raw_days[-1].date

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "DayHashes":
        return cls(tuple(RawDay(**each) for each in document["raw_days"]), document["hashes"])


def read(where: Site, asked: date | None) -> DayHashes | None:
    """The day that was asked for, or the newest that is as a finished run leaves it; None when there is none.

    Raises RunFailed when the day that was asked for is not complete.
    """
    config, known = where.platform_config(), days.read(where, date.min, date.max)
    whole = [each for each, day in known.items() if day.problem is None and day.raw is not None]
    if asked is not None and asked not in whole:
        problem = known[asked].problem if asked in known else "nothing of it is there"
        raise RunFailed(f"{asked} cannot be compared: {problem}. `make {where.verbs.run} DATE={asked}` runs it.")
    if asked is None and not whole:
        return None
    day = asked or max(whole)
    week = sorted(each for each in known if day - days.REACH <= each <= day and known[each].shipments)
    s3 = where.account.client("s3")
    with reading(where, f"The day {day}"):
        manifests = {each: manifest(s3, f"{config['source_uri']}/ship_date={each}/manifest.json") for each in week}
        hashes = _hashes(config["output_uri"], where.account.storage_options(), day)
    if gone := [str(each) for each, found in manifests.items() if found is None]:
        raise RunFailed(
            f"{day} cannot be compared: of {', '.join(gone)}, at which it looks back, no raw data are left."
        )
    raw_days = (RawDay(str(each), found["rows"], found["seed"]) for each, found in manifests.items() if found)
    return DayHashes(tuple(raw_days), hashes)


def _hashes(uri: str, options: Mapping[str, str], day: date) -> dict[str, str]:
    return {name: _hash(f"{uri}/{name}", options, day) for name in ALL_TABLES}


def _hash(uri: str, options: Mapping[str, str], day: date) -> str:
    table = DeltaTable(uri, storage_options=dict(options))
    sql = f"SELECT * FROM day WHERE ship_date = DATE '{day}'"  # noqa: S608  a date
    return content_hash.of(rows_of(QueryBuilder().register("day", table), sql))


def in_one_process(paths: settings.Paths, raw_days: tuple[RawDay, ...]) -> DayHashes:
    """The same days, made by the same jobs in one Spark process on this machine's disk. Raises RunFailed."""
    with tempfile.TemporaryDirectory(prefix="parity-", dir=paths.run) as folder:
        raw, tables = f"file://{folder}/raw", f"file://{folder}/tables"
        for each in raw_days:
            _spark(
                paths,
                Path(folder),
                "data_generator.py",
                *("--date", each.date, "--rows", f"{each.rows}", "--seed", f"{each.seed}", "--target", raw),
            )
        for each in raw_days:
            _spark(paths, Path(folder), "data_processor.py", "--date", each.date, "--source", raw, "--target", tables)
        return DayHashes(raw_days, _hashes(tables, {}, date.fromisoformat(raw_days[-1].date)))


def _spark(paths: settings.Paths, folder: Path, program: str, *arguments: str) -> None:
    python = paths.environment("spark") / "bin" / "python"
    submit = spark_home.spark_home(paths) / "bin" / "spark-submit"
    conf = {
        "spark.ui.enabled": "false",
        "spark.driver.host": settings.LOOPBACK,
        "spark.driver.bindAddress": settings.LOOPBACK,
    }
    options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    command = [submit, "--master", "local[2]", "--jars", paths.log_store, *options, jobs.JOBS / program, *arguments]
    ended = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={
            "PATH": f"{java.SPARK.home(paths) / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder),
            "JAVA_HOME": str(java.SPARK.home(paths)),
            "SPARK_HOME": str(spark_home.spark_home(paths)),
            "SPARK_LOCAL_IP": settings.LOOPBACK,
            "PYSPARK_PYTHON": str(python),
            "PYTHONPATH": str(jobs.JOBS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TZ": "UTC",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise RunFailed(f"`{program}` in one process ended with {ended.returncode}: {said[-1] if said else 'no word'}")


def compare(sides: Mapping[str, DayHashes | None]) -> Section:
    """Sides that have the same raw days; others cannot be compared, and are said to be so."""
    known = {side: day for side, day in sides.items() if day is not None}
    if len(known) < 2:
        return Section(TITLE, [Item("a day", Verdict.UNKNOWN, note="There is no day that a run has finished.")])
    reference = next(iter(known.values()))
    comparable = {side: day for side, day in known.items() if day.raw_days == reference.raw_days}
    items = [
        compared(f"{name} of {reference.date}", {side: day.hashes[name][:12] for side, day in comparable.items()})
        for name in ALL_TABLES
    ]
    for side in known.keys() - comparable.keys():
        made_of = ", ".join(f"{each.date}: {each.rows:,} rows, seed {each.seed}" for each in known[side].raw_days)
        items.append(
            Item(f"{side}'s day", Verdict.UNKNOWN, {side: made_of}, "Other raw days, so its tables are others.")
        )
    return Section(TITLE, items)
