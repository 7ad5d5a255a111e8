"""A block of raw shipments as the processor sees it: its file checked against the manifest, its columns as Arrow.

Text that repeats comes as dictionaries, as it is stored. Decimals come as whole numbers, in units of their last digit
(cents, grams, tenths of a km): sums of them are exact, and a machine adds them as it adds nothing else.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shipments.raw_day import BlockFile, damaged, day_uri
from shipments.schema import RAW_SCHEMA
from shipments.storage import open_folder

_NUMBERED = ("shipment_id", "order_id")  # of the texts, those that hardly repeat
_REPEATED = [field.name for field in RAW_SCHEMA if pa.types.is_string(field.type) and field.name not in _NUMBERED]


def read_block(source: str, date: dt.date, block: BlockFile, columns: Iterable[str]) -> pa.Table:
    """Some of the block's columns.

    Raises `RawDataDamaged` unless the file is the one the manifest describes, with a raw day's columns and types.
    """
    try:
        content = open_folder(day_uri(source, date)).read(block.name)
    except FileNotFoundError:
        raise damaged(source, date, f"{block.name} is missing") from None
    if hashlib.sha256(content).hexdigest() != block.sha256:
        raise damaged(source, date, f"the SHA-256 of {block.name} is not the manifest's")
    try:
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=_REPEATED)
        difference = _difference(_plain(file.schema_arrow)) or _difference_in_rows(file.metadata.num_rows, block)
        if difference is None:
            return file.read(list(columns), use_threads=False)
    except pa.ArrowException as error:
        raise damaged(source, date, f"{block.name} cannot be read as Parquet ({error})") from error
    raise damaged(source, date, f"{block.name} {difference}")


def in_units(table: pa.Table) -> pa.Table:
    """The table with its decimals as longs in units of their last digit; nulls stay."""
    columns = {
        name: _unscaled(column.combine_chunks()) if pa.types.is_decimal(column.type) else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pa.table(columns)


def _unscaled(decimals: pa.Array) -> pa.Array:
    # Arrow keeps a decimal as two words, the lower one first; up to 18 digits are in the lower one alone.
    _, words = decimals.buffers()
    lower = np.frombuffer(words, np.int64)[2 * decimals.offset : 2 * (decimals.offset + len(decimals)) : 2]
    if decimals.null_count:
        return pa.array(lower, mask=decimals.is_null().to_numpy(zero_copy_only=False))
    return pa.array(lower)


def _plain(schema: pa.Schema) -> dict[str, pa.DataType]:
    types = zip(schema.names, schema.types, strict=True)
    return {name: type_.value_type if pa.types.is_dictionary(type_) else type_ for name, type_ in types}


def _difference(found: dict[str, pa.DataType]) -> str | None:
    """How a file's columns differ from those of a raw day."""
    for field in RAW_SCHEMA:
        if field.name not in found:
            return f"has no column {field.name}"
        if found[field.name] != field.type:
            return f"has {field.name} as {found[field.name]}, not as {field.type}"
    further = sorted(found.keys() - set(RAW_SCHEMA.names))
    return f"has a column that no raw day has: {', '.join(further)}" if further else None


def _difference_in_rows(rows: int, block: BlockFile) -> str | None:
    return None if rows == block.rows else f"has {rows} rows, its manifest says {block.rows}"
