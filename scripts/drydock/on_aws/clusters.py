"""The platform's clusters in an account: found by their names and tags, ended, and seen to be gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from drydock.errors import RunFailed
from drydock.leftovers import ALIVE_STATES
from drydock.site import Site

POLL_SECONDS = 2.0
END_SECONDS = 1200  # EMR takes minutes; a node that cannot deliver its last logs longer


@dataclass(frozen=True)
class Cluster:
    """A cluster, as ListClusters has it."""

    id: str
    name: str
    state: str
    created_at: datetime
    ended_at: datetime | None


def recent(where: Site, platform: str, days: int) -> list[Cluster]:
    """The platform's clusters of the last days, newest first, by their names. Raises ServiceFailed."""
    since = datetime.now(UTC) - timedelta(days=days)
    return _listed(where, platform, CreatedAfter=since)


def active(where: Site, platform: str) -> list[Cluster]:
    """Those that have not ended and bear the platform's tag. Raises ServiceFailed."""
    emr = where.account.client("emr")
    named = _listed(where, platform, ClusterStates=ALIVE_STATES)
    with where.account.explained("describe the clusters"):
        return [each for each in named if _tags(emr, each.id).get("platform") == platform]


def end(where: Site, platform: str, tell: Callable[[str], None]) -> list[str]:
    """End all of the platform's clusters, and wait until they are gone; their ids.

    Raises RunFailed when one does not end, ServiceFailed.
    """
    emr, ended = where.account.client("emr"), dict[str, None]()
    deadline = time.monotonic() + END_SECONDS
    while alive := active(where, platform):
        ended |= dict.fromkeys(each.id for each in alive)
        tell(", ".join(f"{each.id} {each.state}" for each in alive))
        if time.monotonic() > deadline:
            raise RunFailed(
                f"Still alive after {END_SECONDS / 60:.0f} minutes: {', '.join(each.id for each in alive)}."
            )
        with where.account.explained("end the clusters"):
            if to_end := [each.id for each in alive if each.state != "TERMINATING"]:
                emr.set_termination_protection(JobFlowIds=to_end, TerminationProtected=False)
                emr.terminate_job_flows(JobFlowIds=to_end)
        time.sleep(POLL_SECONDS)
    return list(ended)


def _listed(where: Site, platform: str, **filters: Any) -> list[Cluster]:
    with where.account.explained("list the clusters"):
        pages = where.account.client("emr").get_paginator("list_clusters").paginate(**filters)
        found = [each for page in pages for each in page["Clusters"] if each["Name"].startswith(f"{platform}-")]
    return [_cluster(each) for each in found]


def _cluster(listed: dict[str, Any]) -> Cluster:
    status = listed["Status"]
    return Cluster(
        id=listed["Id"],
        name=listed["Name"],
        state=status["State"],
        created_at=status["Timeline"]["CreationDateTime"],
        ended_at=status["Timeline"].get("EndDateTime"),
    )


def _tags(emr: Any, cluster_id: str) -> dict[str, str]:
    tags = emr.describe_cluster(ClusterId=cluster_id)["Cluster"].get("Tags", ())
    return {tag["Key"]: tag["Value"] for tag in tags}
