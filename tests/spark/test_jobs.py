"""The jobs as they are started: arguments refused before anything is touched, exit codes, and the whole way on disk."""

import datetime as dt
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import local_s3
import oracle
import pytest

import data_generator
import data_processor
from shipments import arguments
from shipments.processing import Processed

REPOSITORY = Path(__file__).resolve().parents[2]
LOG_STORE = Path(os.environ.get("DRYDOCK_HOME") or REPOSITORY / ".drydock") / "log-store" / "delta-log-store.jar"
GENERATOR = {"--date": "2026-01-31", "--rows": "10", "--target": "s3://bucket/raw"}
PROCESSOR = {"--date": "2026-01-31", "--source": "s3://bucket/raw", "--target": "s3://bucket/tables"}


def command_line(options):
    return [word for option in options.items() for word in option]


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        (data_generator, {"--date": "31.01.2026"}, "`31.01.2026` is not a date of the form YYYY-MM-DD"),
        (data_generator, {"--date": "2026-02-30"}, "`2026-02-30` is not a date"),
        (data_generator, {"--rows": "-1"}, "`-1` is not a number of rows"),
        (data_generator, {"--rows": "many"}, "`many` is not a number of rows"),
        (data_generator, {"--rows": "1000000001"}, "between 0 and 1000000000"),
        (data_generator, {"--seed": "-5"}, "`-5` is not a seed"),
        (data_generator, {"--broken-share": "1.5"}, "`1.5` is not a share between 0 and 1"),
        (data_generator, {"--broken-share": "nan"}, "`nan` is not a share between 0 and 1"),
        (data_generator, {"--target": "http://bucket/raw"}, "is neither `s3://bucket/prefix` nor `file:///"),
        (data_generator, {"--target": "/tmp/raw"}, "is neither"),
        (data_generator, {"--colour": "blue"}, "unrecognized arguments"),
        (data_processor, {"--source": "s3:///raw"}, "is neither"),
        (data_processor, {"--target": "file://host/tables"}, "is neither"),
        (data_processor, {"--date": "today"}, "`today` is not a date"),
    ],
)
def test_what_is_not_well_formed_is_refused_in_a_sentence(monkeypatch, capsys, job, options, message):
    monkeypatch.setattr(job, "run_job", lambda *_: pytest.fail("the job was started"))
    valid = GENERATOR if job is data_generator else PROCESSOR
    with pytest.raises(SystemExit) as refused:
        job.main(command_line(valid | options))
    assert refused.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(("job", "options"), [(data_generator, GENERATOR), (data_processor, PROCESSOR)])
def test_an_option_that_is_missing_is_named(capsys, job, options):
    with pytest.raises(SystemExit, match="2"):
        job.main(command_line({name: value for name, value in options.items() if name != "--date"}))
    assert "--date" in capsys.readouterr().err


def test_arguments_are_read():
    assert arguments.day("2026-01-31") == dt.date(2026, 1, 31)
    assert arguments.row_count("0") == 0
    assert arguments.share("0.01") == 0.01
    assert arguments.folder("s3://bucket/a/b/") == "s3://bucket/a/b"
    assert arguments.folder("s3://bucket") == "s3://bucket"
    assert arguments.folder("file:///tmp/raw/") == "file:///tmp/raw"


