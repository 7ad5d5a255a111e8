"""A day's arguments, and what makes a day that was read back incomplete."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock.day import generation, parse_date, parse_rows, processing
from drydock.driver_process import Progress
from drydock.errors import UsageError
from drydock.read_back import TABLES, Cluster, Day, Step, Table
from drydock.summary import problems

AT = datetime(2026, 3, 7, 12, tzinfo=UTC)


def _day() -> Day:
    """A day to which nothing can be objected."""
    step = Step("s-1", "a step", "COMPLETED", AT, AT, "s3://logs/j-1/steps/s-1", ("app-1",), ("127.0.0.12",))
    jobs = ("data-generation", "data-processing")
    return Day(
        date=AT.date(),
        core_count=2,
        clusters=tuple(Cluster(f"j-{job}", job, "TERMINATED", "", AT, AT, 1, 2, (step,)) for job in jobs),
        still_active=(),
        raw_rows=100,
        raw_uri="s3://source/ship_date=2026-03-07",
        output_uri="s3://output",
        quarantine=Table("_quarantine/shipment", 3, None, 0, "s3://output/_quarantine/shipment"),
        tables=tuple(Table(name, 5, 97, 0, f"s3://output/{name}") for name in TABLES),
        missing=(),
    )


def test_a_complete_day_has_no_problems() -> None:
    assert problems(_day()) == []


def test_a_day_without_broken_rows_need_not_have_written_the_quarantine() -> None:
    assert problems(replace(_day(), raw_rows=97, quarantine=replace(_day().quarantine, rows=0, version=None))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"clusters": _day().clusters[:1]}, "there is no cluster of data-processing"),
        ({"clusters": (_day().clusters[0], replace(_day().clusters[1], steps=()))}, "had no step"),
        ({"still_active": ("j-9",)}, "cluster j-9 is still active"),
        ({"raw_rows": 101}, "101 raw rows are not 97 accepted and 3 quarantined, 100 together"),
        ({"raw_rows": None}, "there is no s3://source/ship_date=2026-03-07/manifest.json"),
        ({"missing": ("daily_trends: gone",)}, "table daily_trends: gone"),
        ({"tables": (*_day().tables[1:], replace(_day().tables[0], shipments=96))}, "counts 96 shipments"),
        ({"tables": (*_day().tables[1:], replace(_day().tables[0], version=None))}, "no commit of table"),
        ({"quarantine": replace(_day().quarantine, version=None)}, "no commit of table _quarantine/shipment"),
        (
            {"clusters": (_day().clusters[0], replace(_day().clusters[1], state="TERMINATED_WITH_ERRORS"))},
            "cluster j-data-processing (data-processing) ended as TERMINATED_WITH_ERRORS",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_named(change: dict[str, object], problem: str) -> None:
    [found] = problems(replace(_day(), **change))
    assert problem in found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"state": "FAILED"}, "step s-1 (a step) is FAILED, not COMPLETED"),
        ({"executor_hosts": ()}, "show no executor that worked for step s-1"),
    ],
)
def test_a_step_that_is_not_right_is_named(change: dict[str, object], problem: str) -> None:
    generation, processing = _day().clusters
    step = replace(processing.steps[0], **change)
    [found] = problems(replace(_day(), clusters=(generation, replace(processing, steps=(step,)))))
    assert problem in found


@pytest.mark.parametrize(
    ("instances", "problem"),
    [
        ({"cores": 1}, "had 1 master and 1 core instances, not 1 and 2"),
        ({"masters": 0}, "had 0 master and 2 core instances, not 1 and 2"),
        ({"masters": 2}, "had 2 master and 2 core instances, not 1 and 2"),
    ],
)
def test_a_cluster_of_other_instances_is_named(instances: dict[str, int], problem: str) -> None:
    generation, processing = _day().clusters
    [found] = problems(replace(_day(), clusters=(generation, replace(processing, **instances))))
    assert problem in found


def test_a_core_that_took_a_lost_ones_place_is_no_problem() -> None:
    generation, processing = _day().clusters
    assert problems(replace(_day(), clusters=(generation, replace(processing, cores=3)))) == []


@given(st.dates())
def test_a_date_is_read_as_it_is_written(day: date) -> None:
    assert parse_date(day.isoformat()) == day


def test_no_date_is_yesterday_in_utc() -> None:
    before = datetime.now(UTC).date()
    found = parse_date("")
    assert found in (before - timedelta(days=1), datetime.now(UTC).date() - timedelta(days=1))


@pytest.mark.parametrize("text", ["2026-02-30", "20260131", "2026-W05-6", "yesterday", "2026-1-1", " 2026-01-01"])
def test_what_is_no_date_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="expected a"):
        parse_date(text)


@given(st.integers(min_value=1, max_value=10**9))
def test_rows_are_a_whole_number_up_to_a_billion(rows: int) -> None:
    assert parse_rows(str(rows)) == rows


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e5", "many", "٣", "1_000", " 7", "1000000001"])
def test_what_is_no_number_of_rows_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="expected a"):
        parse_rows(text)
    assert parse_rows("") == 100_000


def test_the_flows_are_told_the_day_and_the_generator_the_rows() -> None:
    assert generation(AT.date(), 7).inputs == {"date": "2026-03-07", "rows": "7"}
    assert processing(AT.date()).inputs == {"date": "2026-03-07"}


def test_progress_is_the_newest_of_cluster_and_step() -> None:
    progress = Progress()
    progress.note({"event": "news", "text": "cluster j-1 is asked for"})
    assert str(progress) == "cluster j-1 is asked for"
    progress.note({"event": "cluster", "cluster_id": "j-1", "state": "RUNNING"})
    progress.note({"event": "step", "step_id": "s-1", "state": "RUNNING"})
    progress.note({"event": "log", "stream": "stdout", "line": "block 1"})
    assert str(progress) == "cluster j-1 RUNNING, step RUNNING"
    progress.note({"event": "cluster", "cluster_id": "j-1", "state": "TERMINATED"})
    progress.note({"event": "failure", "text": "why"})
    assert str(progress) == "cluster j-1 TERMINATED"
    assert progress.failures == ["why"]
