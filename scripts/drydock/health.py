"""Does a service do its work? Each check does the real thing, once, and quickly: whoever asks repeats it.

A check returns when the service is healthy and raises Unhealthy, with a short reason, when it is not.
"""

import uuid
from contextlib import suppress
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from drydock import aws, secrets, settings

TIMEOUT_SECONDS = 5.0
WORKING_PHASES = {"IDLE", "BOOTSTRAPPING", "READY"}
PHASES = {"PREPARING": "it wipes its scratch and starts its Spark daemon"}


class Unhealthy(Exception):
    """Why a service does not do its work: a phrase that follows its name and a colon."""


PROBE_BUCKET_PREFIX = "drydock-health-"
"""Of the buckets that a look at the gateway's health makes and removes."""


def gateway(paths: settings.Paths, ports: settings.Ports) -> None:
    """Put an object, get it back, leave nothing behind. LocalStack's own health page is green while S3 is broken."""
    name, body = f"{PROBE_BUCKET_PREFIX}{uuid.uuid4().hex}", uuid.uuid4().bytes
    try:
        s3 = aws.operator_client("s3", paths, ports, attempts=1)
        s3.create_bucket(Bucket=name)
        try:
            s3.put_object(Bucket=name, Key="probe", Body=body)
            found = s3.get_object(Bucket=name, Key="probe")["Body"].read()
        finally:
            with suppress(ClientError):  # what went wrong before is what has to be told
                s3.delete_object(Bucket=name, Key="probe")
                s3.delete_bucket(Bucket=name)
    except EndpointConnectionError:
        raise Unhealthy(f"nothing listens at {ports.gateway_url}") from None
    except (BotoCoreError, ClientError) as error:
        raise Unhealthy(f"S3 does not answer as it should: {error}") from error
    if found != body:
        raise Unhealthy(f"S3 gave back {len(found)} bytes that are not the {len(body)} that were put")


def emr(ports: settings.Ports) -> None:
    """The control plane can read and write its database."""
    answer = _get(f"{ports.emr_url}/health")
    if answer.get("status") != "ok":
        raise Unhealthy(f"its health page says {answer}")


def node(node_name: str, ui_port: int, expected_workers: int | None, paths: settings.Paths, emr_url: str) -> None:
    """The node has told the control plane that it can be used or is in use, and its Spark daemon answers.

    While no cluster has a node, the first is the Spark master of the others: `expected_workers` of them are ALIVE. For
    the others it is None.
    """
    listing = node_reports(paths, emr_url)
    reports = {report["node"]: report for report in listing}
    if node_name not in reports:
        raise Unhealthy("it has not reported to the control plane yet")
    report = reports[node_name]
    if report["phase"] not in WORKING_PHASES:
        message = (report.get("failure") or {}).get("message") or PHASES.get(report["phase"], "")
        raise Unhealthy(f"it is {report['phase']}" + (f": {message}" if message else ""))
    page = _get(f"http://{settings.LOOPBACK}:{ui_port}/json/")
    if expected_workers is not None and all(report["cluster_id"] is None for report in listing):
        alive = sum(worker["state"] == "ALIVE" for worker in page.get("workers", ()))
        if alive != expected_workers:
            raise Unhealthy(f"{alive} of {expected_workers} Spark workers are ALIVE")


def node_reports(paths: settings.Paths, emr_url: str) -> list[dict[str, Any]]:
    """What each node last said of itself to the control plane; see `drydock_emr.node_protocol.Report`."""
    token = secrets.Secrets(paths.secrets).node.read_text().strip()
    listing: list[dict[str, Any]] = _get(f"{emr_url}/node/v1/nodes", {"Authorization": f"Bearer {token}"})
    return listing


def history_server(ports: settings.Ports) -> None:
    """Its API lists applications (which may be none yet): it has read the folder of event logs."""
    _get(f"{ports.history_server_url}/api/v1/applications?limit=1")


def kestra(ports: settings.Ports) -> None:
    """It answers, which it does only once its services run, and as a local process every flow is registered."""
    _ask(f"{ports.kestra_url}/ping")


def _get(url: str, headers: dict[str, str] | None = None) -> Any:
    """The JSON at `url`. Raises Unhealthy for everything but a 200 with JSON."""
    answer = _ask(url, headers)
    try:
        return answer.json()
    except ValueError as error:
        raise Unhealthy(f"{url} did not answer properly: {error}") from error


def _ask(url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """What `url` answers. Raises Unhealthy for everything but a 200."""
    try:
        # trust_env: proxies are not for loopback.
        answer = httpx.get(url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)
        answer.raise_for_status()
    except httpx.ConnectError:
        raise Unhealthy(f"nothing listens at {url}") from None
    except httpx.TimeoutException:
        raise Unhealthy(f"{url} has not answered within {TIMEOUT_SECONDS:.0f} s") from None
    except httpx.HTTPStatusError as error:
        raise Unhealthy(f"{url} answered {error.response.status_code}: {error.response.text[:200]}") from error
    except httpx.HTTPError as error:
        raise Unhealthy(f"{url} did not answer properly: {type(error).__name__}: {error}") from error
    return answer
