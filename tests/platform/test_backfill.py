"""Two days at once, stopped in the middle, and gone on with."""

from datetime import date
from pathlib import Path

import pytest

from tests.platform.platform_rig import Platform
from tests.spark import oracle

pytestmark = pytest.mark.full

FIRST, SECOND = date(2026, 4, 30), date(2026, 5, 1)
ASKED = ("backfill", f"--from={FIRST}", f"--to={SECOND}", "--rows=600")


def test_a_backfill_that_is_stopped_goes_on_where_it_was(platform: Platform, tmp_path: Path) -> None:
    stopped = platform.start(*ASKED)
    stopped.wait_for(f"Processed {FIRST}")
    platform.running_step()
    stopped.ctrl_c()
    assert stopped.end() == 130, stopped.text
    assert f"`make backfill FROM={FIRST} TO={SECOND} ROWS=600` goes on from here." in stopped.text
    assert "Traceback" not in stopped.text
    assert ["2026-04", "30", "✓", "1", "g"] in [line.split() for line in stopped.text.splitlines()]
    platform.assert_nothing_runs()

    resumed = platform.drydock(*ASKED)
    assert resumed.returncode == 0, resumed.stdout
    assert f"{FIRST} to {SECOND}: 2 days, 0 to generate, 1 to process." in resumed.stdout
    assert ["2026-04", "30", "=", "1", "✓"] in [line.split() for line in resumed.stdout.splitlines()]
    raw = {}
    for day in (FIRST, SECOND):
        (tmp_path / str(day)).mkdir()
        raw[day] = platform.raw_files(day, tmp_path / str(day))
        expected = oracle.expected_tables(raw, day)
        assert oracle.all_differences(expected, {table: platform.rows(table, day) for table in expected}) == []

    again = platform.drydock(*ASKED)
    assert again.returncode == 0
    assert "2 days, 0 to generate, 0 to process." in again.stdout
    platform.assert_nothing_runs()
