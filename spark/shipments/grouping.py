"""A block's accepted shipments by group: sums, and the values that percentiles are taken of.

All are whole numbers, in units (see `raw_block`), so groups of many blocks add up to the same whatever the order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64]
Key = tuple[str | int | None, ...]

_KEYS = ("carrier", "service_level", "warehouse_id", "origin_state", "destination_state")
_SUMMED = {
    "grams": "weight_kg",
    "volume_100_cm3": "volume_m3",
    "items": "items",
    "base_cents": "base_cost",
    "fuel_cents": "fuel_surcharge",
    "insurance_cents": "insurance_cost",
    "total_cents": "total_cost",
}
NEEDED = (*_KEYS, *_SUMMED.values(), "status", "ship_ts", "promised_ts", "delivered_ts", "distance_km")
SECONDS_AN_HOUR = 3_600


@dataclass(frozen=True)
class Grouping:
    """By which keys shipments are grouped, which measures are summed, and of which percentiles are taken (`spread`).

    Names are those of `measured`. The spread is of the shipments of which `spread_of` holds.
    """

    keys: tuple[str, ...]
    sums: tuple[str, ...]
    spread: str | None = None
    spread_of: str = "shipments"


@dataclass(frozen=True)
class Group:
    """Some shipments of one group: sums in the grouping's order, and the values of its spread in any order."""

    sums: Integers
    values: tuple[Integers, ...] = ()

    def __add__(self, other: "Group") -> "Group":
        return Group(self.sums + other.sums, self.values + other.values)


@dataclass(frozen=True)
class Shipments:
    """Shipments as arrays of one length: keys as dictionaries, measures as whole numbers or as what is so of each."""

    keys: Mapping[str, pa.DictionaryArray]
    measures: Mapping[str, Integers | npt.NDArray[np.bool_]]


def measured(block: pa.Table) -> Shipments:
    """What the tables need of a block's accepted shipments. Needs the columns `NEEDED`, in units.

    A missing distance, volume or number of items counts as none. Hours are of `ship_ts`, in UTC.
    """
    shipped, promised, delivered = (_instant(block[name]) for name in ("ship_ts", "promised_ts", "delivered_ts"))
    status = _dictionary(block["status"])
    is_delivered = _is(status, "delivered")
    timed = is_delivered & delivered.known & shipped.known
    comparable = is_delivered & delivered.known & promised.known
    is_late = comparable & (delivered.micros > promised.micros)
    tenths_km = _numbers(block["distance_km"])
    hours = pa.array(shipped.seconds // SECONDS_AN_HOUR % 24, mask=~shipped.known)
    return Shipments(
        keys={
            **{name: _dictionary(block[name]) for name in _KEYS},
            "hour": hours.dictionary_encode(),
        },
        measures={
            "shipments": np.ones(len(block), np.bool_),
            "delivered": is_delivered,
            "on_time": comparable & ~is_late,
            "late": is_late | _is(status, "delayed"),
            **{name: _is(status, name) for name in ("delayed", "lost", "returned", "in_transit")},
            "timed": timed,
            "transit_s": np.where(timed, delivered.seconds - shipped.seconds, 0),
            "tenths_km": tenths_km,
            "timed_tenths_km": np.where(timed, tenths_km, 0),
            **{measure: _numbers(block[column]) for measure, column in _SUMMED.items()},
        },
    )


def grouped(shipments: Shipments, grouping: Grouping) -> Iterator[tuple[Key, Group]]:
    """The shipments' groups; of keys that are missing, None is the value."""
    rows = len(shipments.measures["shipments"])
    if rows == 0:
        return
    codes = np.zeros(rows, np.int64)
    for name in grouping.keys:
        key = shipments.keys[name]
        codes = codes * (len(key.dictionary) + 1) + key.indices.fill_null(len(key.dictionary)).to_numpy()
    encoded = pa.array(codes).dictionary_encode()
    group, groups = encoded.indices.to_numpy(), len(encoded.dictionary)
    # Sums as doubles are exact up to 2**53, far above what a block comes to.
    sums = [np.bincount(group, shipments.measures[name], groups).astype(np.int64) for name in grouping.sums]
    keys = _keys(encoded.dictionary.to_numpy(), [shipments.keys[name].dictionary for name in grouping.keys])
    values = _split(shipments, grouping, group, groups)
    for key, of_group, spread in zip(keys, np.stack(sums, axis=1), values, strict=True):
        yield key, Group(of_group, spread)


def percentile(values: Integers, share: float) -> float | None:
    """The exact percentile of sorted values, between two of them in proportion; None of none."""
    if not len(values):
        return None
    place = (len(values) - 1) * share
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return float(values[below] + (place - below) * (values[above] - values[below]))


def _keys(codes: Integers, dictionaries: Sequence[pa.Array]) -> list[Key]:
    """The key values that these codes were made of."""
    parts = []
    for dictionary in reversed(dictionaries):
        codes, position = np.divmod(codes, len(dictionary) + 1)
        values = [*dictionary.to_pylist(), None]
        parts.append([values[at] for at in position])
    return list(zip(*reversed(parts), strict=True)) if parts else [()] * len(codes)


def _split(shipments: Shipments, grouping: Grouping, group: Integers, groups: int) -> Sequence[tuple[Integers, ...]]:
    """The values of the spread, by group."""
    if grouping.spread is None:
        return [()] * groups
    which = np.flatnonzero(shipments.measures[grouping.spread_of])
    group = group[which].astype(np.uint16 if groups < 2**16 else np.int64)  # short numbers are sorted much faster
    values: Integers = shipments.measures[grouping.spread][which][np.argsort(group, kind="stable")].astype(np.int64)
    ends = np.cumsum(np.bincount(group, minlength=groups))
    return [(part,) for part in np.split(values, ends[:-1])]


@dataclass(frozen=True)
class _Instant:
    """A column of times: microseconds and whole seconds since 1970, 0 where it is not known."""

    micros: Integers
    known: npt.NDArray[np.bool_]

    @property
    def seconds(self) -> Integers:
        return self.micros // 1_000_000


def _instant(times: pa.ChunkedArray) -> _Instant:
    known = times.is_valid().to_numpy()
    return _Instant(times.cast(pa.int64()).fill_null(0).to_numpy(), known)


def _numbers(column: pa.ChunkedArray) -> Integers:
    numbers: Integers = column.cast(pa.int64()).fill_null(0).to_numpy()
    return numbers


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return column.dictionary_encode().unify_dictionaries().combine_chunks()


def _is(column: pa.DictionaryArray, value: str) -> npt.NDArray[np.bool_]:
    position = pc.index(column.dictionary, value).as_py()
    indices: Integers = column.indices.fill_null(-1).to_numpy()
    found: npt.NDArray[np.bool_] = (indices == position) & (position >= 0)
    return found
