"""Everything of one tenancy on this node: its folder, daemons, bootstrap actions, steps, logs, credentials.

A tenancy lives from one wipe to the next. It is prepared (a fresh Python, Spark daemons), may be joined by one cluster,
and ends as a whole. What it is stands in `NODE_SCRATCH/state.json`, so that a node that was killed takes it up where it
was.
"""

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from drydock_emr.node import bootstrap, cleanup, environment, s3, spark_settings, toolbox
from drydock_emr.node.config import Config
from drydock_emr.node.credentials import CredentialsCache
from drydock_emr.node.daemons import Daemon, Health, specs
from drydock_emr.node.errors import CredentialsUnavailable, NodeError, NotAnS3Url
from drydock_emr.node.files import read_json, write_atomically, write_json
from drydock_emr.node.layout import NodeLayout
from drydock_emr.node.logs import LogShipper
from drydock_emr.node.s3 import S3Url
from drydock_emr.node.state import State
from drydock_emr.node.step import Step
from drydock_emr.node_protocol import (
    Assignment,
    ClusterMembership,
    Lease,
    LeaseReport,
    NodeFailure,
    Phase,
)

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LAST_LOGS_DEADLINE_SECONDS = 30.0
LAST_LOGS_RETRY_SECONDS = 1.0
PARTING_DEADLINE_SECONDS = 2.0
FIRST_CREDENTIALS_DEADLINE_SECONDS = 60.0

log = logging.getLogger(__name__)

Fetch = Callable[[], dict[str, Any]]


