"""What a check finds, and how checks are carried out: side by side, each in its time, none able to break another.

Standard library only.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from drydock.errors import DrydockError, SetupError

WITHIN_SECONDS = (
    20.0  # all checks together: each has a shorter limit of its own, and this is for what hangs all the same
)

T = TypeVar("T")


class Status(StrEnum):
    """A warning stops nothing, a failure does."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """What was found of a subject, against what is needed, and what mends it: sentences or phrases, for people."""

    subject: str
    status: Status
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """Something to look at. `look` yields findings; one that raises, or takes too long, adds one of `severity`."""

    group: str
    subject: str
    look: Callable[[], Iterable[Finding]]
    severity: Status = Status.FAILURE
    look_again: str = "`make doctor` looks again."


def ok(subject: str, found: str) -> Finding:
    return Finding(subject, Status.OK, found)


def warning(subject: str, found: str, fix: str) -> Finding:
    return Finding(subject, Status.WARNING, found, fix)


def failure(subject: str, found: str, fix: str) -> Finding:
    return Finding(subject, Status.FAILURE, found, fix)


class Once(Generic[T]):
    """A value that several checks need: the first that asks looks it up, and the others wait for that."""

    def __init__(self, look_up: Callable[[], T]) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._values: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._values:
                self._values.append(self._look_up())
            return self._values[0]


def carry_out(checks: Sequence[Check], within_seconds: float = WITHIN_SECONDS) -> dict[str, list[Finding]]:
    """Carry out all checks at once. Returns the findings by group, in the checks' order."""
    # No pool: at exit that would wait for a look-up of a name that nobody answers.
    under_way = [_UnderWay(check) for check in checks]
    for each in under_way:
        threading.Thread(target=each.carry_out, daemon=True).start()
    deadline = time.monotonic() + within_seconds
    found: dict[str, list[Finding]] = {}
    for each in under_way:
        each.ended.wait(max(0.0, deadline - time.monotonic()))
        found.setdefault(each.check.group, []).extend(each.result(within_seconds))
    return found


def require(findings: Iterable[Finding]) -> None:
    """Raise SetupError with the sentences of what is a failure, and how each is mended; nothing when none is."""
    failures = [each for each in findings if each.status is Status.FAILURE]
    if failures:
        raise SetupError("\n".join(f"{each.found} {each.fix}" for each in failures))


def count(found: Mapping[str, Sequence[Finding]]) -> dict[Status, int]:
    """How many findings there are of each status."""
    statuses = [each.status for findings in found.values() for each in findings]
    return {status: statuses.count(status) for status in Status}


def lines(found: Mapping[str, Sequence[Finding]]) -> Iterator[tuple[Status | None, str]]:
    """The findings for people, a line each, and their count; with the status of those lines that begin with one."""
    subjects = [each.subject for findings in found.values() for each in findings]
    width = max(map(len, subjects), default=0)
    for group, findings in found.items():
        if findings:
            yield None, group
        for each in findings:
            yield each.status, f"  {each.status:<9}{each.subject:<{width}}  {each.found}"
            if each.fix:
                yield None, f"{'':<{width + 11}}  → {each.fix}"
    counted = count(found)
    yield None, f"{counted[Status.OK]} ok, {counted[Status.WARNING]} warnings, {counted[Status.FAILURE]} failures"


def as_json(found: Mapping[str, Sequence[Finding]]) -> str:
    """The same for scripts: the findings with their groups, and the counts."""
    counted = count(found)
    document = {
        "findings": [{"group": group, **asdict(each)} for group, findings in found.items() for each in findings],
        "ok": counted[Status.OK],
        "warnings": counted[Status.WARNING],
        "failures": counted[Status.FAILURE],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def exit_code(found: Mapping[str, Sequence[Finding]]) -> int:
    """1 when one of the findings is a failure."""
    return 1 if count(found)[Status.FAILURE] else 0


@dataclass
class _UnderWay:
    check: Check
    ended: threading.Event = field(default_factory=threading.Event)
    _findings: list[Finding] = field(default_factory=list)

    def carry_out(self) -> None:
        try:
            for finding in self.check.look():
                self._findings.append(finding)
        except DrydockError as error:
            self._add(error.problem, error.fix or self.check.look_again)
        except Exception as error:  # whatever it is: the other checks go on, and the user is told
            said = (str(error) or "no reason given").splitlines()[0]
            self._add(f"This could not be looked at: {type(error).__name__}: {said}.", self.check.look_again)
        self.ended.set()

    def result(self, within_seconds: float) -> list[Finding]:
        """What was found by now."""
        if not self.ended.is_set():
            self._add(f"No answer within {within_seconds:.0f} s.", self.check.look_again)
        return list(self._findings)

    def _add(self, found: str, fix: str) -> None:
        self._findings.append(Finding(self.check.subject, self.check.severity, found, fix))
