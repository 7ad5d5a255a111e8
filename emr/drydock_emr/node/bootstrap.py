"""Bootstrap actions: scripts from S3, run in order on every node before its cluster takes steps.

As on EMR: fetched as the instance profile, run with their arguments, logs under
`node/<instance id>/bootstrap-actions/<n>/`; the first that does not end with 0 ends the cluster.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from drydock_emr.node.controller_log import ControllerLog
from drydock_emr.node.errors import DownloadFailed
from drydock_emr.node.layout import BOOTSTRAP_LOGS, NodeLayout
from drydock_emr.node.lease import Lease
from drydock_emr.node.s3 import fetch, script_argv
from drydock_emr.node_protocol import BootstrapAction, ClusterMembership, NodeFailure

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

log = logging.getLogger(__name__)


async def run_all(
    membership: ClusterMembership,
    layout: NodeLayout,
    base_environment: Mapping[str, str],
    s3_client: Callable[[], "S3Client"],
    timeout_seconds: float,
) -> NodeFailure | None:
    """Run what has not been run yet; None when all ended well. After a restart it waits for the one that still runs.

    One that does not end in time is ended, with all that it started.
    """
    for number, action in enumerate(membership.bootstrap_actions, start=1):
        try:
            failure = await _run(number, action, layout, base_environment, s3_client, timeout_seconds)
        except OSError as error:
            failure = f"could not be run: {error}"
        if failure is not None:
            log.error("Bootstrap action %d (%s) %s", number, action.name, failure)
            return NodeFailure(bootstrap_action=number, message=failure)
    return None


async def _run(
    number: int,
    action: BootstrapAction,
    layout: NodeLayout,
    base_environment: Mapping[str, str],
    s3_client: Callable[[], "S3Client"],
    timeout_seconds: float,
) -> str | None:
    """None, or how it failed, as the end of a sentence that begins with "bootstrap action <n>"."""
    library, logs = layout.tenancy.bootstrap_lib(number), layout.tenancy.bootstrap_log(number)
    for folder in (library, logs):
        folder.mkdir(parents=True, exist_ok=True)
    for name in BOOTSTRAP_LOGS:
        (logs / name).touch()
    controller = ControllerLog(logs / "controller")
    lease = Lease(library / ".lease", layout.processes)
    if not lease.was_started:
        script = library / "script"
        controller.note(f"Fetching {action.path} for bootstrap action {number}, {action.name}")
        try:
            await asyncio.to_thread(fetch, action.path, script, s3_client)
        except DownloadFailed as error:
            controller.note(str(error), "ERROR")
            return f"failed: {error}"
        argv = script_argv(script, action.args)
        environment = {**base_environment, "PWD": str(library)}
        controller.started(argv, environment, library, logs)
        log.info("Bootstrap action %d (%s) starts: %s", number, action.name, action.path)
        lease.folder.mkdir(exist_ok=True)
        lease.start(
            argv,
            what=f"bootstrap action {number}",
            environment=environment,
            cwd=library,
            stdout=logs / "stdout",
            stderr=logs / "stderr",
        )
    if not await lease.ends_by(timeout_seconds):
        controller.note(f"The bootstrap action has run for {timeout_seconds:.0f} seconds and is ended", "ERROR")
        await asyncio.to_thread(lease.kill)
        await lease.wait()
        return f"did not end within {timeout_seconds:.0f} seconds"
    status = await lease.wait()
    controller.ended(status.exit_code, (status.ended_at or 0.0) - (status.started_at or status.ended_at or 0.0))
    if status.exit_code == 0:
        return None
    if status.exit_code is None:
        return "is gone and left no return code"
    return "returned a non-zero return code"
