"""What was compared: for each thing what each side has, and whether that is as it should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.markup import escape
from rich.table import Table

ONE_PROCESS, LOCAL, AWS = "one process", "local", "AWS"
"""Sides."""

SHOWN_CHARACTERS = 80


class Verdict(StrEnum):
    """Whether the sides agree."""

    SAME = "same"
    KNOWN = "known difference"
    DIFFERENT = "different"
    UNKNOWN = "not looked at"


MARKS = {
    Verdict.SAME: "[green]✓[/]",
    Verdict.KNOWN: "[blue]≠[/]",
    Verdict.DIFFERENT: "[red]✗[/]",
    Verdict.UNKNOWN: "[yellow]?[/]",
}


@dataclass(frozen=True)
class Item:
    """A thing that was compared. `sides` has what each side has of it; `note` a difference's consequence or reason."""

    what: str
    verdict: Verdict
    sides: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Things of one kind."""

    title: str
    items: Sequence[Item]

    def count(self, verdict: Verdict) -> int:
        return sum(item.verdict is verdict for item in self.items)

    @property
    def summary(self) -> str:
        """How many of which verdict: `12 same, 1 known difference`."""
        counts = {verdict: self.count(verdict) for verdict in Verdict}
        return ", ".join(
            f"{count} {verdict}{'s' if verdict is Verdict.KNOWN and count > 1 else ''}"
            for verdict, count in counts.items()
            if count
        )


def compared(what: str, sides: Mapping[str, str], known: str | None = None) -> Item:
    """The same when all sides have the same; else different, or `known`, which is the difference's consequence."""
    if len(set(sides.values())) <= 1:
        return Item(what, Verdict.SAME, sides)
    if known is not None:
        return Item(what, Verdict.KNOWN, sides, known)
    return Item(what, Verdict.DIFFERENT, sides)


def table(section: Section) -> Table | None:
    """What is not the same, for people; None when all is."""
    shown = [item for item in section.items if item.verdict is not Verdict.SAME]
    if not shown:
        return None
    drawn = Table(box=None, pad_edge=False, show_header=True)
    sides = list(dict.fromkeys(side for item in shown for side in item.sides))
    drawn.add_column("", no_wrap=True)
    drawn.add_column("", overflow="fold")
    for side in sides:
        drawn.add_column(side, overflow="fold", max_width=40)
    drawn.add_column("", overflow="fold", max_width=80)
    for item in shown:
        cells = (escape(_shortened(item.sides.get(side, ""))) for side in sides)
        drawn.add_row(MARKS[item.verdict], escape(item.what), *cells, escape(item.note))
    return drawn


def _shortened(text: str) -> str:
    """The document has all of it."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def document(sections: Sequence[Section]) -> dict[str, Any]:
    """The same, for programs."""
    return {
        "is_same": not any(section.count(Verdict.DIFFERENT) for section in sections),
        "sections": [
            {
                "title": section.title,
                "items": [
                    {"what": item.what, "verdict": item.verdict.value, "sides": dict(item.sides), "note": item.note}
                    for item in section.items
                ],
            }
            for section in sections
        ],
    }
