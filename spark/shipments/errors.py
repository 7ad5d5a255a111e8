"""What can go wrong in a job, as one small tree.

ShipmentsError             printed as a sentence; exit code 1; never a traceback
├── StorageError           an object could not be read, written, listed or deleted
├── RawDataMissing         the day has no manifest: never generated, or interrupted
├── RawDataDamaged         the day's files are not those that its manifest names
├── RowsUnaccounted        rows were lost or invented on the way: raw ≠ accepted + quarantined
├── DayTaken               another run has written the same day of a table at the same time
└── TooManyBroken          so many rows break a rule that it is the day's data that is wrong, not a few rows
"""


class ShipmentsError(Exception):
    """A failure that is explained by its message alone."""


class StorageError(ShipmentsError):
    """An object could not be read, written, listed or deleted."""


class RawDataMissing(ShipmentsError):
    """The day has no manifest, so there is nothing that is known to be complete."""


class RawDataDamaged(ShipmentsError):
    """The day's files differ from its manifest, or the manifest cannot be read."""


class RowsUnaccounted(ShipmentsError):
    """The rows that were read are not the accepted and the quarantined ones together."""


class TooManyBroken(ShipmentsError):
    """More of the day's rows break a rule than may."""


class DayTaken(ShipmentsError):
    """Another run has written the same day of a table at the same time."""
