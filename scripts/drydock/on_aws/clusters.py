"""The platform's clusters in an account: found by their names and tags, ended, and seen to be gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from drydock.errors import RunFailed
from drydock.leftovers import ALIVE_STATES, ENDING
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

    @property
    def is_alive(self) -> bool:
        return self.state in ALIVE_STATES


def recent(where: Site, days: int, count: int) -> list[Cluster]:
    """So many of the platform's newest clusters of the last days, and all that are alive, newest first.

    Raises ServiceFailed.
    """
    since, found = datetime.now(UTC) - timedelta(days=days), list[Cluster]()
    for each in _named(where, {"CreatedAfter": since}, {"ClusterStates": ALIVE_STATES}):
        if (each.is_alive or len(found) < count) and _is_ours(where, each):
            found.append(each)
    return found


def active(where: Site) -> list[Cluster]:
    """Those that have not ended, newest first. Raises ServiceFailed."""
    return [each for each in _named(where, {"ClusterStates": ALIVE_STATES}) if _is_ours(where, each)]


def end(where: Site, tell: Callable[[str], None]) -> list[str]:
    """End all of the platform's clusters, and wait until they are gone; their ids.

    Raises RunFailed when one does not end, ServiceFailed.
    """
    ended, asked = dict[str, None](), set[str]()
    deadline = time.monotonic() + END_SECONDS
    while alive := active(where):
        ended |= dict.fromkeys(each.id for each in alive)
        tell(", ".join(f"{each.id} {each.state}" for each in alive))
        if time.monotonic() > deadline:
            raise RunFailed(
                f"Still alive after {END_SECONDS / 60:.0f} minutes: {', '.join(each.id for each in alive)}."
            )
        for each in alive:
            if each.state != ENDING and each.id not in asked:
                _terminate(where, each.id)
                asked.add(each.id)
        time.sleep(POLL_SECONDS)
    return list(ended)


def _terminate(where: Site, cluster_id: str) -> None:
    """Ask for its end, however it is protected. One that has begun to end since it was listed takes neither call."""
    emr = where.account.client("emr")
    with where.account.explained(f"end the cluster {cluster_id}"):
        try:
            emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
            emr.terminate_job_flows(JobFlowIds=[cluster_id])
        except ClientError:
            state = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]
            if state in ALIVE_STATES and state != ENDING:
                raise


def _named(where: Site, *filters: dict[str, Any]) -> list[Cluster]:
    """Those that any of the filters lists and that could be the platform's by their names, newest first."""
    emr, found = where.account.client("emr"), dict[str, Cluster]()
    with where.account.explained("list the clusters"):
        for each in filters:
            for page in emr.get_paginator("list_clusters").paginate(**each):
                found |= {listed["Id"]: _cluster(listed) for listed in page["Clusters"]}
    named = [each for each in found.values() if each.name.startswith(f"{where.platform}-")]
    return sorted(named, key=lambda each: each.created_at, reverse=True)


def _is_ours(where: Site, cluster: Cluster) -> bool:
    """By its tag: names of a platform `acme-two` begin as those of `acme` do."""
    with where.account.explained(f"describe the cluster {cluster.id}"):
        found = where.account.client("emr").describe_cluster(ClusterId=cluster.id)["Cluster"]
    return {"Key": "platform", "Value": where.platform} in found.get("Tags", ())


def _cluster(listed: dict[str, Any]) -> Cluster:
    status = listed["Status"]
    return Cluster(
        id=listed["Id"],
        name=listed["Name"],
        state=status["State"],
        created_at=status["Timeline"]["CreationDateTime"],
        ended_at=status["Timeline"].get("EndDateTime"),
    )
