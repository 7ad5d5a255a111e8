"""Jobs, flows and tables compared, and how a comparison is shown."""

import json
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from drydock import settings
from drydock.jobs import Revision
from drydock.parity_of import comparison, files, tables
from drydock.parity_of.comparison import AWS, LOCAL, ONE_PROCESS, Item, Section, Verdict, compared
from drydock.parity_of.facts import Facts, keep, kept
from drydock.parity_of.tables import ALL_TABLES, DayHashes, RawDay

FLOW = """id: daily
triggers:
  - id: every_day
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 9 * * *"
"""
HERE = Revision("abc", "wheels/1", {"abc/job.py": Path("job.py")}, {"abc/job.py": "0" * 32})
DAY = DayHashes((RawDay("2026-01-30", 10, 42), RawDay("2026-01-31", 10, 42)), dict.fromkeys(ALL_TABLES, "0" * 64))


def different(section: Section) -> list[str]:
    return [item.what for item in section.items if item.verdict is Verdict.DIFFERENT]


def test_what_differs_is_different_unless_it_is_known() -> None:
    assert compared("x", {"a": "1", "b": "1"}).verdict is Verdict.SAME
    assert compared("x", {"a": "1", "b": "2"}).verdict is Verdict.DIFFERENT
    assert compared("x", {"a": "1", "b": "2"}, "It means this.") == Item(
        "x", Verdict.KNOWN, {"a": "1", "b": "2"}, "It means this."
    )


def test_jobs_and_flows_of_this_checkout(facts: Facts) -> None:
    local = replace(facts, flows={"daily": FLOW})
    assert different(files.compare({LOCAL: local}, HERE, {"daily": FLOW})) == []
    without = files.without_schedules(FLOW)
    section = files.compare({LOCAL: replace(local, flows={"daily": without})}, HERE, {"daily": FLOW})
    assert [item.note for item in section.items if item.verdict is Verdict.KNOWN] == [files.SCHEDULES_OFF]


def test_other_jobs_and_flows_are_named(facts: Facts) -> None:
    deployed = replace(
        facts,
        revision="old",
        deviating_objects=["spark_app/abc/job.py"],
        flows={"daily": FLOW + "\n", "mine": "id: mine"},
    )
    assert different(files.compare({LOCAL: facts, AWS: deployed}, HERE, {"daily": FLOW})) == [
        "revision of the jobs",
        "spark_app/abc/job.py",
        "flow daily",
        "flow mine",
    ]


def test_equal_tables_and_one_that_is_not() -> None:
    other = replace(DAY, hashes={**DAY.hashes, "cost_analysis": "1" * 64})
    assert different(tables.compare({ONE_PROCESS: DAY, LOCAL: DAY})) == []
    assert different(tables.compare({ONE_PROCESS: DAY, LOCAL: other})) == ["cost_analysis of 2026-01-31"]


def test_days_of_other_raw_data_are_not_compared() -> None:
    other = DayHashes((RawDay("2026-01-31", 20, 42),), dict.fromkeys(ALL_TABLES, "1" * 64))
    section = tables.compare({ONE_PROCESS: DAY, LOCAL: other, AWS: DAY})
    assert different(section) == []
    [left_out] = [item for item in section.items if item.verdict is Verdict.UNKNOWN]
    assert left_out.sides == {LOCAL: "2026-01-31: 20 rows, seed 42"}


def test_without_a_day_there_is_nothing_to_compare() -> None:
    assert tables.compare({ONE_PROCESS: None, LOCAL: None}).summary == "1 not looked at"


def test_the_table_shows_what_is_not_the_same() -> None:
    section = Section(
        "Things",
        [
            Item("alike", Verdict.SAME, {LOCAL: "1"}),
            Item("other [red]", Verdict.DIFFERENT, {LOCAL: "1", AWS: "2"}, "Because."),
        ],
    )
    shown = StringIO()
    table = comparison.table(section)
    assert table is not None
    Console(file=shown, width=100).print(table)
    assert "alike" not in shown.getvalue()
    assert all(text in shown.getvalue() for text in ("✗", "other [red]", "local", "AWS", "Because."))
    assert section.summary == "1 same, 1 different"


def test_the_document_says_whether_all_is_the_same() -> None:
    section = Section("Things", [Item("alike", Verdict.SAME), Item("known", Verdict.KNOWN, {}, "Because.")])
    document = json.loads(json.dumps(comparison.document([section])))
    assert document["is_same"] is True
    assert document["sections"][0]["items"][1] == {
        "what": "known",
        "verdict": "known difference",
        "sides": {},
        "note": "Because.",
    }
    worse = Section("Things", [Item("other", Verdict.DIFFERENT)])
    assert comparison.document([section, worse])["is_same"] is False


def test_facts_are_kept_for_a_later_comparison(tmp_path: Path, facts: Facts) -> None:
    paths = settings.Paths(tmp_path)
    assert kept(paths) is None
    with_day = replace(facts, day=DAY)
    keep(paths, with_day)
    assert asdict(kept(paths) or facts) == asdict(with_day)
    (tmp_path / "parity" / "local.json").write_text('{"of": "another version"}')
    assert kept(paths) is None
