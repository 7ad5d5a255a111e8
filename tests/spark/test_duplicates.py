"""Later copies of an id, found bucket by bucket: what a look at all ids together finds."""

from collections import defaultdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shipments.duplicates import IDS_A_BUCKET, buckets_for, dealt_out, later_copies


def found(blocks, buckets):
    """(block, row) of every later copy of the ids in these lists, one list a block."""
    met = defaultdict(list)
    for number, ids in enumerate(blocks):
        for bucket, of_bucket in dealt_out(number, pa.array(ids, pa.string()), buckets):
            met[bucket].append(of_bucket)
    return {(block, int(row)) for of_bucket in met.values() for block, rows in later_copies(of_bucket) for row in rows}


def expected(blocks):
    seen, later = set(), set()
    for block, ids in enumerate(blocks):
        for row, shipment_id in enumerate(ids):
            if shipment_id is not None and shipment_id in seen:
                later.add((block, row))
            seen.add(shipment_id)
    return later


IDS = st.one_of(st.none(), st.text("ab", max_size=3), st.text(max_size=4))


@given(blocks=st.lists(st.lists(IDS, max_size=12), max_size=5), buckets=st.integers(1, 4))
def test_it_finds_what_one_look_at_everything_finds(blocks, buckets):
    assert found(blocks, buckets) == expected(blocks)


def test_the_lowest_block_and_row_is_kept_whatever_comes_first():
    ids = [pa.array(block) for block in (["x", "twice"], ["y", "twice", "twice"], ["twice"])]
    met = [of_bucket for number in (2, 0, 1) for _, of_bucket in dealt_out(number, ids[number], 1)]
    assert {(block, tuple(rows)) for block, rows in later_copies(met)} == {(1, (1, 2)), (2, (0,))}


def test_part_of_a_column_is_dealt_out_by_its_own_ids():
    ids = pa.array(["long before", "a", "b", "a"]).slice(1)
    ((_, dealt),) = dealt_out(7, ids, 1)
    assert (dealt.block, dealt.rows.tolist(), dealt.ids.to_pylist()) == (7, [0, 1, 2], ["a", "b", "a"])


def test_buckets_stay_small_and_every_one_has_its_share():
    assert [buckets_for(rows) for rows in (0, 1, IDS_A_BUCKET, IDS_A_BUCKET + 1)] == [1, 1, 1, 2]
    ids = pa.array([f"S20260131-{block:05d}-{row:06d}" for block in range(4) for row in range(5_000)])
    sizes = [len(of_bucket.ids) for _, of_bucket in dealt_out(0, ids, 16)]
    assert len(sizes) == 16
    assert max(sizes) < 2 * sum(sizes) / 16
