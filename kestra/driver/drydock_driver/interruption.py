"""Signals, as a wish that is looked at between two calls of AWS, never in the middle of one.

A handler that raises could tear a `RunJobFlow` apart between AWS's carrying it out and our reading the cluster's id.
So the handlers only take a note, and every wait of the driver is a wait for that note.
"""

import os
import select
import signal
from types import FrameType

from drydock_driver.errors import Interrupted

# SIGHUP: the terminal or the connection to it was closed. Nobody is left to see to the cluster.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """The first signal decides; further ones are counted and change nothing."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.count = 0
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._writable, False)

    def install(self) -> None:
        """Take over SIGINT, SIGTERM and SIGHUP."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise Interrupted when a signal has come."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    def wait(self, seconds: float) -> None:
        """Wait; raise Interrupted as soon as a signal comes, or has come before."""
        self.check()
        select.select([self._readable], [], [], seconds)
        self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.signal_number is None:
            self.signal_number = number
            os.write(self._writable, b"!")
