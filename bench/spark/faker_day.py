"""Shipments by Faker, a row at a time, as one would write it first: what the generator is measured beside.

    python bench/spark/faker_day.py <rows> <s3:// or file:/// folder>

A row has the columns of a raw shipment, of the same types; a Parquet file comes of them, by the generator's own writer.
"""

import datetime as dt
import random
import sys
from decimal import Decimal
from typing import Any

import pyarrow as pa
from faker import Faker

from shipments.block import to_parquet
from shipments.network import CARRIERS, CITIES, SERVICE_LEVELS, STATUSES, WAREHOUSES
from shipments.schema import RAW_SCHEMA
from shipments.storage import open_folder

MIDNIGHT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def shipment(fake: Faker, choice: random.Random, number: int) -> dict[str, Any]:
    """A row, all of it drawn for this row alone."""
    warehouse, origin, destination = choice.choice(WAREHOUSES), choice.choice(CITIES), choice.choice(CITIES)
    shipped = MIDNIGHT + dt.timedelta(minutes=choice.randrange(24 * 60))
    base, fuel, insurance = (Decimal(choice.randrange(100, 90_000)).scaleb(-2) for _ in range(3))
    return {
        "shipment_id": f"S{number:09d}",
        "order_id": f"O{number:09d}",
        "customer_id": f"C-{choice.randrange(6_000):06d}",
        "customer_name": fake.name(),
        "carrier": choice.choice(CARRIERS).name,
        "service_level": choice.choice(SERVICE_LEVELS).name,
        "status": choice.choice(STATUSES),
        "warehouse_id": warehouse.id,
        "origin_city": origin.name,
        "origin_state": origin.state,
        "destination_city": destination.name,
        "destination_state": destination.state,
        "destination_postcode": fake.postcode_in_state(destination.state),
        "ship_ts": shipped,
        "promised_ts": shipped + dt.timedelta(days=2),
        "delivered_ts": shipped + dt.timedelta(minutes=choice.randrange(4 * 24 * 60)),
        "distance_km": Decimal(choice.randrange(100, 45_000)).scaleb(-1),
        "weight_kg": Decimal(choice.randrange(50, 900_000)).scaleb(-3),
        "volume_m3": Decimal(choice.randrange(1, 90_000)).scaleb(-4),
        "items": choice.randrange(1, 9),
        "base_cost": base,
        "fuel_surcharge": fuel,
        "insurance_cost": insurance,
        "total_cost": base + fuel + insurance,
        "currency": "USD",
    }


def main(rows: int, target: str) -> None:
    fake, choice = Faker("en_US"), random.Random(42)
    Faker.seed(42)
    table = pa.Table.from_pylist([shipment(fake, choice, number) for number in range(rows)], RAW_SCHEMA)
    open_folder(target).write("faker.parquet", to_parquet(table))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
