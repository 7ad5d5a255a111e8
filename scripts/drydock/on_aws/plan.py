"""What Terraform is about to do, in words, and doing exactly that."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drydock import jobs, output, terraform
from drydock.site import Site
from drydock.terraform_process import Event, Terraform

# Of a change that replaces something, Terraform tells `replace`; what is only read is no change.
WORDS = {"create": "made", "update": "changed", "replace": "made anew", "delete": "removed"}
SHOWN_CHANGES = 12
"""Of those by name that only change something: what is removed, or made anew, is all shown."""


@dataclass
class Plan:
    """A plan that Terraform has written down. `changes`: action and address, in Terraform's order."""

    file: Path
    changes: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    """Those of the configuration, as they were given, or their defaults."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """Those that are known beforehand."""

    @property
    def is_empty(self) -> bool:
        return not self.changes

    def lines(self, *, each: bool = True) -> Iterator[str]:
        """For people: how many of each kind, then (`each`) those by name that are not simply new."""
        kinds = Counter((action, _kind(address)) for action, address in self.changes)
        for action, word in WORDS.items():
            of_action = {kind: number for (its, kind), number in kinds.items() if its == action}
            if of_action:
                told = ", ".join(f"{number} {kind}" for kind, number in sorted(of_action.items()))
                yield f"{sum(of_action.values())} {word}: {told}"
        if not each:
            return
        for action in ("delete", "replace"):
            yield from (f"{address} is {WORDS[action]}" for its, address in self.changes if its == action)
        changed = [address for action, address in self.changes if action == "update"]
        yield from (f"{address} is {WORDS['update']}" for address in changed[:SHOWN_CHANGES])
        if len(changed) > SHOWN_CHANGES:
            yield f"and {len(changed) - SHOWN_CHANGES} more are {WORDS['update']}"

    def note(self, event: Event) -> None:
        """Take in one of Terraform's events."""
        if event["type"] == "planned_change" and event["change"]["action"] in WORDS:
            self.changes.append((event["change"]["action"], event["change"]["resource"]["addr"]))


class Planner:
    """Terraform on a site, with a plan that is applied as it was shown, or not at all."""

    def __init__(self, where: Site, process: Terraform) -> None:
        self._where, self._process = where, process

    def plan(self, *, destroy: bool = False) -> Plan:
        """What it would do. Raises SetupError."""
        plan = Plan(self._process.directory / "drydock.tfplan")
        with output.stage("Terraform: comparing what is with what should be"):
            self._process.run(
                "plan",
                f"-out={plan.file.name}",
                *(["-destroy"] if destroy else []),
                *terraform.profile_arguments(self._where),
                on_event=plan.note,
            )
            told = self._process.show(plan.file)
            plan.variables = {name: each.get("value") for name, each in told["variables"].items()}
            plan.outputs = {name: each.get("value") for name, each in told["planned_values"].get("outputs", {}).items()}
        return plan

    def carry_out(self, plan: Plan) -> dict[str, Any]:
        """Do it; Terraform's outputs. Raises SetupError, when the plan is no longer true for instance."""
        return terraform.run_plan(self._process, plan.file, len(plan.changes))


@contextmanager
def planner(where: Site, revision: jobs.Revision | jobs.Named) -> Iterator[Planner]:
    """For as long as the context lasts. Raises DrydockError."""
    with terraform.opened(where, revision) as process:
        yield Planner(where, process)


def _kind(address: str) -> str:
    """`aws_s3_bucket` of `module.storage.aws_s3_bucket.this["input"]`, as words: `s3 bucket`."""
    parts = re.sub(r"\[[^]]*\]", "", address).split(".")
    return parts[-2].removeprefix("aws_").replace("_", " ")
