"""What makes a raw row unfit to be counted, declared as data: the processor checks it, the generator breaks it, the
documentation lists it (`docs/data.md`, held equal by a test).

A row can break several rules. It is then quarantined once, with all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from shipments.network import WAREHOUSE_IDS

LATER_COPY = "later_copy"


@dataclass(frozen=True)
class Rule:
    """A rule: its name, when a row breaks it (once for the machine, once for people), and why that matters.

    `broken_when` is of a block's columns, decimals in units (see `raw_block`), and `later_copy`; it is never null.
    """

    name: str
    broken_when: pc.Expression
    says: str
    why: str


def _text(column: str) -> pc.Expression:
    return pc.field(column).cast(pa.string())


def _is(condition: pc.Expression) -> pc.Expression:
    """Whether the condition holds; it does not where a value that it needs is missing."""
    return pc.coalesce(condition, pc.scalar(False))


DELIVERED_BEFORE_SHIPPED = Rule(
    "delivered_before_shipped",
    _is(pc.field("delivered_ts") < pc.field("ship_ts")),
    "`delivered_ts` < `ship_ts`, both known",
    "A negative time in transit makes its carrier look faster than it is.",
)
DUPLICATE_ID = Rule(
    "duplicate_id",
    pc.field(LATER_COPY),
    "a row of the date with the same `shipment_id` has a lower block, or a lower row of its block",
    "A shipment sent twice would be counted and paid twice; the copy with the lowest block and row is kept.",
)
MISSING_CARRIER = Rule(
    "missing_carrier",
    ~_is(pc.utf8_trim(_text("carrier"), " ") != ""),
    "`carrier` is null, empty, or spaces",
    "Without a carrier nobody's performance and nobody's invoice can be held against the shipment.",
)
NEGATIVE_WEIGHT = Rule(
    "negative_weight",
    ~_is(pc.field("weight_kg") >= 0),
    "`weight_kg` < 0, or null",
    "A weight below zero, or an unknown one, falsifies every cost per kg.",
)
TOTAL_MISMATCH = Rule(
    "total_mismatch",
    ~_is(pc.field("total_cost") == pc.field("base_cost") + pc.field("fuel_surcharge") + pc.field("insurance_cost")),
    "`total_cost` ≠ `base_cost` + `fuel_surcharge` + `insurance_cost`, or one of them is null",
    "A total that is not the sum of its parts cannot be invoiced, and the parts' shares would not add up.",
)
UNKNOWN_WAREHOUSE = Rule(
    "unknown_warehouse",
    ~_is(_text("warehouse_id").isin(WAREHOUSE_IDS)),
    f"`warehouse_id` is null, or none of {', '.join(WAREHOUSE_IDS)}",
    "Demand at a warehouse that does not exist cannot be staffed; as a rule the code was mistyped.",
)

RULES = (
    DELIVERED_BEFORE_SHIPPED,
    DUPLICATE_ID,
    MISSING_CARRIER,
    NEGATIVE_WEIGHT,
    TOTAL_MISMATCH,
    UNKNOWN_WAREHOUSE,
)


NEEDED = ("delivered_ts", "ship_ts", "carrier", "weight_kg", "total_cost", "base_cost", "fuel_surcharge",
          "insurance_cost", "warehouse_id")  # fmt: skip


def broken(block: pa.Table, later_copies: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Row × rule (in the order of `RULES`): whether the row breaks it. Needs the columns `NEEDED`, in units, and the
    rows that are later copies of another."""
    copied = np.zeros(len(block), np.bool_)
    copied[later_copies] = True
    conditions = {rule.name: rule.broken_when for rule in RULES}
    rows = ds.dataset(block.append_column(LATER_COPY, pa.array(copied)))
    found = rows.to_table(columns=conditions, use_threads=False)
    return np.stack([column.to_numpy() for column in found.columns], axis=1)


def names(broken: Sequence[bool]) -> list[str]:
    """The names of the rules that a row breaks, sorted as they are declared."""
    return [rule.name for rule, breaks in zip(RULES, broken, strict=True) if breaks]
