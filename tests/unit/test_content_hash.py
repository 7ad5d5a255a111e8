"""Equal rows, equal hash; and any difference is seen."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock import content_hash

AT = datetime(2026, 3, 7, 12, tzinfo=UTC)
ROW = {"day": date(2026, 3, 7), "at": AT, "cost": Decimal("12.50"), "rate": 0.5, "rules": ["a"]}
VALUES = st.none() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False) | st.dates()
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), max_size=5)


@given(ROWS, st.randoms())
def test_the_order_of_rows_and_columns_does_not_count(rows: list[dict[str, object]], random) -> None:
    shuffled = [dict(random.sample(list(row.items()), len(row))) for row in random.sample(rows, len(rows))]
    assert content_hash.of(rows) == content_hash.of(shuffled)


@given(ROWS.filter(bool))
def test_each_row_counts(rows: list[dict[str, object]]) -> None:
    assert content_hash.of(rows) != content_hash.of(rows[1:])
    assert content_hash.of(rows) != content_hash.of([*rows, rows[0]])


@pytest.mark.parametrize(
    "change",
    [
        {"day": date(2026, 3, 8)},
        {"at": AT.replace(microsecond=1)},
        {"cost": Decimal("12.51")},
        {"rate": 0.5 + 2**-53},
        {"rate": None},
        {"rules": ["a", "b"]},
        {"another": 1},
    ],
)
def test_each_value_counts(change: dict[str, object]) -> None:
    assert content_hash.of([ROW]) != content_hash.of([ROW | change])


def test_one_value_has_one_writing() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=2)))
    for same in ({"cost": Decimal("12.5")}, {"at": elsewhere}, {"at": AT.replace(tzinfo=None)}):
        assert content_hash.of([ROW]) == content_hash.of([ROW | same])


def test_what_no_table_has_is_refused() -> None:
    with pytest.raises(TypeError, match="A set in a table"):
        content_hash.of([{"value": {1}}])
