"""A deployment, tried: one step on a cluster of one node, by the flow that runs every job, as kestra-role."""

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from drydock import settings
from drydock.day import FlowRun
from drydock.executions import CLUSTER_FLOW
from drydock.interrupts import Signals
from drydock.kestra import Kestra
from drydock.run import run_flow
from drydock.site import Site

JOB = "cluster-check"
COMMAND = (
    "spark-submit",
    *("--py-files", "{application_uri}/shipments.zip"),
    *("--jars", "{application_uri}/delta-log-store.jar"),
    "{application_uri}/cluster_check.py",
)
KEY = "config/trial.json"
"""In the input bucket: what the newest step that was tried told, and of which revision of the jobs it was."""


def newest(where: Site) -> dict[str, Any]:
    """What was tried last: `revision`, `at`, `told`. Empty when nothing was. Raises ServiceFailed."""
    s3 = where.account.client("s3")
    with where.account.explained("read what was tried last"):
        try:
            document: dict[str, Any] = json.loads(s3.get_object(Bucket=where.input_bucket, Key=KEY)["Body"].read())
        except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
            return {}
    return document


def forget(where: Site) -> None:
    """What was tried is no longer what is there: something is about to change. Raises ServiceFailed."""
    s3 = where.account.client("s3")
    with where.account.explained("forget what was tried last"), suppress(s3.exceptions.NoSuchBucket):
        s3.delete_object(Bucket=where.input_bucket, Key=KEY)


def run(where: Site, engine: Kestra, revision: str) -> dict[str, Any]:
    """What `spark/cluster_check.py` told, noted in S3. Raises RunFailed or Stopped when it did not come to its end."""
    today = datetime.now(UTC).date().isoformat()
    inputs = {"job": JOB, "date": today, "arguments": json.dumps(COMMAND), "nodes": "0"}
    asked = FlowRun(CLUSTER_FLOW, "Trying a step on a cluster of one node", "Tried a step", inputs)
    with Signals().caught() as signals:
        done = run_flow(where, engine, asked, uuid.uuid4().hex[:8], signals)
    [step] = done.results()["steps"]
    told: dict[str, Any] = step["told"] or {}
    note = {"revision": revision, "at": datetime.now(UTC).isoformat(timespec="seconds"), "told": told}
    with where.account.explained("note what was tried"):
        where.account.client("s3").put_object(Bucket=where.input_bucket, Key=KEY, Body=json.dumps(note).encode())
    return told


def expected_versions() -> dict[str, str]:
    """What `versions.toml` says that the release has, as far as the step tells it."""
    jars, emr = settings.versions()["jars"], settings.versions()["emr"]
    return {
        "spark": jars["spark"],
        "hadoop": jars["hadoop"],
        "delta": jars["delta"],
        "java": str(emr["java"]),
        "scala": emr["scala"],
        "python": emr["python"],
    }


def is_version(found: str, expected: str) -> bool:
    """Whether it is that version, one of its line (3.11.9 of 3.11), or a build of Amazon's (`3.5.6-amzn-0`)."""
    return found == expected or found.startswith((f"{expected}.", f"{expected}-"))


def other_versions(told: dict[str, Any]) -> list[str]:
    """What is in force and not what `versions.toml` says, a phrase each."""
    found = told.get("versions", {})
    return [
        f"{name} is {found.get(name, 'unknown')}, expected {version}"
        for name, version in expected_versions().items()
        if not is_version(str(found.get(name, "")), version)
    ]
