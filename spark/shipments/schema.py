"""A raw shipment's columns, declared once for both sides: what the generator writes and the processor reads.

Money, weights, volumes and distances are decimals, so that their sums are exact and do not depend on the order in
which rows are added: running a day again gives the same tables to the last digit.
"""

import re
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """A column: its name, its Spark SQL type, and what it means. Timestamps are UTC."""

    name: str
    sql_type: str
    meaning: str


RAW_COLUMNS = (
    Column("shipment_id", "string", "the shipment; unique, but for broken rows"),
    Column("order_id", "string", "the order it belongs to; an order can have several shipments"),
    Column("customer_id", "string", "who ordered"),
    Column("customer_name", "string", "the customer's name"),
    Column("carrier", "string", "who carries it"),
    Column("service_level", "string", "ground, express, overnight or freight"),
    Column("status", "string", "delivered, in_transit, delayed, returned or lost"),
    Column("warehouse_id", "string", "where it was shipped from"),
    Column("origin_city", "string", "the warehouse's city"),
    Column("origin_state", "string", "the warehouse's state, two letters"),
    Column("destination_city", "string", "where it goes"),
    Column("destination_state", "string", "where it goes, two letters"),
    Column("destination_postcode", "string", "where it goes, five digits"),
    Column("ship_ts", "timestamp", "when it left the warehouse, on the ship date"),
    Column("promised_ts", "timestamp", "when it should arrive at the latest"),
    Column("delivered_ts", "timestamp", "when it arrived; null unless delivered"),
    Column("distance_km", "decimal(7,1)", "by road, in km"),
    Column("weight_kg", "decimal(8,3)", "in kg"),
    Column("volume_m3", "decimal(8,4)", "in m³"),
    Column("items", "int", "pieces in the shipment"),
    Column("base_cost", "decimal(8,2)", "the carrier's price, in `currency`"),
    Column("fuel_surcharge", "decimal(8,2)", "on top of it"),
    Column("insurance_cost", "decimal(8,2)", "on top of it"),
    Column("total_cost", "decimal(8,2)", "base_cost + fuel_surcharge + insurance_cost"),
    Column("currency", "string", "USD"),
)

RAW_NAMES = tuple(column.name for column in RAW_COLUMNS)
RAW_DDL = ", ".join(f"{column.name} {column.sql_type}" for column in RAW_COLUMNS)


def arrow_type(sql_type: str) -> pa.DataType:
    """The Arrow type of a column of this Spark SQL type."""
    if decimal := re.fullmatch(r"decimal\((\d+),(\d+)\)", sql_type):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return {"string": pa.string(), "int": pa.int32(), "timestamp": pa.timestamp("us", tz="UTC")}[sql_type]


RAW_SCHEMA = pa.schema([(column.name, arrow_type(column.sql_type)) for column in RAW_COLUMNS])
