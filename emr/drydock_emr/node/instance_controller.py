"""The instance controller, as EMR calls the program that has a node in hand.

A loop: it says what is true of the node, hears what should be true, and works towards it.

Two tasks run side by side. `_sync` keeps a request at the control plane and sends a new one as soon as there is news;
while the control plane is away it tries again, ever more rarely, and everything on the node goes on. `_reconcile`
brings the tenancy towards the newest assignment; while it ends an old tenancy, newer assignments only replace the one
that is next.
"""

import asyncio
import logging
import random
import time

from drydock_emr.node.cleanup import end_processes
from drydock_emr.node.config import Config
from drydock_emr.node.control_plane import ControlPlane
from drydock_emr.node.credentials import CredentialsEndpoint
from drydock_emr.node.errors import ControlPlaneUnreachable
from drydock_emr.node.layout import NodeLayout
from drydock_emr.node.state import State
from drydock_emr.node.tenancy import Tenancy
from drydock_emr.node_protocol import Assignment, Phase, Report

RETRY_FIRST_SECONDS = 0.2
RETRY_MOST_SECONDS = 5.0
RETURN_DEADLINE_SECONDS = 5.0
"""A node that comes back looks at what it finds for so long at most, before its first report."""

log = logging.getLogger(__name__)


class InstanceController:
    """Of one node. `run` until it is cancelled or `stop` is called."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigurationError when the credentials' port is taken."""
        self._config = config
        self._layout = NodeLayout(config.scratch)
        self._control_plane = ControlPlane(config)
        self._endpoint = CredentialsEndpoint(config.credentials_port)
        self._assignment: Assignment | None = None
        self._tenancy: Tenancy | None = None
        self._ending = False
        self._news = asyncio.Event()
        self._assigned = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped; then end everything that was started."""
        self._layout.scratch.mkdir(parents=True, exist_ok=True)
        self._layout.processes.mkdir(exist_ok=True)
        await self._return()
        tasks = [
            asyncio.create_task(self._sync(), name="sync"),
            asyncio.create_task(self._reconcile(), name="reconcile"),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # sync and reconcile never return: an error of the node's own ends it, loudly
        finally:
            log.info("Stopping: ending all that this node started")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._shut_down()

    def report(self) -> Report:
        """What is true of the node now."""
        tenancy, ending = self._tenancy, self._ending
        facts: dict[str, object] = {"tenancy": -1, "phase": Phase.PREPARING}
        if tenancy is not None:
            facts = {
                "tenancy": tenancy.state.tenancy,
                "cluster_id": tenancy.cluster_id,
                "leases": tenancy.lease_reports,
            }
            if ending:
                assert self._assignment is not None
                facts |= {"tenancy": self._assignment.tenancy, "phase": Phase.PREPARING}
                facts |= {"logs_shipped": tenancy.logs_shipped}
            else:
                facts |= {"phase": tenancy.phase, "failure": tenancy.failure}
                facts |= {"alive_workers": tenancy.alive_workers}
        return Report.model_validate(
            {
                "node": self._config.name,
                "host": self._config.host,
                "rpc_port": self._config.rpc_port,
                "ui_url": self._config.ui_url,
                "seen_version": -1 if self._assignment is None else self._assignment.version,
                **facts,
            }
        )

    async def _return(self) -> None:
        """Take up what a former node left; without a word from it, nothing of it may live on."""
        state = State.read(self._layout)
        if state is None:
            await asyncio.to_thread(end_processes, self._layout, None)
            return
        log.info("Returning to tenancy %d (cluster %s)", state.tenancy, state.cluster and state.cluster.cluster_id)
        tenancy = Tenancy(state, self._config, self._layout, self._control_plane.credentials, self._news.set)
        self._adopt(tenancy)
        deadline = time.monotonic() + RETURN_DEADLINE_SECONDS
        while tenancy.phase in {Phase.PREPARING, Phase.BOOTSTRAPPING} and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    async def _sync(self) -> None:
        failures = 0
        while True:
            self._news.clear()
            report = self.report()
            exchange = asyncio.create_task(self._control_plane.sync(report))
            news = asyncio.create_task(self._await_news(report))
            try:
                await asyncio.wait({exchange, news}, return_when=asyncio.FIRST_COMPLETED)
                if not exchange.done():
                    continue
                self._take(exchange.result())
                if failures:
                    log.info("The control plane at %s answers again", self._config.emr_url)
                failures = 0
            except ControlPlaneUnreachable as error:
                failures += 1
                if failures == 1 or failures % 20 == 0:
                    log.warning("The control plane at %s cannot be reached: %s", self._config.emr_url, error)
                longest = min(RETRY_MOST_SECONDS, RETRY_FIRST_SECONDS * 2 ** min(failures, 10))
                await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter
            finally:
                exchange.cancel()
                news.cancel()
                await asyncio.gather(exchange, news, return_exceptions=True)

    async def _await_news(self, told: Report) -> None:
        """Until a report would say something else than `told` did."""
        while self.report() == told:
            await self._news.wait()
            self._news.clear()

    def _take(self, assignment: Assignment) -> None:
        if self._assignment is None or assignment.version != self._assignment.version:
            self._assignment = assignment
            self._assigned.set()

    async def _reconcile(self) -> None:
        while True:
            await self._assigned.wait()
            self._assigned.clear()
            assert self._assignment is not None
            if self._tenancy is not None and not self._tenancy.serves(self._assignment):
                self._ending = True
                await self._tenancy.end()
                self._endpoint.withdraw()
                self._tenancy, self._ending = None, False
            try:
                self._serve(self._assignment)  # a newer one may have come while the old tenancy ended
            except OSError as error:
                log.warning("%s cannot be written to: %s. Trying again.", self._layout.scratch, error)
                self._assigned.set()
                await asyncio.sleep(RETRY_MOST_SECONDS)
            self._news.set()

    def _serve(self, wanted: Assignment) -> None:
        if self._tenancy is None:
            log.info("Tenancy %d begins: %s", wanted.tenancy, wanted.daemons)
            fetch = self._control_plane.credentials
            self._adopt(Tenancy.begin(wanted, self._config, self._layout, fetch, self._news.set))
        assert self._tenancy is not None
        self._tenancy.apply(wanted)

    def _adopt(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._endpoint.serve(tenancy.state.token, tenancy.credentials)
        tenancy.start()

    async def _shut_down(self) -> None:
        token = self._tenancy.state.token if self._tenancy else None
        if self._tenancy is not None:
            await self._tenancy.halt()
        await asyncio.to_thread(end_processes, self._layout, token)
        if self._tenancy is not None:
            await self._tenancy.part()
        await asyncio.to_thread(self._endpoint.close)
        await self._control_plane.close()
