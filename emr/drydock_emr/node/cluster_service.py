"""What a node does for the cluster it has joined: bootstrap actions, then steps, and its logs all along.

The tenancy has the machine in hand (its folder, its daemons); this has the cluster's work. What has to survive a
killed node is on disk, in the leases' folders and in the marker that says that the bootstrap actions are done.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from drydock_emr.node import bootstrap, cluster_files, release, s3, stranded
from drydock_emr.node.background import Background
from drydock_emr.node.config import Config
from drydock_emr.node.credentials import CredentialsCache
from drydock_emr.node.errors import CredentialsUnavailable, NotAnS3Url
from drydock_emr.node.layout import NodeLayout
from drydock_emr.node.logs import LogShipper
from drydock_emr.node.s3 import S3Url
from drydock_emr.node.step import Step
from drydock_emr.node_protocol import ClusterMembership, Lease, LeaseReport, NodeFailure

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LAST_LOGS_DEADLINE_SECONDS = 60.0
"""A gateway that restarts is away for half a minute; beyond that, a cluster's end is worth more than its logs."""

LAST_LOGS_RETRY_SECONDS = 1.0
PARTING_DEADLINE_SECONDS = 2.0
FIRST_CREDENTIALS_DEADLINE_SECONDS = 60.0
SETTLE_DEADLINE_SECONDS = 5.0
STRANDED_POLL_SECONDS = 2.0
STRANDED_SECONDS = 10.0
"""For so long an application has to be seen waiting in vain: a worker that restarts is missing for a moment."""

log = logging.getLogger(__name__)