class Tenancy:
    """See the module. `changed` is called, in the event loop, whenever a report would say something new."""

    def __init__(
        self, state: State, config: Config, layout: NodeLayout, fetch_credentials: Fetch, changed: Callable[[], None]
    ) -> None:
        self.state = state
        self.failure: NodeFailure | None = None
        self.logs_shipped = True
        self.credentials = CredentialsCache(fetch_credentials)
        self._config = config
        self._layout = layout
        self._changed = changed
        self._environment = environment.base(config, layout.tenancy, state.token)
        self._http = httpx.AsyncClient(trust_env=False)
        self._daemons: dict[str, tuple[Daemon, asyncio.Task[None]]] = {}
        self._steps: dict[tuple[str, int], tuple[Step, asyncio.Task[None]]] = {}
        self._wanted_leases: Sequence[Lease] = ()
        self._preparing: asyncio.Task[None] | None = None
        self._prepared = False
        self._bootstrapped = False
        self._were_up = False
        self._s3: S3Client | None = None
        self._shipper: LogShipper | None = None
        self._log_push_seconds = 3.0
        self._push_now = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def begin(
        cls, assignment: Assignment, config: Config, layout: NodeLayout, fetch: Fetch, changed: Callable[[], None]
    ) -> "Tenancy":
        """A new tenancy, on disk before anything is done for it."""
        state = State(assignment.tenancy, secrets.token_urlsafe(32), assignment.daemons)
        layout.scratch.mkdir(parents=True, exist_ok=True)
        state.write(layout)
        return cls(state, config, layout, fetch, changed)

    @property
    def cluster_id(self) -> str | None:
        return self.state.cluster.cluster_id if self.state.cluster else None

    @property
    def phase(self) -> Phase:
        if self.failure is not None or self._daemon_failure is not None:
            return Phase.FAILED
        if not (self._prepared and self._were_up):
            return Phase.PREPARING
        if self.state.cluster is None:
            return Phase.IDLE
        return Phase.READY if self._bootstrapped else Phase.BOOTSTRAPPING

    @property
    def reported_failure(self) -> NodeFailure | None:
        if self.failure is not None:
            return self.failure
        return NodeFailure(message=self._daemon_failure) if self._daemon_failure else None

    @property
    def alive_workers(self) -> int | None:
        return next((daemon.alive_workers for daemon, _ in self._daemons.values() if daemon.spec.is_master), None)

    @property
    def lease_reports(self) -> tuple[LeaseReport, ...]:
        return tuple(step.report for step, _ in self._steps.values())

    def serves(self, assignment: Assignment) -> bool:
        """Whether this tenancy can become what is asked for. A cluster can join it once; nothing can leave it."""
        if assignment.tenancy != self.state.tenancy:
            return False
        return self.cluster_id in {None, assignment.cluster.cluster_id if assignment.cluster else None}

    def start(self) -> None:
        """Begin to live: prepare, keep the daemons, run bootstrap actions."""
        self._preparing = asyncio.create_task(asyncio.to_thread(self._prepare))
        self._spawn(self._live(), "tenancy")

    def apply(self, assignment: Assignment) -> None:
        """Take in what is asked for now."""
        self._log_push_seconds = assignment.log_push_seconds
        before = (self.state.daemons, self.state.cluster)
        self.state.daemons = assignment.daemons
        if assignment.cluster is not None:
            self.state.cluster = assignment.cluster
        if before != (self.state.daemons, self.state.cluster):
            self.state.write(self._layout)
            self._changed()
            if self._prepared:
                self._keep_daemons()
        if before[1] is None and self.state.cluster is not None:
            log.info("Joining cluster %s (%s)", self.state.cluster.cluster_id, self.state.cluster.cluster_name)
            if self._prepared:
                self._spawn(self._serve_cluster(self.state.cluster), "cluster")
        self._wanted_leases = assignment.leases
        if self._bootstrapped:
            self._keep_leases()

    async def end(self) -> None:
        """End every process, deliver the last logs, wipe. `logs_shipped` is false until that is done or given up."""
        log.info("Tenancy %d ends (cluster %s)", self.state.tenancy, self.cluster_id)
        self.logs_shipped = self._shipper is None
        self._changed()
        await self.halt()
        await asyncio.to_thread(cleanup.end_processes, self._layout, self.state.token)
        await self._settle_steps()
        await self._ship_last_logs()
        await self.close()
        await asyncio.to_thread(cleanup.wipe, self._layout)
        self._layout.state_file.unlink(missing_ok=True)
        self._daemons.clear()
        self._steps.clear()
        log.info("Tenancy %d has ended, scratch is wiped", self.state.tenancy)

    async def halt(self) -> None:
        """Start nothing any more. Steps that run are still followed, so that their ends are written down."""
        for step, _ in self._steps.values():
            step.halt()
        live = [task for task in self._tasks if task.get_name() in {"tenancy", "cluster", "push"}]
        await _cancel([*live, *(task for _, task in self._daemons.values())])
        if self._preparing is not None:
            await asyncio.wait([self._preparing])  # a thread, which cannot be cancelled and must not race a wipe

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
        await self.close()

    async def close(self) -> None:
        """Stop looking after it, leaving processes and files as they are."""
        await _cancel([*self._tasks, *(t for _, t in self._daemons.values()), *(t for _, t in self._steps.values())])
        await self._http.aclose()

    async def _live(self) -> None:
        assert self._preparing is not None
        try:
            await asyncio.shield(self._preparing)
        except (NodeError, OSError) as error:
            log.warning("The node cannot be prepared: %s", error)
            self.failure = NodeFailure(message=f"the node could not be prepared: {error}")
            self._changed()
            return
        self._prepared = True
        self._keep_daemons()
        self._changed()
        if self.state.cluster is not None:
            await self._serve_cluster(self.state.cluster)

    def _prepare(self) -> None:
        tenancy = self._layout.tenancy
        self._config.event_log_dir.mkdir(parents=True, exist_ok=True)
        if read_json(tenancy.prepared_marker) == self.state.tenancy:
            log.info("Tenancy %d goes on", self.state.tenancy)
            return
        began = time.monotonic()
        cleanup.end_processes(self._layout, self.state.token)
        cleanup.wipe(self._layout)
        for folder in (tenancy.home, tenancy.tmp, tenancy.work, tenancy.spark):
            folder.mkdir(parents=True)
        toolbox.make(self._config, tenancy)
        properties = spark_settings.as_properties_file(spark_settings.daemon_properties(self._config))
        write_atomically(tenancy.daemon_properties, properties)
        write_json(tenancy.prepared_marker, self.state.tenancy)
        log.info("Tenancy %d is prepared, in %.1f s", self.state.tenancy, time.monotonic() - began)

    def _keep_daemons(self) -> None:
        """Have exactly the daemons that are asked for, with the settings that are asked for."""
        variables = environment.for_daemon(self._environment, self._config)
        if self.state.cluster is not None:
            variables |= spark_settings.exported_variables(self.state.cluster.configurations)
        wanted = specs(self.state.daemons, self._config, self._layout.tenancy, variables)
        for name, (daemon, task) in list(self._daemons.items()):
            if wanted.get(name) != daemon.spec:
                log.info("%s is stopped: other daemons are asked for", name)
                task.cancel()
                del self._daemons[name]
                if name not in wanted:  # else the new one ends it first, since both want the same port
                    self._spawn(asyncio.to_thread(daemon.stop), "stop")
                self._were_up = False
        for name, spec in wanted.items():
            if name not in self._daemons:
                daemon = Daemon(spec, self._config, self._layout, self._http, self._daemon_changed)
                task = asyncio.create_task(daemon.run(), name=name)
                task.add_done_callback(_report_crash)
                self._daemons[name] = (daemon, task)
        self._daemon_changed()

    def _daemon_changed(self) -> None:
        if self._prepared and all(daemon.health is Health.UP for daemon, _ in self._daemons.values()):
            self._were_up = True
        self._changed()

    @property
    def _daemon_failure(self) -> str | None:
        return next((daemon.failure for daemon, _ in self._daemons.values() if daemon.failure), None)

    async def _serve_cluster(self, membership: ClusterMembership) -> None:
        """From joining to readiness; logs are shipped from here on."""
        self._write_submit_settings(membership)
        for classification in spark_settings.without_effect(membership.configurations):
            log.warning("The configuration classification %s has no effect here", classification)
        if membership.log_uri is not None:
            self._start_shipping(membership, membership.log_uri)
        marker = self._layout.tenancy.bootstrapped_marker
        if not marker.exists():
            await self._await_credentials()
            self.failure = await bootstrap.run_all(membership, self._layout, self._environment, self._s3_client)
            self._push_now.set()
        if self.failure is None:
            marker.touch()
            self._bootstrapped = True
            log.info("Ready to run steps" if membership.is_master else "Bootstrapped")
            self._keep_leases()
        self._changed()

    def _write_submit_settings(self, membership: ClusterMembership) -> None:
        tenancy = self._layout.tenancy
        machine, defaults = tenancy.spark / "machine.properties", tenancy.spark / "spark-defaults.properties"
        default_properties = spark_settings.default_properties(membership.configurations)
        write_atomically(
            machine,
            spark_settings.as_properties_file(spark_settings.machine_properties(self._config, membership)),
        )
        write_atomically(defaults, spark_settings.as_properties_file(default_properties))
        write_json(
            tenancy.submit_settings,
            {
                "tenancy": str(tenancy.root),
                "spark_home": str(self._config.spark_home),
                "java_home": str(self._config.java_home),
                "host": self._config.host,
                "cds_archive": str(self._config.cds_archive) if self._config.cds_archive else None,
                "machine": str(machine),
                "defaults": str(defaults),
                "master_url": membership.master_url,
                "executor_cores": default_properties["spark.executor.cores"],
                "environment": spark_settings.exported_variables(membership.configurations),
            },
        )

    async def _await_credentials(self) -> None:
        """The control plane gives them once it has heard that this node serves the cluster."""
        deadline = time.monotonic() + FIRST_CREDENTIALS_DEADLINE_SECONDS
        while True:
            try:
                await asyncio.to_thread(self.credentials.get)
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
            assert self.state.cluster is not None
            self._s3 = s3.client(self.credentials, self._config.aws_endpoint_url, self.state.cluster.region)
        return self._s3

    def _start_shipping(self, membership: ClusterMembership, log_uri: str) -> None:
        try:
            prefix = S3Url.parse(log_uri) / membership.cluster_id
        except NotAnS3Url as error:
            log.warning("No logs will be delivered: %s", error)
            return
        sources = partial(self._layout.tenancy.logs, membership.instance_id)
        self._shipper = LogShipper(prefix, sources, self._s3_client, self._layout.scratch)
        self._spawn(self._ship_logs(self._shipper), "push")

    async def _ship_logs(self, shipper: LogShipper) -> None:
        await self._await_credentials()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._push_now.wait(), self._log_push_seconds)
            self._push_now.clear()
            await asyncio.to_thread(shipper.push)

    async def _ship_last_logs(self) -> None:
        if self._shipper is not None:
            deadline = time.monotonic() + LAST_LOGS_DEADLINE_SECONDS
            while not await asyncio.to_thread(self._shipper.push, everything=True):
                if time.monotonic() > deadline:
                    log.error(
                        "The last logs of cluster %s could not be delivered within %.0f s and are given up",
                        self.cluster_id,
                        LAST_LOGS_DEADLINE_SECONDS,
                    )
                    break
                await asyncio.sleep(LAST_LOGS_RETRY_SECONDS)
        self.logs_shipped = True

    def _keep_leases(self) -> None:
        """Run what is leased, cancel what is to be cancelled, end and forget what is leased no more."""
        wanted = {(lease.step_id, lease.attempt): lease for lease in self._wanted_leases}
        for key, (step, task) in list(self._steps.items()):
            if key in wanted:
                continue
            if step.is_done:
                del self._steps[key]
            elif not task.cancelled():
                log.warning("Step %s is leased no more; ending it", key[0])
                self._spawn(asyncio.to_thread(step.kill), "kill")
        for key, lease in wanted.items():
            if key not in self._steps:
                assert self.state.cluster is not None
                step = Step(
                    lease,
                    self._layout,
                    self._environment,
                    self._shipper.prefix if self._shipper else None,
                    self._s3_client,
                    self._step_changed,
                )
                task = asyncio.create_task(step.run(), name=f"step {lease.step_id}")
                task.add_done_callback(_report_crash)
                self._steps[key] = (step, task)
            if lease.cancel is not None:
                self._spawn(asyncio.to_thread(self._steps[key][0].cancel, lease.cancel), "cancel")

    def _step_changed(self) -> None:
        self._push_now.set()
        self._changed()

    async def _settle_steps(self) -> None:
        """Their processes are ended; give each a moment to read its exit code and write its controller log."""
        tasks = [task for _, task in self._steps.values() if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    def _spawn(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._settle_task)

    def _settle_task(self, task: asyncio.Task[None]) -> None:
        if _report_crash(task) and task.get_name() in {"tenancy", "cluster"}:
            self.failure = NodeFailure(message="the node met an error of its own, which its log tells")
            self._changed()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _report_crash(task: asyncio.Task[None]) -> bool:
    if task.cancelled() or (error := task.exception()) is None:
        return False
    log.error("%s ended with an error of the node's own", task.get_name(), exc_info=error)
    return True
