"""What `parity` says of a platform that is as it should be, and of one with other jobs."""

import json
from pathlib import Path

import pytest

from tests.platform.platform_rig import Platform

pytestmark = pytest.mark.full

DAY = "2026-02-10"
TITLES = [
    "Versions",
    "Spark's properties",
    "A step's environment",
    "Jobs, bootstrap action, flows",
    "Tables",
    "IAM, local",
    "Calls that the gateway has seen",
    "Known differences",
]


def test_nothing_differs_and_changed_jobs_are_seen(platform: Platform, tmp_path: Path) -> None:
    ran = platform.drydock("run", f"--date={DAY}", "--rows=300")
    assert ran.returncode == 0, ran.stdout
    parity = platform.drydock("parity", f"--date={DAY}", f"--file={tmp_path / 'parity.json'}")
    assert parity.returncode == 0, parity.stdout
    assert parity.stdout.splitlines()[-1] == "✓ Nothing differs that is not known."
    document = json.loads((tmp_path / "parity.json").read_text())
    assert document["is_same"] is True
    sections = {section["title"]: section["items"] for section in document["sections"]}
    assert list(sections) == TITLES
    assert {item["verdict"] for item in sections["Versions"]} == {"same"}
    assert {item["verdict"] for item in sections["Tables"]} == {"same"}
    assert all(set(item["sides"]) == {"one process", "local"} for item in sections["Tables"])
    assert sum(item["verdict"] == "same" for item in sections["Calls that the gateway has seen"]) > 20

    with platform.job_replaced("data_generator", "raise SystemExit(1)"):
        changed = platform.drydock("parity", f"--date={DAY}", f"--file={tmp_path / 'parity.json'}")
    assert changed.returncode == 1, changed.stdout
    assert "data_generator.py" in changed.stdout
    document = json.loads((tmp_path / "parity.json").read_text())
    different = [
        item["what"] for section in document["sections"] for item in section["items"] if item["verdict"] == "different"
    ]
    assert [what.rpartition("/")[2] for what in different] == ["data_generator.py"]
    assert document["is_same"] is False


def test_a_day_that_is_not_there_is_refused_with_the_command_that_makes_it(platform: Platform) -> None:
    refused = platform.drydock("parity", "--date=2020-01-01")
    assert refused.returncode == 1
    assert (
        "2020-01-01 cannot be compared: nothing of it is there. `make run DATE=2020-01-01` runs it." in refused.stdout
    )
    bad = platform.drydock("parity", "--date=tomorrow")
    assert bad.returncode == 2
    assert platform.drydock("parity", "--file=/nowhere/parity.json").returncode == 2
