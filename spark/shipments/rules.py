"""What makes a raw row unfit to be counted, declared as data: the processor checks it, the generator breaks it, the
documentation lists it (`docs/data.md`, held equal by a test).

A row can break several rules. It is then quarantined once, with all of them.
"""

from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from shipments.network import WAREHOUSE_IDS


@dataclass(frozen=True)
class Rule:
    """A rule: its name, when a row breaks it (a Spark SQL condition, never null), and why that matters."""

    name: str
    broken_when: str
    why: str


# A row's place in its day as one number: Spark aggregates numbers by hashing, structs only by sorting.
_POSITION = "(shiftleft(bigint(block), 40) + row)"

DELIVERED_BEFORE_SHIPPED = Rule(
    "delivered_before_shipped",
    "coalesce(delivered_ts < ship_ts, false)",
    "A negative time in transit makes its carrier look faster than it is.",
)
DUPLICATE_ID = Rule(
    "duplicate_id",
    f"coalesce({_POSITION} > first_copy, false)",
    "A shipment sent twice would be counted and paid twice; the copy with the lowest block and row is kept.",
)
MISSING_CARRIER = Rule(
    "missing_carrier",
    "coalesce(trim(carrier), '') = ''",
    "Without a carrier nobody's performance and nobody's invoice can be held against the shipment.",
)
NEGATIVE_WEIGHT = Rule(
    "negative_weight",
    "NOT coalesce(weight_kg >= 0, false)",
    "A weight below zero, or none at all, falsifies every cost per kg.",
)
TOTAL_MISMATCH = Rule(
    "total_mismatch",
    "NOT coalesce(total_cost = base_cost + fuel_surcharge + insurance_cost, false)",
    "A total that is not the sum of its parts cannot be invoiced, and the parts' shares would not add up.",
)
UNKNOWN_WAREHOUSE = Rule(
    "unknown_warehouse",
    f"NOT coalesce(warehouse_id IN ({', '.join(repr(id_) for id_ in WAREHOUSE_IDS)}), false)",
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


def with_broken_rules(raw: DataFrame) -> DataFrame:
    """`raw` (a day's `RAW_COLUMNS`, `block`, `row`) and `broken_rules`, the sorted names of the rules a row breaks."""
    # Only ids that occur twice are joined back: shuffling whole rows by their id would cost far more.
    copied = (
        raw.groupBy("shipment_id")
        .agg(F.min(F.expr(_POSITION)).alias("first_copy"), F.count(F.lit(1)).alias("copies"))
        .where("copies > 1")
        .drop("copies")
    )
    conditions = [F.expr(rule.broken_when) for rule in RULES]
    names = [F.when(condition, F.lit(rule.name)) for condition, rule in zip(conditions, RULES, strict=True)]
    # Arrays are filtered by interpreted code, some ten times slower than compiled: for the few broken rows alone.
    broken_rules = F.when(reduce(or_, conditions), F.sort_array(F.array_compact(F.array(*names))))
    return (
        raw.join(copied, "shipment_id", "left")
        .withColumn("broken_rules", F.coalesce(broken_rules, F.array().cast("array<string>")))
        .drop("first_copy")
    )
