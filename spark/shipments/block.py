"""A block of raw shipments as a Parquet file: `BLOCK_ROWS` rows of a day, made from (seed, date, block number) alone.

It is drawn as numbers (`draft`), a share of its rows is broken on purpose (`breakage`), and then Arrow columns and a
file come of it. Where text repeats, the numbers become the codes of Arrow dictionaries: no string is made twice.
"""

import datetime as dt
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shipments.breakage import break_rows
from shipments.draft import DELIVERED, Draft, Integers, draw
from shipments.network import CARRIERS, CITIES, CURRENCY, SERVICE_LEVELS, STATUSES, WAREHOUSE_IDS
from shipments.pools import pools
from shipments.schema import RAW_SCHEMA
from shipments.streams import Stream, Streams

BLOCK_ROWS = 50_000
UNKNOWN_WAREHOUSE_ID = "WH-XXX-00"


@dataclass(frozen=True)
class Block:
    """A block's file, and how many of its rows were broken by each rule (every rule has an entry)."""

    rows: int
    content: bytes
    injected: dict[str, int]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def make_block(seed: int, day: dt.date, block: int, rows: int, broken_share: float) -> Block:
    """The first `rows` rows of a block, `broken_share` of them broken. Fewer rows are a prefix of more."""
    streams = Streams(seed, day, block)
    draft = draw(streams, day, rows)
    injected = break_rows(draft, streams[Stream.BREAKAGE], broken_share)
    return Block(rows=rows, content=to_parquet(to_table(draft, seed, day, block)), injected=injected)


def to_table(draft: Draft, seed: int, day: dt.date, block: int) -> pa.Table:
    """The draft as Arrow columns: `schema.RAW_COLUMNS`, in their order and types."""
    pool = pools(seed)
    delivered = draft.status == DELIVERED
    columns: dict[str, pa.Array] = {
        "shipment_id": _numbered(f"S{day:%Y%m%d}-{block:05d}-", draft.id_row),
        "order_id": _numbered(f"O{day:%Y%m%d}-{block:05d}-", draft.order),
        "customer_id": _coded(draft.customer, pool.customer_ids),
        "customer_name": _coded(draft.customer, pool.customer_names),
        "carrier": _coded(draft.carrier, [c.name for c in CARRIERS]),
        "service_level": _coded(draft.service_level, [s.name for s in SERVICE_LEVELS]),
        "status": _coded(draft.status, STATUSES),
        "warehouse_id": _coded(draft.warehouse, [*WAREHOUSE_IDS, UNKNOWN_WAREHOUSE_ID]),
        "origin_city": _coded(draft.origin, [c.name for c in CITIES]),
        "origin_state": _coded(draft.origin, [c.state for c in CITIES]),
        "destination_city": _coded(draft.destination, [c.name for c in CITIES]),
        "destination_state": _coded(draft.destination, [c.state for c in CITIES]),
        "destination_postcode": _coded(draft.postcode, pool.postcodes),
        "ship_ts": _timestamp(draft.shipped),
        "promised_ts": _timestamp(draft.promised),
        "delivered_ts": _timestamp(draft.delivered, null=~delivered),
        "distance_km": _decimal(draft.distance_tenths_km, "distance_km"),
        "weight_kg": _decimal(draft.weight_g, "weight_kg"),
        "volume_m3": _decimal(draft.volume_100_cm3, "volume_m3"),
        "items": pa.array(draft.items, pa.int32()),
        "base_cost": _decimal(draft.base_cents, "base_cost"),
        "fuel_surcharge": _decimal(draft.fuel_cents, "fuel_surcharge"),
        "insurance_cost": _decimal(draft.insurance_cents, "insurance_cost"),
        "total_cost": _decimal(draft.total_cents, "total_cost"),
        "currency": _coded(np.zeros(len(draft), np.int64), [CURRENCY]),
    }
    return pa.table(columns)


def to_parquet(table: pa.Table) -> bytes:
    """The table as a Parquet file: one row group, decimals as integers, strings by dictionary where they repeat."""
    content = io.BytesIO()
    pq.write_table(
        table,
        content,
        compression="zstd",
        compression_level=1,
        row_group_size=BLOCK_ROWS,
        use_dictionary=[field.name for field in table.schema if pa.types.is_dictionary(field.type)],
        store_decimal_as_integer=True,
        store_schema=False,
    )
    return content.getvalue()


def _numbered(prefix: str, numbers: Integers) -> pa.Array:
    """Text such as `S20260131-00004-000017`."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=6, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _coded(codes: Integers, values: Sequence[str] | pa.Array) -> pa.Array:
    """The values at these positions, as a dictionary array; null at -1."""
    # Parquet keeps a dictionary only when no value is in it twice (a state has several cities).
    distinct = (values if isinstance(values, pa.Array) else pa.array(values)).dictionary_encode()
    positions = distinct.indices.to_numpy()[codes]
    return pa.DictionaryArray.from_arrays(pa.array(positions, mask=codes < 0), distinct.dictionary)


def _timestamp(minutes: Integers, null: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(minutes * 60_000_000, pa.timestamp("us", tz="UTC"), mask=null)


def _decimal(units: Integers, column: str) -> pa.Array:
    """Integers in units of the last digit as a raw column's decimals: Arrow keeps one as two words, the lower first."""
    words = np.stack([units, units >> 63], axis=1)
    return pa.Array.from_buffers(RAW_SCHEMA.field(column).type, len(units), [None, pa.py_buffer(words)])
