"""What becomes of the flows, in words."""

from drydock.on_aws.flow_changes import SHOWN_LINES, Kind, between


def lines(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [line for change in between(before, after) for line in change.lines()]


def test_what_stays_is_no_change() -> None:
    assert between({"a.yaml": "id: a\n"}, {"a.yaml": "id: a\n"}) == []


def test_new_changed_and_removed_ones_are_told_apart() -> None:
    before = {"gone.yaml": "id: gone\n", "same.yaml": "id: same\n", "other.yaml": "id: other\ncron: 1\nlast: x\n"}
    after = {"same.yaml": "id: same\n", "other.yaml": "id: other\ncron: 2\nlast: x\n", "new.yaml": "id: new\n"}
    assert [(each.name, each.kind) for each in between(before, after)] == [
        ("gone", Kind.REMOVED),
        ("new", Kind.NEW),
        ("other", Kind.CHANGED),
    ]
    assert lines(before, after) == [
        "gone is removed",
        "new is new",
        "other is changed",
        "    @@ -1,3 +1,3 @@",
        "     id: other",
        "    -cron: 1",
        "    +cron: 2",
        "     last: x",
    ]


def test_a_long_difference_is_cut_and_says_so() -> None:
    before, after = ("".join(f"{word}: {number}\n" for number in range(20)) for word in ("was", "is"))
    told = lines({"a.yaml": before}, {"a.yaml": after})
    assert len(told) == 1 + SHOWN_LINES + 1
    assert told[-1] == "    and 29 more lines"
