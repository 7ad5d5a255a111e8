"""The EMR release that a node runs, told from the jars it has; and what to say when a cluster asks for another one."""

import re
from collections.abc import Mapping
from pathlib import Path

from drydock_emr.releases import APPLICATIONS

JARS = {
    "Spark": re.compile(r"spark-core_[\d.]+-(\d[\d.]*)\.jar"),
    "Hadoop": re.compile(r"hadoop-client-api-(\d[\d.]*)\.jar"),
    "Delta": re.compile(r"delta-spark_[\d.]+-(\d[\d.]*)\.jar"),
}


def installed(spark_home: Path) -> dict[str, str]:
    """The versions of the applications in SPARK_HOME, by name."""
    names = sorted(path.name for path in (spark_home / "jars").glob("*.jar"))
    return {
        application: match[1]
        for application, pattern in JARS.items()
        for match in map(pattern.fullmatch, names)
        if match
    }


def difference(asked: str, spark_home: Path) -> str | None:
    """A sentence when the node does not have what the release `asked` for brings; None when it has just that."""
    here = installed(spark_home)
    wanted = APPLICATIONS.get(asked)
    if wanted == here:
        return None
    label = next((label for label, versions in APPLICATIONS.items() if versions == here), None)
    what = f"{label} ({_listed(here)})" if label else _listed(here)
    known = f" ({_listed(wanted)})" if wanted else ""
    return f"The cluster asks for {asked}{known}; this node has {what}, and the step runs with that."


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
