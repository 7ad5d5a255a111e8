"""A day's run, read back from where it left its traces: the EMR API, S3, the Delta logs and Spark's History Server.

Nothing here was told by the run itself, and no log is asked: what is not found is not there.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError, TableNotFoundError

from drydock.errors import RunFailed
from drydock.site import Site
from drydock_emr.node.event_log import STEP_PROPERTY

TABLES = ("carrier_performance", "cost_analysis", "daily_trends", "route_efficiency", "warehouse_demand")
QUARANTINE = "_quarantine/shipment"
JOBS = ("data-generation", "data-processing")
# The History Server reads an application's log when it is first asked about it.
HISTORY_SECONDS = 90
HISTORY_SETTLES = timedelta(seconds=10)  # it looks for new logs every three
POLL_SECONDS = 0.5
CONNECTIONS = 8
# One clock serves EMR's control plane and the jobs; a step's times and a commit's are rounded differently.
CLOCK_TOLERANCE = timedelta(seconds=2)

Row = dict[str, Any]

_DRAWING = re.compile(r"\x1b\[[0-9;]*m|↳")


@dataclass(frozen=True)
class Step:
    """A step by DescribeStep's words; its Spark applications, and the hosts of their executors, by Spark's."""

    id: str
    name: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    logs: str
    applications: tuple[str, ...]
    executor_hosts: tuple[str, ...] | None  # None where there is no History Server to ask


@dataclass(frozen=True)
class Cluster:
    """A cluster by DescribeCluster's, ListInstances' and ListSteps' words.

    `masters` and `cores` count the instances that became ready, one that took a lost one's place included.
    """

    id: str
    job: str
    state: str
    reason: str
    created_at: datetime
    ended_at: datetime | None
    masters: int
    cores: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Table:
    """A Delta table's part of the day: the commit that wrote it, its rows, and the shipments that they count."""

    name: str
    rows: int
    shipments: int | None  # None for the quarantine, whose rows are raw rows
    version: int | None  # None when no commit falls into the processing step, as for a quarantine of no rows
    uri: str


@dataclass(frozen=True)
class Day:
    """A day, read back. `missing` names the tables that are not there, each with the reason."""

    date: date
    core_count: int  # of each cluster, by the platform's configuration
    clusters: tuple[Cluster, ...]
    still_active: tuple[str, ...]
    raw_rows: int | None
    raw_uri: str
    output_uri: str
    quarantine: Table | None
    tables: tuple[Table, ...]
    missing: tuple[str, ...]

    @property
    def accepted_rows(self) -> int | None:
        """What `daily_trends` counts."""
        return next((table.shipments for table in self.tables if table.name == "daily_trends"), None)


def read(where: Site, day: date, run_id: str | None = None) -> Day:
    """The newest run of the day, or the run of that id. Raises RunFailed or ServiceFailed when nobody answers."""
    platform = where.platform_config()
    with reading(where, f"The day {day}"):
        return _read(where, platform, day, run_id)


@contextmanager
def reading(where: Site, what: str) -> Iterator[None]:
    """Turn what EMR, S3 and the Delta logs can raise for what is to be read into RunFailed."""
    try:
        yield
    except (BotoCoreError, ClientError, DeltaError, OSError, ValueError, KeyError) as error:
        # OSError: what deltalake raises for an endpoint that is away
        raise RunFailed(
            f"{what} cannot be read back: {_on_one_line(error)}. `make {where.verbs.status}` shows the platform."
        ) from error


def _read(where: Site, platform: dict[str, Any], day: date, run_id: str | None) -> Day:
    emr, s3 = where.account.client("emr"), where.account.client("s3")
    of_day = _clusters_of(emr, platform["platform"], day)
    chosen = [
        next((c for c in of_day if c["job"] == job and (run_id is None or c["Name"].endswith(f"-{run_id}"))), None)
        for job in JOBS
    ]
    clusters = tuple(_cluster(emr, where.history_server_url, found) for found in chosen if found is not None)
    processing = next((cluster.steps for cluster in clusters if cluster.job == "data-processing"), ())
    tables, missing = [], []
    for name in (*TABLES, QUARANTINE):
        try:
            tables.append(_table(where, platform["output_uri"], name, day, processing))
        except TableNotFoundError:
            missing.append(f"{name}: there is no Delta table at {platform['output_uri']}/{name}")
        except DeltaError as error:
            missing.append(f"{name}: {_on_one_line(error)}")
    raw_uri = f"{platform['source_uri']}/ship_date={day.isoformat()}"
    return Day(
        date=day,
        core_count=platform["core_count"],
        clusters=clusters,
        still_active=tuple(c["Id"] for c in of_day if not c["Status"]["State"].startswith("TERMINATED")),
        raw_rows=manifest_rows(s3, f"{raw_uri}/manifest.json"),
        raw_uri=raw_uri,
        output_uri=platform["output_uri"],
        quarantine=next((table for table in tables if table.name == QUARANTINE), None),
        tables=tuple(table for table in tables if table.name != QUARANTINE),
        missing=tuple(missing),
    )


