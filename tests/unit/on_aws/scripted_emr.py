"""EMR, as far as clusters are looked for and ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
BEGINS_TO_END, ENDS = "TERMINATING", "TERMINATED"


class Emr:
    """Clusters of several platforms. One that is ended is TERMINATING at the next look, and gone at the one after,
    unless it `lingers`."""

    def __init__(self) -> None:
        self.clusters: dict[str, dict[str, Any]] = {}
        self.ended: list[list[str]] = []
        self.lingers = False

    def has(self, number: int, platform: str, state: str, days: float = 0, job: str = "data-processing") -> str:
        """A cluster that was made so many days ago; its id."""
        cluster_id, made_at = f"j-{number}", NOW - timedelta(days=days)
        self.clusters[cluster_id] = {
            "Id": cluster_id,
            "Name": f"{platform}-{job}-2026-01-15-r{number}",
            "Status": {"State": state, "Timeline": {"CreationDateTime": made_at}},
            "Tags": [{"Key": "platform", "Value": platform}],
        }
        return cluster_id

    def get_paginator(self, operation: str) -> "Emr":
        assert operation == "list_clusters"
        return self

    def paginate(self, **filters: Any) -> list[dict[str, Any]]:
        """A cluster a page, in no order."""
        found = [each for each in self.clusters.values() if _is_asked_for(each, **filters)]
        pages = [{"Clusters": [{**each, "Status": dict(each["Status"])}]} for each in found]
        for each in self.clusters.values():
            if each["Status"]["State"] == BEGINS_TO_END and not self.lingers:
                each["Status"]["State"] = ENDS
        return pages

    def describe_cluster(self, *, ClusterId: str) -> dict[str, Any]:  # noqa: N803
        return {"Cluster": self.clusters[ClusterId]}

    def set_termination_protection(self, **_: Any) -> None:
        pass

    def terminate_job_flows(self, *, JobFlowIds: list[str]) -> None:  # noqa: N803
        assert len(JobFlowIds) <= 10, "TerminateJobFlows takes ten"
        self.ended.append(JobFlowIds)
        for cluster_id in JobFlowIds:
            self.clusters[cluster_id]["Status"]["State"] = BEGINS_TO_END


def _is_asked_for(
    cluster: dict[str, Any],
    ClusterStates: tuple[str, ...] | list[str] = (),  # noqa: N803
    CreatedAfter: datetime | None = None,  # noqa: N803
) -> bool:
    status = cluster["Status"]
    is_in_state = not ClusterStates or status["State"] in ClusterStates
    return is_in_state and (CreatedAfter is None or status["Timeline"]["CreationDateTime"] > CreatedAfter)
