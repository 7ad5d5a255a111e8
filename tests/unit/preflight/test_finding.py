"""Checks side by side: what they find, what becomes of one that breaks or hangs, and how all of it is told."""

import json
import threading
import time

import pytest

from drydock.errors import SetupError
from drydock.preflight.finding import (
    Check,
    Finding,
    Once,
    Status,
    as_json,
    carry_out,
    exit_code,
    failure,
    lines,
    ok,
    require,
    warning,
)


def finds(*findings: Finding) -> Check:
    return Check("Machine", "something", lambda: findings)


FOUND = {
    "Machine": [ok("Python", "3.11.7"), warning("memory", "2 GB free; 6 GB are needed.", "End something.")],
    "Docker": [failure("Compose", "It is 2.20.", "Install another.")],
}


def test_findings_come_in_the_checks_order_by_group():
    def slowly():
        time.sleep(0.05)
        yield ok("first", "is slow")

    found = carry_out([Check("A", "first", slowly), Check("B", "second", lambda: [ok("second", "")]), finds()])
    assert found == {"A": [ok("first", "is slow")], "B": [ok("second", "")], "Machine": []}


def test_one_that_breaks_keeps_what_it_found_and_the_others_go_on():
    def breaking():
        yield ok("first", "is there")
        raise ZeroDivisionError("division by zero\nand more")

    found = carry_out([Check("A", "second", breaking, Status.WARNING), finds(ok("other", ""))])
    assert found["A"] == [
        ok("first", "is there"),
        warning(
            "second", "This could not be looked at: ZeroDivisionError: division by zero.", "`make doctor` looks again."
        ),
    ]
    assert found["Machine"] == [ok("other", "")]


def test_an_error_that_explains_itself_is_told_as_it_is():
    def explaining():
        raise SetupError("There is no such folder.", "Make one.")

    assert carry_out([Check("A", "folder", explaining)]) == {
        "A": [failure("folder", "There is no such folder.", "Make one.")]
    }


def test_one_that_hangs_is_left_behind():
    release = threading.Event()

    def hanging():
        yield ok("first", "is there")
        release.wait(60)

    began = time.monotonic()
    found = carry_out([Check("A", "second", hanging), finds(ok("other", ""))], within_seconds=0.2)
    assert time.monotonic() - began < 30
    assert [each.subject for each in found["A"]] == ["first", "second"]
    assert found["A"][1].status is Status.FAILURE
    assert found["Machine"] == [ok("other", "")]
    release.set()


def test_what_several_checks_need_is_looked_up_once():
    asked = []

    def look_up() -> int:
        asked.append(1)
        time.sleep(0.05)
        return 7

    once = Once(look_up)
    carry_out([Check("A", "", lambda: [ok("", str(once()))]) for _ in range(5)])
    assert (once(), len(asked)) == (7, 1)


def test_lines_have_status_subject_finding_and_fix_and_end_with_the_count():
    assert [line for _, line in lines(FOUND)] == [
        "Machine",
        "  ok       Python   3.11.7",
        "  warning  memory   2 GB free; 6 GB are needed.",
        "                    → End something.",
        "Docker",
        "  failure  Compose  It is 2.20.",
        "                    → Install another.",
        "1 ok, 1 warnings, 1 failures",
    ]


def test_json_has_the_same():
    assert json.loads(as_json(FOUND)) == {
        "findings": [
            {"group": "Machine", "subject": "Python", "status": "ok", "found": "3.11.7", "fix": ""},
            {
                "group": "Machine",
                "subject": "memory",
                "status": "warning",
                "found": "2 GB free; 6 GB are needed.",
                "fix": "End something.",
            },
            {
                "group": "Docker",
                "subject": "Compose",
                "status": "failure",
                "found": "It is 2.20.",
                "fix": "Install another.",
            },
        ],
        "ok": 1,
        "warnings": 1,
        "failures": 1,
    }


def test_warnings_alone_are_no_failure():
    assert exit_code(FOUND) == 1
    assert exit_code({"Machine": FOUND["Machine"]}) == 0


def test_failures_are_raised_with_their_fixes_and_warnings_are_not():
    require(FOUND["Machine"])
    with pytest.raises(SetupError) as raised:
        require([*FOUND["Machine"], *FOUND["Docker"], failure("disk", "It is full.", "Make room.")])
    assert str(raised.value) == "It is 2.20. Install another.\nIt is full. Make room."
