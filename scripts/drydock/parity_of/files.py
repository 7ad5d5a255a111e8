"""Jobs, bootstrap action and flows: byte for byte those of this checkout."""

from collections.abc import Mapping
from hashlib import sha256

from drydock import jobs
from drydock.flow_files import without_schedules
from drydock.parity_of.comparison import Item, Section, Verdict, compared
from drydock.parity_of.facts import Facts

CHECKOUT = "checkout"
SCHEDULES_OFF = "Its schedules are switched off there."


def compare(sides: Mapping[str, Facts], here: jobs.Revision, flows: Mapping[str, str]) -> Section:
    """`here` is the revision of the checkout's jobs, `flows` its flows' sources by their ids."""
    items = [
        compared("revision of the jobs", {CHECKOUT: here.name, **{name: of.revision for name, of in sides.items()}})
    ]
    for key in [*(f"{jobs.FOLDER}/{name}" for name in here.files), here.description_key]:
        deviating = [side for side, facts in sides.items() if key in facts.deviating_objects]
        verdict = Verdict.DIFFERENT if deviating else Verdict.SAME
        items.append(Item(key, verdict, dict.fromkeys(deviating, "missing, or other bytes")))
    items += [
        _flow(flow, flows.get(flow), {side: facts.flows.get(flow) for side, facts in sides.items()})
        for flow in sorted({*flows, *(flow for facts in sides.values() for flow in facts.flows)})
    ]
    return Section("Jobs, bootstrap action, flows", items)


def by_id(sources: Mapping[str, str]) -> dict[str, str]:
    """Flows that are known by their files' names, which are their ids and `.yaml`."""
    return {name.removesuffix(".yaml"): source for name, source in sources.items()}


def _flow(flow: str, here: str | None, there: Mapping[str, str | None]) -> Item:
    what, sides = f"flow {flow}", {CHECKOUT: _short(here), **{side: _short(source) for side, source in there.items()}}
    if here is not None and all(source == here for source in there.values()):
        return Item(what, Verdict.SAME, sides)
    if here is not None and all(source in (here, without_schedules(here)) for source in there.values()):
        return Item(what, Verdict.KNOWN, sides, SCHEDULES_OFF)
    return Item(what, Verdict.DIFFERENT, sides)


def _short(source: str | None) -> str:
    return "-" if source is None else sha256(source.encode()).hexdigest()[:12]
