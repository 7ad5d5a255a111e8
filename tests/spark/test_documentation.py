"""`docs/data.md` says what is so: columns, types and rules are those that are declared and written."""

import re
from pathlib import Path

import pytest

from shipments import tables
from shipments.processing import QUARANTINE, QUARANTINE_CHECKS
from shipments.rules import RULES
from shipments.schema import RAW_COLUMNS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()


def table_after(heading):
    """The cells of the first Markdown table after a heading or comment, without its head."""
    after = TEXT.split(heading, 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)[0].splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def test_raw_columns():
    assert table_after("<!-- raw columns") == [(c.name, c.sql_type, c.meaning) for c in RAW_COLUMNS]


def test_rules():
    assert table_after("<!-- rules") == [(rule.name, rule.says, rule.why) for rule in RULES]


def test_constraints():
    checks = [(table.name, table.checks) for table in tables.TABLES] + [(QUARANTINE, QUARANTINE_CHECKS)]
    declared = [(table, name, f"`{condition}`") for table, each in checks for name, condition in each.items()]
    assert table_after("<!-- constraints") == declared


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.name)
def test_table_columns(table):
    assert [cells[:2] for cells in table_after(f"### {table.name}\n")] == list(table.columns.items())