def _clusters_of(emr: Any, platform: str, day: date) -> list[dict[str, Any]]:
    """ListClusters' entries of the day's runs, newest first, each with its `job`."""
    found = []
    for page in emr.get_paginator("list_clusters").paginate():
        for cluster in page["Clusters"]:
            for job in JOBS:
                if cluster["Name"].startswith(f"{platform}-{job}-{day.isoformat()}-"):
                    found.append(cluster | {"job": job})
    return found


def _cluster(emr: Any, history_url: str | None, listed: dict[str, Any]) -> Cluster:
    found = emr.describe_cluster(ClusterId=listed["Id"])["Cluster"]
    status = found["Status"]
    steps = [step for page in emr.get_paginator("list_steps").paginate(ClusterId=found["Id"]) for step in page["Steps"]]
    return Cluster(
        id=found["Id"],
        job=listed["job"],
        state=status["State"],
        reason=status.get("StateChangeReason", {}).get("Message", ""),
        created_at=status["Timeline"]["CreationDateTime"],
        ended_at=status["Timeline"].get("EndDateTime"),
        masters=_ready_instances(emr, found["Id"], "MASTER"),
        cores=_ready_instances(emr, found["Id"], "CORE"),
        steps=tuple(_step(history_url, found, step) for step in reversed(steps)),
    )


def _ready_instances(emr: Any, cluster_id: str, group: str) -> int:
    pages = emr.get_paginator("list_instances").paginate(ClusterId=cluster_id, InstanceGroupTypes=[group])
    instances = [instance for page in pages for instance in page["Instances"]]
    return sum("ReadyDateTime" in instance["Status"]["Timeline"] for instance in instances)


def _step(history_url: str | None, cluster: dict[str, Any], step: dict[str, Any]) -> Step:
    timeline = step["Status"].get("Timeline", {})
    log_uri = re.sub("^s3[an]:", "s3:", cluster["LogUri"]).rstrip("/")
    applications = _applications(history_url, step["Id"], timeline) if history_url else ()
    return Step(
        id=step["Id"],
        name=step["Name"],
        state=step["Status"]["State"],
        started_at=timeline.get("StartDateTime"),
        ended_at=timeline.get("EndDateTime"),
        logs=f"{log_uri}/{cluster['Id']}/steps/{step['Id']}",
        applications=applications,
        executor_hosts=_executor_hosts(history_url, applications) if history_url else None,
    )


def _applications(history_url: str, step_id: str, timeline: Mapping[str, datetime]) -> tuple[str, ...]:
    """The ids of the step's Spark applications, oldest first: the node has set the step's id as a property of each.

    The History Server looks for new event logs every three seconds: of a step that has just ended it is asked again.
    """
    if "StartDateTime" not in timeline:
        return ()
    since = (timeline["StartDateTime"] - CLOCK_TOLERANCE).astimezone(UTC)
    settled_at = timeline.get("EndDateTime", datetime.now(UTC)) + HISTORY_SETTLES
    belongs: dict[str, bool] = {}
    while True:
        for listed in _history(history_url, f"applications?minDate={since:%Y-%m-%dT%H:%M:%S}.000GMT"):
            if listed["id"] not in belongs:
                properties = dict(_history(history_url, f"applications/{listed['id']}/environment")["sparkProperties"])
                belongs[listed["id"]] = properties.get(STEP_PROPERTY) == step_id
        found = tuple(sorted(application for application, is_ours in belongs.items() if is_ours))
        if found or datetime.now(UTC) > settled_at:
            return found
        time.sleep(POLL_SECONDS)


