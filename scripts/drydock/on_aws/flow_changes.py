"""What a deployment does to the flows, against those that are deployed: for people who are about to say yes."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

CONTEXT_LINES = 1
SHOWN_LINES = 12  # of each flow's difference


class Kind(StrEnum):
    """What becomes of a flow."""

    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class FlowChange:
    """What becomes of one flow. `difference`: the lines of a unified diff, without its head, of one that is changed."""

    file: str
    kind: Kind
    difference: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file.removesuffix(".yaml")

    def lines(self) -> Iterator[str]:
        """For people; a long difference is cut, and says so."""
        yield f"{self.name} is {self.kind}"
        yield from (f"    {line}" for line in self.difference[:SHOWN_LINES])
        if len(self.difference) > SHOWN_LINES:
            yield f"    and {len(self.difference) - SHOWN_LINES} more lines"


def between(before: Mapping[str, str], after: Mapping[str, str]) -> list[FlowChange]:
    """Of flows' YAML by file name; what stays as it is is no change."""
    found = []
    for file in sorted(before.keys() | after.keys()):
        if file not in before:
            found.append(FlowChange(file, Kind.NEW))
        elif file not in after:
            found.append(FlowChange(file, Kind.REMOVED))
        elif before[file] != after[file]:
            found.append(FlowChange(file, Kind.CHANGED, tuple(_difference(before[file], after[file]))))
    return found


def _difference(before: str, after: str) -> Iterator[str]:
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT_LINES, lineterm="")
    for line in list(diff)[2:]:  # the first two name files
        yield line.rstrip()
