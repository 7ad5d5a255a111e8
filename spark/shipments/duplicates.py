"""Rows that bear another row's id, found over a whole day without bringing the day together in one place.

Each block deals its ids out into buckets, an id always into the same one; a bucket's ids, of all blocks, meet in one
place, and fit there. Of the rows with one id the lowest (block, row) is the first copy, the others are later ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IDS_A_BUCKET = 500_000  # as a mean; they take some 100 bytes each where they meet

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ids:
    """Ids of a block, and the rows that bear them."""

    block: int
    rows: Rows
    ids: pa.Array


def buckets_for(rows: int) -> int:
    """Among how many buckets the ids of so many rows are dealt out."""
    return max(1, -(-rows // IDS_A_BUCKET))


def dealt_out(block: int, ids: pa.Array, buckets: int) -> Iterator[tuple[int, Ids]]:
    """The block's ids (strings; rows without one are left out) by bucket."""
    rows = np.flatnonzero(ids.is_valid().to_numpy(zero_copy_only=False))
    ids = ids.drop_null()
    bucket = _byte_sums(ids) % buckets
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=buckets))
    for number, of_bucket in enumerate(np.split(order, ends[:-1])):
        if len(of_bucket):
            yield number, Ids(block, rows[of_bucket], ids.take(pa.array(of_bucket)))


def later_copies(met: Iterable[Ids]) -> Iterator[tuple[int, Rows]]:
    """Of all ids of a bucket: the blocks that have later copies, with their rows, in order."""
    met = list(met)
    ids = pa.concat_arrays([of_block.ids for of_block in met])
    blocks = np.concatenate([np.full(len(of_block.rows), of_block.block) for of_block in met])
    rows = np.concatenate([of_block.rows for of_block in met])
    place = blocks << 32 | rows
    copies = (
        pa.table({"id": ids, "place": place})
        .group_by("id", use_threads=False)
        .aggregate([("place", "min"), ("place", "count")])
        .filter(pc.field("place_count") > 1)
    )
    which = pc.index_in(ids, copies["id"]).to_numpy(zero_copy_only=False)  # NaN: borne by one row alone
    borne_twice = np.flatnonzero(~np.isnan(which))
    first = copies["place_min"].to_numpy()[which[borne_twice].astype(np.int64)]
    later = np.sort(place[borne_twice[place[borne_twice] > first]])
    for block in np.unique(later >> 32):
        yield int(block), later[later >> 32 == block] & 0xFFFFFFFF


def _byte_sums(strings: pa.Array) -> Rows:
    """The sum of each string's bytes: equal for equal strings, and spread enough to deal by."""
    _, offsets, data = strings.buffers()
    ends = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    summed = np.concatenate([[0], np.cumsum(np.frombuffer(data, np.uint8), dtype=np.int64)])
    sums: Rows = np.diff(summed[ends])
    return sums
