"""Everything of one tenancy on this node: its folder, its daemons, and its work for the cluster that joins it.

A tenancy lives from one wipe to the next. It is prepared (a fresh Python, Spark daemons), may be joined by one cluster,
and ends as a whole. What it is stands in `NODE_SCRATCH/state.json`, so that a node that was killed takes it up where it
was.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from drydock_emr.node import cleanup, environment, spark_settings, toolbox
from drydock_emr.node.background import Background
from drydock_emr.node.cluster_service import ClusterService
from drydock_emr.node.config import Config
from drydock_emr.node.credentials import CredentialsCache
from drydock_emr.node.daemons import Daemon, Health, specs
from drydock_emr.node.errors import NodeError
from drydock_emr.node.files import read_json, write_atomically, write_json
from drydock_emr.node.layout import NodeLayout
from drydock_emr.node.state import State
from drydock_emr.node_protocol import Assignment, LeaseReport, NodeFailure, Phase

log = logging.getLogger(__name__)

Fetch = Callable[[], dict[str, Any]]


class Tenancy:
    """See the module. `changed` is called, in the event loop, whenever a report would say something new."""

    def __init__(
        self, state: State, config: Config, layout: NodeLayout, fetch_credentials: Fetch, changed: Callable[[], None]
    ) -> None:
        self.state = state
        self.credentials = CredentialsCache(fetch_credentials)
        self._config = config
        self._layout = layout
        self._changed = changed
        self._environment = environment.base(config, layout.tenancy, state.token)
        self._http = httpx.AsyncClient(trust_env=False)
        self._daemons: dict[str, tuple[Daemon, asyncio.Task[None]]] = {}
        self._service = self._make_service()
        self._failure: NodeFailure | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._prepared = False
        self._were_up = False
        self._background = Background(self._crashed)

    @classmethod
    def begin(
        cls, assignment: Assignment, config: Config, layout: NodeLayout, fetch: Fetch, changed: Callable[[], None]
    ) -> "Tenancy":
        """A new tenancy, on disk before anything is done for it. Raises OSError when it cannot be."""
        state = State(assignment.tenancy, secrets.token_urlsafe(32), assignment.daemons)
        layout.scratch.mkdir(parents=True, exist_ok=True)
        state.write(layout)
        return cls(state, config, layout, fetch, changed)

    @property
    def cluster_id(self) -> str | None:
        return self.state.cluster.cluster_id if self.state.cluster else None

    @property
    def phase(self) -> Phase:
        if self.failure is not None:
            return Phase.FAILED
        if not (self._prepared and self._were_up):
            return Phase.PREPARING
        if self._service is None:
            return Phase.IDLE
        return Phase.READY if self._service.bootstrapped else Phase.BOOTSTRAPPING

    @property
    def failure(self) -> NodeFailure | None:
        if self._failure is not None:
            return self._failure
        if self._service is not None and self._service.failure is not None:
            return self._service.failure
        message = next((daemon.failure for daemon, _ in self._daemons.values() if daemon.failure), None)
        return NodeFailure(message=message) if message else None

    @property
    def alive_workers(self) -> int | None:
        return next((daemon.alive_workers for daemon, _ in self._daemons.values() if daemon.spec.is_master), None)

    @property
    def lease_reports(self) -> tuple[LeaseReport, ...]:
        return self._service.lease_reports if self._service else ()

    @property
    def logs_shipped(self) -> bool:
        return self._service is None or self._service.logs_shipped

    def serves(self, assignment: Assignment) -> bool:
        """Whether this tenancy can become what is asked for. A cluster can join it once; nothing can leave it."""
        if assignment.tenancy != self.state.tenancy:
            return False
        return self.cluster_id in {None, assignment.cluster.cluster_id if assignment.cluster else None}

    def start(self) -> None:
        """Begin to live: prepare, keep the daemons, serve the cluster."""
        self._preparing = asyncio.create_task(asyncio.to_thread(self._prepare))
        self._background.spawn(self._live(), "tenancy")

    def apply(self, assignment: Assignment) -> None:
        """Take in what is asked for now. Raises OSError when it cannot be written down; then nothing was taken in."""
        wanted = replace(self.state, daemons=assignment.daemons, cluster=assignment.cluster or self.state.cluster)
        if wanted != self.state:
            wanted.write(self._layout)
            resized = self._service is not None and wanted.cluster != self.state.cluster
            self.state = wanted
            self._changed()
            if self._prepared:
                self._keep_daemons()
            if resized and self._service is not None and wanted.cluster is not None:
                self._service.update(wanted.cluster)
        if self._service is None and self.state.cluster is not None:
            log.info("Joining cluster %s (%s)", self.state.cluster.cluster_id, self.state.cluster.cluster_name)
            self._service = self._make_service()
            if self._prepared and self._service is not None:
                self._service.start()
        if self._service is not None:
            self._service.apply(assignment.leases, assignment.log_push_seconds)

    async def end(self) -> None:
        """End every process, deliver the last logs, wipe. `logs_shipped` is false until that is done or given up."""
        log.info("Tenancy %d ends (cluster %s)", self.state.tenancy, self.cluster_id)
        if self._service is not None:
            self._service.ends()
        await self.halt()
        await asyncio.to_thread(cleanup.end_processes, self._layout, self.state.token)
        if self._service is not None:
            await self._service.ship_last_logs()
        await self.close()
        await asyncio.to_thread(cleanup.wipe, self._layout)
        self._layout.state_file.unlink(missing_ok=True)
        self._daemons.clear()
        self._service = None
        log.info("Tenancy %d has ended, scratch is wiped", self.state.tenancy)

    async def halt(self) -> None:
        """Start nothing any more. Steps that run are still followed, so that their ends are written down."""
        await self._background.cancel("tenancy", *self._daemons)
        if self._service is not None:
            await self._service.halt()
        if self._preparing is not None:
            await asyncio.wait([self._preparing])  # a thread, which cannot be cancelled and must not race a wipe

    async def part(self) -> None:
        """After the node's processes were ended, but not the tenancy: deliver what they said last, if that is quick."""
        if self._service is not None:
            await self._service.part()
        await self.close()

    async def close(self) -> None:
        """Stop looking after it, leaving processes and files as they are."""
        await self._background.cancel()
        if self._service is not None:
            await self._service.close()
        await self._http.aclose()

    def _make_service(self) -> ClusterService | None:
        if self.state.cluster is None:
            return None
        return ClusterService(
            self.state.cluster,
            self._config,
            self._layout,
            self._environment,
            self.credentials,
            self._master_page,
            self._changed,
        )

    def _master_page(self) -> dict[str, Any] | None:
        return next((daemon.page for daemon, _ in self._daemons.values() if daemon.spec.is_master), None)

    async def _live(self) -> None:
        assert self._preparing is not None
        try:
            await asyncio.shield(self._preparing)
        except (NodeError, OSError) as error:
            log.warning("The node cannot be prepared: %s", error)
            self._failure = NodeFailure(message=f"the node could not be prepared: {error}")
            self._changed()
            return
        self._prepared = True
        self._keep_daemons()
        self._changed()
        if self._service is not None:
            self._service.start()

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
                    self._background.spawn(asyncio.to_thread(daemon.stop), "stop")
                self._were_up = False
        for name, spec in wanted.items():
            if name not in self._daemons:
                daemon = Daemon(spec, self._config, self._layout, self._http, self._daemon_changed)
                self._daemons[name] = (daemon, self._background.spawn(daemon.run(), name))
        self._daemon_changed()

    def _daemon_changed(self) -> None:
        if self._prepared and all(daemon.health is Health.UP for daemon, _ in self._daemons.values()):
            self._were_up = True
        self._changed()

    def _crashed(self, name: str) -> None:
        if name == "tenancy":
            self._failure = NodeFailure(message="the node met an error of its own, which its log tells")
            self._changed()
