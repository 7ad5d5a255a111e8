"""What a cluster is made of, by what a step on it told: versions, Spark's properties, the environment of a step."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from drydock import settings
from drydock.on_aws.trial import expected_versions, is_version
from drydock.parity_of.comparison import LOCAL, Item, Section, Verdict
from drydock.parity_of.facts import Facts

KNOWN_DIFFERENCES = Path(__file__).with_name("known_differences.toml")
JOBS_LOCK = settings.REPOSITORY / "requirements" / "jobs.txt"
PACKAGES = ("numpy", "pyarrow")  # of which the step tells the executors'
ON_EXECUTORS = "{}, on executors"
FORBIDDEN = ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables that no step of EMR's has, so that a job which needs one fails here as it would there."""
ABSENT = "-"
AWS_ALONE = "On AWS alone: a job that goes by it fails here, or goes another way."


@dataclass(frozen=True)
class KnownDifference:
    """A difference by design. `name` is a glob; `consequence` says what it means to a job, if anything."""

    name: str
    consequence: str = ""


@cache
def known_differences(kind: str) -> tuple[KnownDifference, ...]:
    """Those of a kind: `spark_properties`, `environment`, `general`."""
    return tuple(KnownDifference(**each) for each in tomllib.loads(KNOWN_DIFFERENCES.read_text())[kind])


def versions(sides: Mapping[str, Facts]) -> Section:
    """What `versions.toml` and the jobs' lock say of the release, held against what is in force on each side."""
    told = {side: _versions_told(facts.told) for side, facts in sides.items()}
    locked = pinned()
    expected = {**expected_versions(), **{ON_EXECUTORS.format(name): locked[name] for name in PACKAGES}}
    return Section(
        "Versions",
        [
            _version(name, version, {side: found.get(name, ABSENT) for side, found in told.items()})
            for name, version in expected.items()
        ],
    )


def pinned() -> dict[str, str]:
    """Package → version that the jobs' lock has for the release's Python."""
    python = {
        "python_version": settings.versions()["emr"]["python"],
        "python_full_version": f"{settings.versions()['emr']['python']}.0",
    }
    lines = JOBS_LOCK.read_text().replace("\\\n", "").splitlines()
    requirements = (Requirement(line.partition("--hash")[0]) for line in lines if line[:1].isalnum())
    return {
        each.name: next(iter(each.specifier)).version
        for each in requirements
        if each.marker is None or each.marker.evaluate(python)
    }


def _versions_told(told: Mapping[str, Any]) -> dict[str, str]:
    """Those of the cluster, and of `3.11.2, numpy 2.1.3, pyarrow 21.0.0`, which each executor says, the packages'."""
    if not told:
        return {}
    found: dict[str, set[str]] = {}
    for line in told["executors_python"]:
        for name, version in re.findall(r"([a-z]+) ([^ ,]+)", line):
            found.setdefault(ON_EXECUTORS.format(name), set()).add(version)
    return {**told["versions"], **{name: ", ".join(sorted(each)) for name, each in found.items()}}


def _version(name: str, expected: str, found: Mapping[str, str]) -> Item:
    sides = {"release": expected, **found}
    looked_at = [version for version in found.values() if version != ABSENT]
    if not looked_at:
        return Item(name, Verdict.UNKNOWN, sides, "No step has told.")
    is_same = all(is_version(version, expected) for version in looked_at)
    return Item(name, Verdict.SAME if is_same else Verdict.DIFFERENT, sides)


def spark_properties(sides: Mapping[str, Facts]) -> Section:
    """What is in force on a cluster: all that the platform asks for, and what the runtime adds that is known."""
    title = "Spark's properties"
    told = {side: dict(facts.told["spark_properties"]) for side, facts in sides.items() if facts.told}
    if not told:
        return Section(title, [Item("all", Verdict.UNKNOWN, note="No step has told.")])
    asked = {side: _asked_for(facts) for side, facts in sides.items() if facts.told}
    names = sorted({name for found in (*told.values(), *asked.values()) for name in found})
    return Section(title, [_property(name, asked, told) for name in names])


def _asked_for(facts: Facts) -> dict[str, str]:
    """The properties that a cluster is asked for with."""
    configurations = facts.platform_config["configurations"]
    return {
        name: value
        for each in configurations
        if each["classification"] == "spark-defaults"
        for name, value in each["properties"].items()
    }


def _property(name: str, asked: Mapping[str, Mapping[str, str]], told: Mapping[str, Mapping[str, str]]) -> Item:
    sides = {side: found.get(name, ABSENT) for side, found in told.items()}
    wanted = {side: found[name] for side, found in asked.items() if name in found}
    if any(not _is_in_force(name, value, sides[side]) for side, value in wanted.items()):
        return Item(name, Verdict.DIFFERENT, sides, f"Asked for: {', '.join(sorted(set(wanted.values())))}.")
    is_same = len(set(sides.values())) == 1 and (len(sides) > 1 or bool(wanted))
    return Item(name, Verdict.SAME, sides) if is_same else _judged("spark_properties", name, sides)


def _is_in_force(name: str, asked: str, found: str) -> bool:
    """Java's options are added to those that Spark and the node have."""
    return asked in found if name.endswith("JavaOptions") else asked == found


def _judged(kind: str, name: str, sides: Mapping[str, str]) -> Item:
    """Something that was not asked for, or is not the same on all sides."""
    if sides.get(LOCAL) == ABSENT:
        return Item(name, Verdict.KNOWN, sides, AWS_ALONE)
    consequence = next((each.consequence for each in known_differences(kind) if fnmatchcase(name, each.name)), None)
    if consequence is None and LOCAL not in sides:
        return Item(name, Verdict.UNKNOWN, sides, "Of Amazon's defaults there is no list to hold it against.")
    if consequence is None:
        return Item(name, Verdict.DIFFERENT, sides, "Not among the known differences.")
    return Item(name, Verdict.KNOWN if consequence else Verdict.SAME, sides, consequence)


def environment(sides: Mapping[str, Facts]) -> Section:
    """The names of a step's variables: EMR's own, known ones of this platform, and none that EMR's steps lack."""
    title = "A step's environment"
    told = {side: set(facts.told["environment"]) for side, facts in sides.items() if facts.told}
    if not told:
        return Section(title, [Item("all", Verdict.UNKNOWN, note="No step has told.")])
    names = sorted(set().union(*told.values(), FORBIDDEN))
    return Section(title, [_variable(name, {side: name in found for side, found in told.items()}) for name in names])


def _variable(name: str, is_there: Mapping[str, bool]) -> Item:
    sides = {side: "set" if there else ABSENT for side, there in is_there.items()}
    if name in FORBIDDEN:
        is_set = any(is_there.values())
        return Item(
            name, *((Verdict.DIFFERENT, sides, "EMR sets it for no step.") if is_set else (Verdict.SAME, sides))
        )
    if len(is_there) > 1 and all(is_there.values()):
        return Item(name, Verdict.SAME, sides)
    return _judged("environment", name, sides)


def general() -> Section:
    """What is different by design and cannot be seen from within a step."""
    items = [Item(each.name, Verdict.KNOWN, note=each.consequence) for each in known_differences("general")]
    return Section("Known differences", items)
