"""The walk of `docs/your-own-job.md`: to a checkout whose platform runs a job and its flow are added, nothing else."""

import shutil
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from drydock import aws, read_back, settings
from tests.platform.platform_rig import Platform

EXAMPLE = settings.REPOSITORY / "examples" / "your-own-job"
OUTPUT = "s3://spark-job-data-output"
NOT_COPIED = (".git", ".drydock", ".terraform", "__pycache__", "*.pyc")

DAILY = """
    SELECT * FROM (VALUES
        (DATE '2026-10-31', 'Alpha', 'ground', 500, 500, 500, 0),
        (DATE '2026-11-01', 'Alpha', 'ground', 10, 8, 6, 1),
        (DATE '2026-11-01', 'Alpha', 'express', 5, 2, 2, 0),
        (DATE '2026-11-30', 'Alpha', 'ground', 20, 10, 7, 2),
        (DATE '2026-11-30', 'Beta', 'ground', 3, 0, 0, 3)
    ) AS daily(ship_date, carrier, service_level, shipments, delivered, on_time, lost)
"""
NOVEMBER = [
    {
        **{"month": "2026-11", "carrier": "Alpha", "days": 2, "shipments": 35},
        **{"delivered": 20, "on_time": 15, "lost": 3, "on_time_rate": 0.75},
    },
    {
        **{"month": "2026-11", "carrier": "Beta", "days": 1, "shipments": 3},
        **{"delivered": 0, "on_time": 0, "lost": 3, "on_time_rate": None},
    },
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This checkout as it lies there, for the walk to change."""
    copy = tmp_path / "drydock"
    shutil.copytree(settings.REPOSITORY, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return copy


@pytest.mark.full
def test_a_second_pipeline_is_two_files(place: Platform, checkout: Path) -> None:
    own = {"PYTHONPATH": str(checkout / "scripts")}  # the verbs are those of that checkout

    def drydock(*arguments: str) -> tuple[int, str]:
        verb = place.start(*arguments, **own)
        return verb.end(), verb.text

    code, told = drydock("local-up", "--runtime=process")
    assert code == 0, told
    storage = aws.LocalAccount(place.paths, place.ports).storage_options()
    write_deltalake(f"{OUTPUT}/carrier_performance", duckdb.sql(DAILY), storage_options=storage)

    shutil.copy(EXAMPLE / "carrier_monthly.py", checkout / "spark")
    shutil.copy(EXAMPLE / "carrier_monthly.yaml", checkout / "kestra" / "flows")
    code, told = drydock("flow", "--flow=carrier_monthly")
    assert code == 2, told
    assert "Kestra knows carrier_monthly.yaml as it was, or not yet: `make local-up` registers it." in told
    assert "There are: data_generation, data_processing, emr_cluster, ship_logs, sweep." in told
    code, told = drydock("local-up")
    assert code == 0, told
    assert "✓ Flows: 1 of 6 registered anew (carrier_monthly.yaml)" in told

    code, told = drydock("flow", "--flow=carrier_monthly", '--inputs={"month": "2026-11"}')
    assert code == 0, told
    assert '"rows": 2, "shipments": 38}' in told
    assert "  month: 2026-11\n" in told
    assert "! " not in told  # nothing is on the platform that is not in the checkout
    assert place.clusters() == []
    month = QueryBuilder().register("month", DeltaTable(f"{OUTPUT}/carrier_monthly", storage_options=storage))
    assert read_back.rows_of(month, "SELECT * FROM month ORDER BY carrier") == NOVEMBER

    (checkout / "spark" / "carrier_monthly.py").write_text("raise SystemExit('not yet')\n")
    code, told = drydock("flow", "--flow=carrier_monthly", '--inputs={"months": 2}')
    assert code == 2, told
    assert "The platform has other jobs than `spark/`, and runs them: `make local-up` uploads these." in told
    assert "The flow carrier_monthly has no input `months`. Its inputs: `month` (STRING)." in told