@pytest.fixture
def submit(spark_environment, tmp_path):
    """`submit(job, *options, conf={}, variables={}, started=…)` runs a job of 2026-01-31 as a step does: the library
    from a zip file, nothing of the checkout on Python's path. `started` is told the process, which leads a group.
    Returns exit code, stdout and stderr."""
    library = tmp_path / "shipments.zip"
    with zipfile.ZipFile(library, "w") as archive:
        for module in sorted((REPOSITORY / "spark" / "shipments").glob("*.py")):
            archive.write(module, f"shipments/{module.name}")
    environment = {name: value for name, value in spark_environment.items() if name != "PYTHONPATH"}
    environment |= {"PYSPARK_SUBMIT_ARGS": "", "PYSPARK_DRIVER_PYTHON": sys.executable}
    settings = shlex.split(spark_environment["PYSPARK_SUBMIT_ARGS"].removesuffix("pyspark-shell"))
    jobs = tmp_path / "jobs"
    jobs.mkdir()

    def submit(job, *options, conf=(), variables=(), started=lambda process: None):
        (jobs / job).write_text((REPOSITORY / "spark" / job).read_text())
        more = [word for name, value in dict(conf).items() for word in ("--conf", f"{name}={value}")]
        command = [f"{environment['SPARK_HOME']}/bin/spark-submit", *settings, *more, "--py-files", str(library)]
        command += [str(jobs / job), "--date", "2026-01-31", *options]
        with subprocess.Popen(
            command,
            env=environment | dict(variables),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            started(process)
            try:
                stdout, stderr = process.communicate(timeout=600)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, stdout, stderr

    return submit


def differences(spark, raw, tables):
    """Between the stored tables of 2026-01-31 and what DuckDB makes of the raw files; both are folders on disk."""
    day = dt.date(2026, 1, 31)
    expected = oracle.expected_tables({day: sorted(map(str, raw.glob("*/block-*.parquet")))}, day)
    stored = {table: spark.read.format("delta").load((tables / table).as_uri()).collect() for table in expected}
    return oracle.all_differences(expected, {table: [row.asDict() for row in rows] for table, rows in stored.items()})


def test_a_day_by_spark_submit_far_from_utc(spark, submit, tmp_path):
    far = {"TZ": "Pacific/Auckland"}
    raw, tables = (tmp_path / "raw").as_uri(), (tmp_path / "tables").as_uri()
    code, stdout, _ = submit("data_processor.py", "--source", raw, "--target", tables)
    assert code == 1
    # spark-submit writes what the driver's Python says on stderr to its own stdout.
    assert stdout.splitlines()[-1].startswith(f"data_processor: There is no {raw}/ship_date=2026-01-31/manifest.json")
    assert "Traceback" not in stdout

    code, stdout, stderr = submit(
        "data_generator.py", "--rows", "500", "--target", raw, "--broken-share", "0.1", variables=far
    )
    assert code == 0, stderr
    generated = json.loads(stdout.splitlines()[-1])

    code, stdout, stderr = submit("data_processor.py", "--source", raw, "--target", tables, variables=far)
    assert code == 0, stderr
    processed = json.loads(stdout.splitlines()[-1])
    assert processed["rows"] == generated["rows"] == 500
    assert processed["quarantined_by_rule"] == generated["injected"]
    assert processed["accepted"] + processed["quarantined"] == 500
    assert processed["tables"]["warehouse_demand"] == 288
    assert processed["stale_days"] == []
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == [
        "_quarantine", "carrier_performance", "cost_analysis", "daily_trends", "route_efficiency", "warehouse_demand",
    ]  # fmt: skip
    assert differences(spark, tmp_path / "raw", tmp_path / "tables") == []


def on_s3(way):
    """What makes a job speak to S3 by this way."""
    hadoop = {f"spark.hadoop.{name}": value for name, value in local_s3.hadoop_settings(way).items()}
    variables = {
        "AWS_ENDPOINT_URL": way,
        "AWS_ACCESS_KEY_ID": local_s3.OPERATOR["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": local_s3.OPERATOR["secret_access_key"],
    }
    return {"conf": {**hadoop, "spark.jars": str(LOG_STORE)}, "variables": variables}


def fetch(s3, bucket, folder):
    """All objects of the bucket, as files."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page["Contents"]:
            file = folder / entry["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, entry["Key"], str(file))


@pytest.mark.full
def test_a_day_on_an_s3_that_throttles(spark, submit, s3_endpoint, tmp_path):
    s3 = local_s3.client(s3_endpoint)
    s3.create_bucket(Bucket="throttled")
    raw, tables = "s3://throttled/raw", "s3://throttled/tables"
    told_to_wait = []

    def throttled(request):
        told_to_wait.extend([request] if request % 3 == 0 else [])
        return request % 3 == 0

    with local_s3.way_to(s3_endpoint, throttled=throttled) as (way, _):
        code, stdout, stderr = submit("data_generator.py", "--rows", "60000", "--target", raw, **on_s3(way))
        assert code == 0, stdout + stderr
        told_generator = len(told_to_wait)
        code, stdout, stderr = submit("data_processor.py", "--source", raw, "--target", tables, **on_s3(way))
        assert code == 0, stdout + stderr
    assert 0 < told_generator < len(told_to_wait) - 50
    fetch(s3, "throttled", tmp_path / "s3")
    assert differences(spark, tmp_path / "s3" / "raw", tmp_path / "s3" / "tables") == []


@pytest.mark.full
def test_a_driver_killed_between_two_commits_is_mended_by_the_next_run(spark, submit, s3_endpoint, tmp_path):
    s3 = local_s3.client(s3_endpoint)
    s3.create_bucket(Bucket="killed")
    raw, tables = "s3://killed/raw", "s3://killed/tables"
    code, stdout, stderr = submit("data_generator.py", "--rows", "2000", "--target", raw, **on_s3(s3_endpoint))
    assert code == 0, stdout + stderr

    drivers, commits, turn = [], [], threading.Lock()

    def killed(method, path):
        """Lets the first two commits through; at the third, and at whatever comes after it, the driver is dead."""
        if method != "PUT" or "/_delta_log/" not in path or not path.endswith(".json"):
            return len(commits) > 2
        with turn:
            commits.append(path)
            if len(commits) == 3:
                os.killpg(drivers[0].pid, signal.SIGKILL)
            return len(commits) > 2

    with local_s3.way_to(s3_endpoint, lost=killed) as (way, _):
        code, _, _ = submit(
            "data_processor.py", "--source", raw, "--target", tables, started=drivers.append, **on_s3(way)
        )
    assert code == -signal.SIGKILL
    fetch(s3, "killed", tmp_path / "killed")
    day = dt.date(2026, 1, 31)
    expected = oracle.expected_tables({day: sorted(map(str, tmp_path.glob("killed/raw/*/block-*.parquet")))}, day)
    whole = []
    for table, rows in expected.items():  # a reader sees the whole day of a table, or no such table
        if list((tmp_path / "killed" / "tables" / table).glob("_delta_log/*.json")):
            stored = spark.read.format("delta").load((tmp_path / "killed" / "tables" / table).as_uri()).collect()
            assert oracle.differences(table, rows, [row.asDict() for row in stored]) == []
            whole.append(table)
    assert len(whole) == 2

    code, stdout, stderr = submit("data_processor.py", "--source", raw, "--target", tables, **on_s3(s3_endpoint))
    assert code == 0, stdout + stderr
    fetch(s3, "killed", tmp_path / "mended")
    assert differences(spark, tmp_path / "mended" / "raw", tmp_path / "mended" / "tables") == []


def test_the_days_to_run_again_are_told(monkeypatch):
    stale = [dt.date(2026, 2, 1), dt.date(2026, 2, 3)]
    done = Processed(rows=0, accepted=0, quarantined=0, quarantined_by_rule={}, table_rows={}, stale_days=stale)
    printed = []
    monkeypatch.setattr(data_processor, "process", lambda *_: done)
    monkeypatch.setattr(data_processor, "run_job", lambda _, job: printed.append(job(None)) or 0)
    assert data_processor.main(command_line(PROCESSOR)) == 0
    assert printed[0]["stale_days"] == ["2026-02-01", "2026-02-03"]


def test_what_fails_in_a_worker_is_a_sentence_too(spark, capsys, monkeypatch, tmp_path):
    (tmp_path / "raw").write_text("a file where the folder should be")
    monkeypatch.setattr("shipments.session.open_session", lambda _: spark)
    monkeypatch.setattr(type(spark), "stop", lambda _: None)
    options = GENERATOR | {"--target": f"{(tmp_path / 'raw').as_uri()}/inside"}
    assert data_generator.main(command_line(options)) == 1
    told = capsys.readouterr().err
    assert "data_generator: Could not" in told
    assert "Traceback" not in told.split("data_generator: Could not")[1]
