"""Names and postcodes, made by Faker once a worker process and seed, then drawn from by number.

Faker makes some thousand values a second, a block needs them by the hundred thousand: pools keep it out of the way.
Faker's own weighting is off; how often a value occurs is decided where it is drawn.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from faker import Faker

from shipments.network import CITIES

CUSTOMERS = 6_000
POSTCODES_A_CITY = 48
_COMPANY_SHARE = 0.3


@dataclass(frozen=True)
class Pools:
    """Values to draw from by number. The postcodes of the city at position `c` start at `c * POSTCODES_A_CITY`."""

    customer_ids: pa.Array
    customer_names: pa.Array
    postcodes: pa.Array


@cache
def pools(seed: int) -> Pools:
    """The pools of a seed; equal for equal seeds (and one version of Faker)."""
    fake = Faker("en_US", use_weighting=False)
    fake.seed_instance(seed)
    companies = np.random.Generator(np.random.Philox(key=seed)).random(CUSTOMERS) < _COMPANY_SHARE
    return Pools(
        customer_ids=pa.array([f"C-{number:06d}" for number in range(CUSTOMERS)]),
        customer_names=pa.array([fake.company() if company else fake.name() for company in companies]),
        postcodes=pa.array([fake.postcode_in_state(city.state) for city in CITIES for _ in range(POSTCODES_A_CITY)]),
    )
