"""What a run may have left when it did not end as it should: clusters, which are ended with the operator's key."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drydock import output
from drydock.site import Site

# For what the driver could not see to. A node that cannot deliver its last logs tries for half a minute.
LEFTOVER_SECONDS = 120
SILENCE_SECONDS = 30
POLL_SECONDS = 1.0
ENDING = "TERMINATING"
ALIVE_STATES = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", ENDING]
ENDED_AT_ONCE = 10  # TerminateJobFlows takes no more


def end_leftovers(where: Site, run_id: str, console: output.Console = output.CONSOLE) -> str:
    """End what the driver could not: it may have been killed, or its session lost with the gateway's memory.

    Returns a sentence about what is left, for people.
    """
    with output.stage("Looking for clusters of this run that are still alive", console):
        return _end(where, run_id)


def _end(where: Site, run_id: str) -> str:
    emr, way_out = where.account.client("emr"), f"`{where.aws_cli} emr list-clusters --active` shows those that are."
    begun_at = answered_at = time.monotonic()
    ended: set[str] = set()
    while True:
        try:
            alive = _alive_clusters(emr, run_id)
            answered_at = time.monotonic()
            if not alive:
                since = f" (ended since, with the operator's key: {', '.join(sorted(ended))})" if ended else ""
                return f"No cluster of this run is alive{since}."
            if to_end := [cluster_id for cluster_id, state in alive.items() if state != ENDING]:
                emr.terminate_job_flows(JobFlowIds=to_end[:ENDED_AT_ONCE])
                ended |= set(to_end[:ENDED_AT_ONCE])
                left = (
                    f"Still alive: {', '.join(to_end)}. "
                    f"`{where.aws_cli} emr terminate-clusters --cluster-ids {' '.join(to_end)}` ends them."
                )
            else:
                left = f"EMR is ending {', '.join(alive)}, which may take some minutes."
        except ClientError as error:
            left = f"Clusters of this run may be alive: {error}. {way_out}"
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                return left
        except BotoCoreError as error:
            left = f"Clusters of this run may be alive, EMR does not answer: {error}. {way_out}"
        now = time.monotonic()
        if now - begun_at >= LEFTOVER_SECONDS or now - answered_at >= SILENCE_SECONDS:
            return left
        time.sleep(POLL_SECONDS)


def _alive_clusters(emr: Any, run_id: str) -> dict[str, str]:
    """The state of each of the run's clusters that have not ended, by its id. A day: longer than any run here lasts."""
    pages = emr.get_paginator("list_clusters").paginate(
        ClusterStates=ALIVE_STATES, CreatedAfter=datetime.now(UTC) - timedelta(days=1)
    )
    return {
        cluster["Id"]: cluster["Status"]["State"]
        for page in pages
        for cluster in page["Clusters"]
        if cluster["Name"].endswith(f"-{run_id}")
    }
