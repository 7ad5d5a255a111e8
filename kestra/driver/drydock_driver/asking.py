"""Requests that must not be carried out twice: asked again only when it is known that they were not carried out.

`RunJobFlow` and `AddJobFlowSteps` have no client token. When an answer is lost, what was asked for may be there; it is
looked for by its name before anything else is done.
"""

import math
import time
from collections.abc import Callable

from drydock_driver.errors import AwsUnreachable, DriverError, OutcomeUnknown, TimedOut
from drydock_driver.interruption import Interruption
from drydock_driver.reporting import Reporter
from drydock_driver.waiting import Look, Patience, wait_until

LOST_ANSWER_SECONDS = 60
MOST_LOST_ANSWERS = 3
UNREACHABLE_PAUSE_SECONDS = 2


def ask_once(
    ask: Callable[[], str],
    find: Callable[[], str | None],
    what: str,
    interruption: Interruption,
    reporter: Reporter,
    unreachable_seconds: float,
) -> str:
    """The id of `what`, made by `ask` or, when its answer was lost, found by `find`.

    Raises AwsUnreachable when AWS could not be asked for so long, or lost three answers without there being anything;
    OutcomeUnknown when it is not known whether there is something; Interrupted; and whatever else `ask` raises.
    """
    lost_answers = 0
    unreachable_since: float | None = None
    while True:
        interruption.check()
        try:
            return ask()
        except AwsUnreachable as error:
            if not error.sent:
                unreachable_since = unreachable_since or time.monotonic()
                if time.monotonic() - unreachable_since >= unreachable_seconds:
                    raise
                interruption.wait(UNREACHABLE_PAUSE_SECONDS)
                continue
            lost_answers += 1
            reporter.news(f"{error} Whether there is a {what} now is not known: looking for it")
            if (found := _look_for(find, what, error)) is not None:
                return found
            if lost_answers == MOST_LOST_ANSWERS:
                raise
            reporter.news(f"there is no {what}: asking again")


def patiently(ask: Callable[[], None], what: str, interruption: Interruption, unreachable_seconds: float) -> None:
    """Ask what may be asked as often as one likes, until it is answered. `what` completes «waited for …»."""

    def look() -> Look:
        ask()
        return Look.DONE

    wait_until(look, interruption.wait, Patience(math.inf, unreachable_seconds), what)


def _look_for(find: Callable[[], str | None], what: str, lost: AwsUnreachable) -> str | None:
    # Not interruptible: what nobody knows the id of is what nobody ends.
    found: str | None = None

    def look() -> Look:
        nonlocal found
        found = find()
        return Look.DONE if found else Look.SAME

    try:
        wait_until(look, time.sleep, Patience(LOST_ANSWER_SECONDS, LOST_ANSWER_SECONDS), f"{what} to be listed")
    except TimedOut:
        return None  # AWS answers, and lists none
    except DriverError as error:
        raise OutcomeUnknown(f"{lost} Whether there is a {what} now is not known: {error}") from error
    return found