class ClusterService:
    """See the module. `changed` is called, in the event loop, whenever a report would say something new."""

    def __init__(
        self,
        membership: ClusterMembership,
        config: Config,
        layout: NodeLayout,
        base_environment: Mapping[str, str],
        credentials: CredentialsCache,
        master_page: Callable[[], dict[str, Any] | None],
        changed: Callable[[], None],
    ) -> None:
        """`master_page` tells what the Spark master on this node last said of itself; None without one."""
        self.failure: NodeFailure | None = None
        self.bootstrapped = False
        self.logs_shipped = True
        self._membership = membership
        self._config = config
        self._layout = layout
        self._environment = base_environment
        self._credentials = credentials
        self._master_page = master_page
        self._changed = changed
        self._steps: dict[tuple[str, int], tuple[Step, asyncio.Task[None]]] = {}
        self._wanted: Sequence[Lease] = ()
        self._s3: S3Client | None = None
        self._shipper = self._make_shipper()
        self._push_seconds = 3.0
        self._push_now = asyncio.Event()
        self._background = Background(self._crashed)

    @property
    def lease_reports(self) -> tuple[LeaseReport, ...]:
        return tuple(step.report for step, _ in self._steps.values())

    def start(self) -> None:
        """Begin to serve; the node has been prepared."""
        self._background.spawn(self._serve(), "cluster")
        if self._shipper is not None:
            self._background.spawn(self._ship_logs(self._shipper), "push")
        if self._membership.is_master:
            self._background.spawn(self._end_stranded(), "stranded")

    def update(self, membership: ClusterMembership) -> None:
        """The same cluster, of another size."""
        self._membership = membership
        cluster_files.write(membership, self._config, self._layout.tenancy)

    def apply(self, leases: Sequence[Lease], log_push_seconds: float) -> None:
        """Take in what is asked for now; steps begin when the bootstrap actions have ended."""
        self._wanted, self._push_seconds = leases, log_push_seconds
        if self.bootstrapped:
            self._keep_leases()

    async def halt(self) -> None:
        """Start nothing any more. Steps that run are still followed, so that their ends are written down."""
        for step, _ in self._steps.values():
            step.halt()
        await self._background.cancel("cluster", "push", "stranded")

    def ends(self) -> None:
        """The cluster is over: from here on the last logs are due."""
        self.logs_shipped = self._shipper is None
        self._changed()

    async def ship_last_logs(self) -> None:
        """After `halt`, and after the processes were ended: what they said last. Gives up after a deadline."""
        await self._settle_steps()
        if self._shipper is not None:
            deadline = time.monotonic() + LAST_LOGS_DEADLINE_SECONDS
            while not await asyncio.to_thread(self._shipper.push, everything=True):
                if time.monotonic() > deadline:
                    log.error(
                        "The last logs of cluster %s could not be delivered within %.0f s and are given up",
                        self._membership.cluster_id,
                        LAST_LOGS_DEADLINE_SECONDS,
                    )
                    break
                await asyncio.sleep(LAST_LOGS_RETRY_SECONDS)
        self.logs_shipped = True

    async def part(self) -> None:
        """After the node's processes were ended, but not the tenancy: deliver what they said last, if that is quick."""
        await self._settle_steps()
        if self._shipper is not None:
            # A thread that the end of the process does not wait for: the gateway may have stopped answering.
            push = threading.Thread(target=self._shipper.push, kwargs={"everything": True}, daemon=True)
            push.start()
            deadline = time.monotonic() + PARTING_DEADLINE_SECONDS
            while push.is_alive() and time.monotonic() < deadline:
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Stop looking after it, leaving processes and files as they are."""
        await self._background.cancel()

    async def _serve(self) -> None:
        try:
            cluster_files.write(self._membership, self._config, self._layout.tenancy)
            await self._bootstrap()
        except OSError as error:
            log.warning("The node cannot serve its cluster: %s", error)
            self.failure = NodeFailure(message=f"the node could not be prepared for the cluster: {error}")
        self._changed()

    async def _bootstrap(self) -> None:
        marker = self._layout.tenancy.bootstrapped_marker
        if not marker.exists():
            await self._await_credentials()
            self.failure = await bootstrap.run_all(
                self._membership,
                self._layout,
                self._environment,
                self._s3_client,
                self._config.bootstrap_timeout_seconds,
            )
            self._push_now.set()
        if self.failure is None:
            marker.touch()
            self.bootstrapped = True
            log.info("Ready to run steps" if self._membership.is_master else "Bootstrapped")
            self._keep_leases()

    async def _await_credentials(self) -> None:
        """The control plane gives them once it has heard that this node serves the cluster."""
        deadline = time.monotonic() + FIRST_CREDENTIALS_DEADLINE_SECONDS
        while True:
            try:
                await asyncio.to_thread(self._credentials.get)
            except CredentialsUnavailable as error:
                if time.monotonic() > deadline:
                    log.warning("Going on without credentials: %s", error)  # what needs them will say so
                    return
                await asyncio.sleep(0.2)
            else:
                return

    def _s3_client(self) -> "S3Client":
        """Blocks; raises CredentialsUnavailable."""
        if self._s3 is None:
            self._s3 = s3.client(self._credentials, self._config.aws_endpoint_url, self._membership.region)
        return self._s3

    def _make_shipper(self) -> LogShipper | None:
        if self._membership.log_uri is None:
            return None
        try:
            prefix = S3Url.parse(self._membership.log_uri) / self._membership.cluster_id
        except NotAnS3Url as error:
            log.warning("No logs will be delivered: %s", error)
            return None
        sources = partial(self._layout.tenancy.logs, self._membership.instance_id)
        return LogShipper(prefix, sources, self._s3_client)

    async def _ship_logs(self, shipper: LogShipper) -> None:
        await self._await_credentials()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._push_now.wait(), self._push_seconds)
            self._push_now.clear()
            await asyncio.to_thread(shipper.push)

    async def _end_stranded(self) -> None:
        """End steps whose application waits for what no worker can ever hold; see `stranded`."""
        seen_first: dict[str, float] = {}
        while True:
            await asyncio.sleep(STRANDED_POLL_SECONDS)
            found = {
                each.application_id: each
                for each in stranded.find(self._master_page() or {}, self._config.event_log_dir)
            }
            now = time.monotonic()
            seen_first = {id_: seen_first.get(id_, now) for id_ in found}
            for each in found.values():
                if now - seen_first[each.application_id] < STRANDED_SECONDS:
                    continue
                for step, _ in self._steps.values():
                    if step.asked.step_id == each.step_id:
                        await asyncio.to_thread(step.fail, f"Application {each.application_id}: {each.reason}")

    def _keep_leases(self) -> None:
        """Run what is leased, cancel what is to be cancelled, end and forget what is leased no more."""
        wanted = {(lease.step_id, lease.attempt): lease for lease in self._wanted}
        for key, (step, task) in list(self._steps.items()):
            if key in wanted:
                continue
            if step.is_done:
                del self._steps[key]
            elif not task.cancelled():
                log.warning("Step %s is leased no more; ending it", key[0])
                self._background.spawn(asyncio.to_thread(step.kill), "kill")
        for key, lease in wanted.items():
            if key not in self._steps:
                step = Step(
                    lease,
                    self._layout,
                    self._environment,
                    self._shipper.prefix if self._shipper else None,
                    self._s3_client,
                    self._step_changed,
                    release.difference(self._membership.release_label, self._config.spark_home),
                )
                self._steps[key] = (step, self._background.spawn(step.run(), f"step {lease.step_id}"))
            if lease.cancel is not None:
                self._background.spawn(asyncio.to_thread(self._steps[key][0].cancel, lease.cancel), "cancel")

    def _step_changed(self) -> None:
        self._push_now.set()
        self._changed()

    async def _settle_steps(self) -> None:
        """Their processes are ended; give each a moment to read its exit code and write its controller log."""
        tasks = [task for _, task in self._steps.values() if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=SETTLE_DEADLINE_SECONDS)

    def _crashed(self, name: str) -> None:
        if name == "cluster":
            self.failure = NodeFailure(message="the node met an error of its own, which its log tells")
            self._changed()
