"""What a table holds as one value, by which tables of different platforms are compared: equal rows, equal hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal


def of(rows: Iterable[Mapping[str, object]]) -> str:
    """SHA-256 (hexadecimal) of the rows, whatever their order and that of their columns; each counts, twins too.

    Doubles count to the last bit: the jobs make each by one division of exact sums. Raises TypeError for a value of a
    type that no table of the platform has.
    """
    lines = sorted(json.dumps(row, sort_keys=True, default=_text, ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    raise TypeError(f"A {type(value).__name__} in a table: {value!r}.")
