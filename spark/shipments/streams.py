"""Random numbers that depend on (seed, date, block) and what they are for, and on nothing else.

Philox is counter-based: a key and a counter give the numbers, without a state to carry from block to block. The key
is the block's; each column starts at a counter of its own, far from the others. So a block is the same whoever makes
it, in whatever order; its first rows are the same however many are asked for; and no column moves another.
"""

import datetime as dt
from enum import IntEnum, auto

import numpy as np


class Stream(IntEnum):
    """The independent streams of a block. A number must never be given to something else."""

    ORDER = auto()
    CUSTOMER = auto()
    CARRIER = auto()
    SERVICE_LEVEL = auto()
    WAREHOUSE = auto()
    DESTINATION = auto()
    POSTCODE = auto()
    HOUR = auto()
    MINUTE = auto()
    LAST_MILE = auto()
    WEIGHT = auto()
    DENSITY = auto()
    ITEMS = auto()
    PRICE = auto()
    VALUE = auto()
    TRANSIT = auto()
    STATUS = auto()
    BREAKAGE = auto()


class Streams:
    """The streams of one block."""

    def __init__(self, seed: int, day: dt.date, block: int) -> None:
        self._key = np.array([seed, day.toordinal() << 32 | block], dtype=np.uint64)

    def __getitem__(self, which: Stream) -> np.random.Generator:
        """A stream, from its beginning."""
        return np.random.Generator(np.random.Philox(key=self._key, counter=[0, 0, 0, which]))
