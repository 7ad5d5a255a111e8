"""Waiting for AWS: quick at first, slower as the wait grows, not put off by an endpoint that is away for a while."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from drydock_driver.errors import AwsRefused, AwsUnreachable, TimedOut

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
# A look comes late by one twentieth of the wait at most: 1 s in the first twenty, 30 s after ten minutes.
SHARE_OF_WAIT = 1 / 20


class Look(Enum):
    """What a look found."""

    SAME = auto()
    CHANGED = auto()
    DONE = auto()


@dataclass(frozen=True)
class Patience:
    """How long to wait: for the thing itself, and for AWS to answer again once it has stopped answering."""

    timeout_seconds: float
    unreachable_seconds: float


def wait_until(look: Callable[[], Look], pause: Callable[[float], None], patience: Patience, what: str) -> None:
    """Call `look` until it finds DONE, with `pause` between. A change makes the looks quick again.

    Raises TimedOut; AwsUnreachable (or a throttled AwsRefused) when that has lasted for `unreachable_seconds`; and
    whatever else `look` or `pause` raises.
    """
    started = changed = time.monotonic()
    unreachable_since: float | None = None
    while True:
        try:
            found = look()
            unreachable_since = None
        except (AwsUnreachable, AwsRefused) as error:
            if isinstance(error, AwsRefused) and not error.throttled:
                raise
            found = Look.SAME
            unreachable_since = unreachable_since or time.monotonic()
            if time.monotonic() - unreachable_since >= patience.unreachable_seconds:
                raise
        now = time.monotonic()
        if found is Look.DONE:
            return
        if found is Look.CHANGED:
            changed = now
        if now - started >= patience.timeout_seconds:
            raise TimedOut(f"Waited {patience.timeout_seconds:.0f} s for {what}, which did not happen.")
        pause(interval_seconds(now - changed))


def interval_seconds(waited_seconds: float) -> float:
    """How long to pause after having waited for so long without a change."""
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, waited_seconds * SHARE_OF_WAIT))
