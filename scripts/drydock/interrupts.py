"""What a verb makes of Ctrl-C, SIGTERM and a closed terminal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from drydock import output
from drydock.errors import Stopped

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """SIGINT, SIGTERM and SIGHUP, noted: for who looks whether one has come, and then brings things to an end."""

    def __init__(self) -> None:
        self.first: int | None = None

    @contextmanager
    def caught(self) -> Iterator[Self]:
        """Take the signals over for as long as the context lasts."""
        with handled_by(self._note):
            yield self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.first = self.first or number


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal like Ctrl-C, and only the first of them all: the rest is for cleaning up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in INTERRUPTS:
            signal.signal(each, signal.SIG_IGN)
        output.warn("Interrupted. What has begun comes to its end first; a moment.")
        raise KeyboardInterrupt

    with handled_by(interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Clean up to the end, however often Ctrl-C is pressed."""
    with handled_by(signal.SIG_IGN):
        yield


@contextmanager
def stoppable(sentence: str) -> Iterator[None]:
    """For what only looks, so that nothing has to come to an end: a signal raises Stopped with `sentence`."""
    stopped_by: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped_by.append(number)
        raise KeyboardInterrupt  # and not Stopped: botocore takes every Exception for one of its own

    try:
        with handled_by(stop):
            yield
    except KeyboardInterrupt:
        raise Stopped(sentence, stopped_by[0] if stopped_by else signal.SIGINT) from None


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    """Have `handler` take the interrupts for as long as the context lasts."""
    previous = {number: signal.signal(number, handler) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)