def _executor_hosts(history_url: str, applications: tuple[str, ...]) -> tuple[str, ...]:
    """Hosts of the executors that ran tasks."""
    hosts: set[str] = set()
    for application in applications:
        executors = _history(history_url, f"applications/{application}/allexecutors")
        ran = (each["hostPort"] for each in executors if each["id"] != "driver" and each["totalTasks"] > 0)
        hosts.update(host_port.rsplit(":", 1)[0] for host_port in ran)
    return tuple(sorted(hosts))


def _history(history_url: str, path: str) -> Any:
    """What the History Server's API tells, once it has read the event log. Raises RunFailed when it does not."""
    url = f"{history_url}/api/v1/{path}"
    deadline = time.monotonic() + HISTORY_SECONDS
    while True:
        try:
            answer = httpx.get(url, timeout=HISTORY_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            raise RunFailed(f"The History Server does not answer at {url}: {error}.") from error
        if answer.status_code == httpx.codes.OK:
            return answer.json()
        if time.monotonic() >= deadline:
            raise RunFailed(f"The History Server answers {url} with {answer.status_code}: {answer.text[:200]}")
        time.sleep(POLL_SECONDS)


def manifest(s3: Any, uri: str) -> dict[str, Any] | None:
    """A raw day's manifest, None when it is not there."""
    content = _object(s3, uri)
    return None if content is None else json.loads(content)


def manifest_rows(s3: Any, uri: str) -> int | None:
    """The rows of a raw day by its manifest, None when it is not there."""
    found = manifest(s3, uri)
    return None if found is None else int(found["rows"])


def rows_of_raw_days(s3: Any, source_uri: str, first: date, last: date) -> dict[date, int]:
    """The rows of each raw day from `first` to `last` that has a manifest."""
    bucket, _, prefix = source_uri.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/ship_date=", Delimiter="/")
    folders = (found["Prefix"].rstrip("/") for page in pages for found in page.get("CommonPrefixes", []))
    found = {day: folder for folder in folders if (day := _day_of(folder)) and first <= day <= last}
    with ThreadPoolExecutor(CONNECTIONS) as connections:
        uris = (f"s3://{bucket}/{folder}/manifest.json" for folder in found.values())
        rows = connections.map(lambda uri: manifest_rows(s3, uri), uris)
        return {day: count for day, count in zip(found, rows, strict=True) if count is not None}


def _day_of(folder: str) -> date | None:
    """The day in `…/ship_date=YYYY-MM-DD`; None for a folder of somebody else's."""
    try:
        return date.fromisoformat(folder.rpartition("=")[2])
    except ValueError:
        return None


def _object(s3: Any, uri: str) -> bytes | None:
    """An object's bytes, None when it is not there."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return content


def _table(where: Site, output_uri: str, name: str, day: date, steps: tuple[Step, ...]) -> Table:
    """Raises TableNotFoundError or another DeltaError."""
    uri = f"{output_uri}/{name}"
    table = DeltaTable(uri, storage_options=where.account.storage_options())
    counted = "count(*) AS row_count" + ("" if name == QUARANTINE else ", coalesce(sum(shipments), 0) AS shipments")
    [row] = rows_of(
        QueryBuilder().register("day", table),
        f"SELECT {counted} FROM day WHERE ship_date = DATE '{day.isoformat()}'",  # noqa: S608  a date
    )
    return Table(name, row["row_count"], row.get("shipments"), _version(table, steps), uri)


def rows_of(tables: QueryBuilder, sql: str) -> list[Row]:
    """What a query of these tables answers."""
    rows: list[Row] = tables.execute(sql).read_all().to_struct_array().to_pylist()
    return rows


def _version(table: DeltaTable, steps: tuple[Step, ...]) -> int | None:
    """The newest version whose commit falls into the run of one of the steps."""
    for commit in table.history():
        committed_at = datetime.fromtimestamp(commit["timestamp"] / 1000).astimezone()
        for step in steps:
            if step.started_at is None or step.ended_at is None:
                continue
            if step.started_at - CLOCK_TOLERANCE <= committed_at <= step.ended_at + CLOCK_TOLERANCE:
                return int(commit["version"])
    return None


def _on_one_line(error: Exception) -> str:
    """deltalake draws its errors as a coloured tree, a line for each cause."""
    lines = (_DRAWING.sub("", line).strip() for line in str(error).splitlines())
    return ": ".join(line for line in lines if line).rstrip(".")
