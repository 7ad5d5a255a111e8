"""Rows broken on purpose, so that the processor has something to find: one rule a broken row, counted as it is broken.

A row is broken so that it breaks its rule and no other. Then what is counted here is what must be quarantined there,
rule by rule.
"""

import numpy as np

from shipments.draft import DELIVERED, Draft, Integers
from shipments.network import WAREHOUSES
from shipments.rules import (
    DELIVERED_BEFORE_SHIPPED,
    DUPLICATE_ID,
    MISSING_CARRIER,
    NEGATIVE_WEIGHT,
    RULES,
    TOTAL_MISMATCH,
    UNKNOWN_WAREHOUSE,
)

INTACT = -1


def break_rows(draft: Draft, random: np.random.Generator, share: float) -> dict[str, int]:
    """Break about `share` of the rows in place; return how many by each rule, zeros included.

    A duplicate takes the id of the nearest intact row above it in its block, so the lowest copy of an id is always
    the intact one. A row that has none above it loses its carrier instead.
    """
    broken_by, extent = _drawn(random, len(draft), share)
    originals = _nearest_intact_above(broken_by)
    broken_by[(broken_by == RULES.index(DUPLICATE_ID)) & (originals == INTACT)] = RULES.index(MISSING_CARRIER)

    late = broken_by == RULES.index(DELIVERED_BEFORE_SHIPPED)
    draft.status[late] = DELIVERED
    draft.delivered[late] = draft.shipped[late] - extent[late]
    duplicate = broken_by == RULES.index(DUPLICATE_ID)
    draft.id_row[duplicate] = originals[duplicate]
    draft.carrier[broken_by == RULES.index(MISSING_CARRIER)] = -1
    heavy = broken_by == RULES.index(NEGATIVE_WEIGHT)
    draft.weight_g[heavy] = -draft.weight_g[heavy]
    mismatch = broken_by == RULES.index(TOTAL_MISMATCH)
    draft.total_cents[mismatch] += extent[mismatch]
    draft.warehouse[broken_by == RULES.index(UNKNOWN_WAREHOUSE)] = len(WAREHOUSES)
    return {rule.name: int(np.count_nonzero(broken_by == position)) for position, rule in enumerate(RULES)}


def _drawn(random: np.random.Generator, rows: int, share: float) -> tuple[Integers, Integers]:
    """For each row the position of the rule it shall break (or `INTACT`), and by how much: 1 to 4,320 (minutes of
    three days, or cents)."""
    # Row by row, so that fewer rows are a prefix of more.
    numbers = random.random((rows, 3))
    broken_by = np.where(numbers[:, 0] < share, np.floor(numbers[:, 1] * len(RULES)).astype(np.int64), INTACT)
    return broken_by, 1 + np.floor(numbers[:, 2] * 4320).astype(np.int64)


def _nearest_intact_above(broken_by: Integers) -> Integers:
    rows = np.arange(len(broken_by))
    return np.maximum.accumulate(np.where(broken_by == INTACT, rows, INTACT))
