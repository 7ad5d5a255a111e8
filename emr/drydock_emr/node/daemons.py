"""The Spark daemons of a node: started, watched by their own page, started again when they die.

A daemon runs under `runner` like everything long-lived, so a node that comes back finds it and goes on with it.
Its port is fixed: when somebody holds it, the daemon fails and says so, it does not take the next one.
"""

import asyncio
import enum
import itertools
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from drydock_emr.node import processes
from drydock_emr.node.config import Config
from drydock_emr.node.files import read_json, write_json
from drydock_emr.node.layout import NodeLayout, TenancyLayout
from drydock_emr.node.lease import Lease
from drydock_emr.node_protocol import Daemons, LeaseState

START_DEADLINE_SECONDS = 120.0
"""A JVM on a machine that three of them start on at once takes 10 to 30 s."""

UNANSWERED_DEADLINE_SECONDS = 60.0
"""How long a page that once answered may be silent before its daemon is started anew."""

CONNECT_TIMEOUT_SECONDS = 5.0
STARTING_POLL_SECONDS = 0.25
WATCH_POLL_SECONDS = 1.0
STOP_GRACE_SECONDS = 3.0
RESTART_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
FAILURES_UNTIL_FAILED = 4
"""After so many starts in a row that came to nothing the node says that it has failed; it goes on trying."""

log = logging.getLogger(__name__)


class Health(enum.Enum):
    DOWN = "down"  # no process, or one whose page does not answer yet
    UP = "up"


@dataclass(frozen=True)
class DaemonSpec:
    """One daemon: what it is run with. Another spec is another daemon, and replaces the one that runs."""

    name: str  # spark-master or spark-worker
    arguments: tuple[str, ...]
    ui_url: str
    environment: tuple[tuple[str, str], ...]
    master_url: str | None = None  # whom a worker registers with

    @property
    def is_master(self) -> bool:
        return self.name == "spark-master"


def specs(
    wanted: Daemons, config: Config, layout: TenancyLayout, environment: Mapping[str, str]
) -> dict[str, DaemonSpec]:
    """The daemons for an assignment, by name.

    A node that is master and worker at once (a cluster of one machine) has one pair of ports: the worker's are any
    free ones, which Spark's master page tells.
    """
    found = {}
    frozen = tuple(sorted(environment.items()))
    properties = ("--properties-file", str(layout.daemon_properties))
    fixed = ("--port", str(config.rpc_port), "--webui-port", str(config.ui_port))
    if wanted.master:
        found["spark-master"] = DaemonSpec(
            "spark-master",
            ("org.apache.spark.deploy.master.Master", "--host", config.host, *fixed, *properties),
            config.ui_url,
            frozen,
        )
    if wanted.worker_of is not None:
        size = ("--cores", str(wanted.worker_cores), "--memory", f"{wanted.worker_memory_mib}M")
        own = ("--port", "0", "--webui-port", "0") if wanted.master else fixed
        found["spark-worker"] = DaemonSpec(
            "spark-worker",
            (
                *("org.apache.spark.deploy.worker.Worker", "--host", config.host, *own, *size),
                *("--work-dir", str(layout.work), *properties, wanted.worker_of),
            ),
            "" if wanted.master else config.ui_url,
            frozen,
            wanted.worker_of,
        )
    return found


class Daemon:
    """Keeps one daemon running until cancelled. `changed` is called whenever health, failure or workers change."""

    def __init__(
        self, spec: DaemonSpec, config: Config, layout: NodeLayout, http: httpx.AsyncClient, changed: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.health = Health.DOWN
        self.failure: str | None = None
        self.alive_workers: int | None = None
        self.page: dict[str, Any] | None = None  # what it last said of itself; None while it does not answer
        self._config = config
        self._layout = layout
        self._http = http
        self._changed = changed
        self._lease: Lease | None = None

    async def run(self) -> None:
        """Adopt what a former node left running, then keep it up."""
        failures = 0
        while True:
            lease = await self._adopt()
            if lease is None:
                await self._await_master()
                lease = self._start()
            self._lease = lease
            was_up = await self._watch(lease)
            self._set(Health.DOWN, None)
            failures = 1 if was_up else failures + 1
            reason = self._last_words()
            log.warning("%s is gone (%s); starting it again", self.spec.name, reason)
            if failures >= FAILURES_UNTIL_FAILED:
                self.failure = f"the daemon {self.spec.name} does not start: {reason}"
                self._changed()
            await asyncio.to_thread(self.stop)
            await asyncio.sleep(RESTART_DELAYS_SECONDS[min(failures, len(RESTART_DELAYS_SECONDS)) - 1])

    def stop(self) -> None:
        """End the daemon and all its executors. Blocks."""
        lease = self._lease
        if lease is not None:
            runner = lease.runner()
            processes.end(lambda: processes.with_descendants([runner]) if runner else [], STOP_GRACE_SECONDS)

    async def _adopt(self) -> Lease | None:
        folder = self._newest_folder()
        if folder is None:
            return None
        lease = Lease(folder, self._layout.processes)
        if lease.status().state not in {LeaseState.STARTING, LeaseState.RUNNING}:
            return None
        self._lease = lease
        if read_json(folder / "daemon.json") == self._description():
            log.info("%s is still running; going on with it", self.spec.name)
            return lease
        log.info("%s runs with other settings than are asked for; replacing it", self.spec.name)
        await asyncio.to_thread(self.stop)
        return None

    async def _await_master(self) -> None:
        """Until somebody listens where a worker will look for its master.

        A worker whose first try finds nobody tries again after 5 to 15 s only (org.apache.spark.deploy.worker.Worker),
        and both start at once when a cluster ends: who starts a little later is up the sooner.
        """
        if self.spec.master_url is None:
            return
        began = time.monotonic()
        while not await _listens(self.spec.master_url):
            if self.failure is None and time.monotonic() - began > START_DEADLINE_SECONDS:
                self.failure = f"the daemon {self.spec.name} finds no Spark master at {self.spec.master_url}"
                log.error("No Spark master at %s for %.0f s", self.spec.master_url, START_DEADLINE_SECONDS)
                self._changed()
            await asyncio.sleep(STARTING_POLL_SECONDS)

    def _start(self) -> Lease:
        tenancy = self._layout.tenancy
        library, logs = tenancy.daemon_lib(self.spec.name), tenancy.daemon_log(self.spec.name)
        if library.is_dir():
            for stale in library.iterdir():
                shutil.rmtree(stale)
        folder = library / f"{time.time_ns()}"
        for path in (folder, logs, tenancy.work):
            path.mkdir(parents=True, exist_ok=True)
        write_json(folder / "daemon.json", self._description())
        lease = Lease(folder, self._layout.processes)
        lease.start(
            [str(self._config.spark_home / "bin" / "spark-class"), *self.spec.arguments],
            what=f"{self.spec.name} of {self._config.name}",
            environment=dict(self.spec.environment),
            cwd=tenancy.root,
            stdout=logs / "stdout",
            stderr=logs / "stderr",
        )
        log.info("%s is starting (page %s)", self.spec.name, self.spec.ui_url or "on any port")
        return lease

    async def _watch(self, lease: Lease) -> bool:
        """Until the daemon is gone or does not answer. True when it had been up."""
        was_up = False
        last_answer = time.monotonic()
        for turn in itertools.count():
            if lease.status().state in {LeaseState.EXITED, LeaseState.VANISHED}:
                return was_up
            page = self.page = await self._page(lease)
            now = time.monotonic()
            if page is not None:
                last_answer = now
                if not was_up:
                    log.info("%s is up after %d looks at its page", self.spec.name, turn + 1)
                    was_up, self.failure = True, None
                workers = page.get("workers") if self.spec.is_master else None
                alive = None if workers is None else sum(worker.get("state") == "ALIVE" for worker in workers)
                self._set(Health.UP, alive)
            elif now - last_answer > (UNANSWERED_DEADLINE_SECONDS if was_up else START_DEADLINE_SECONDS):
                log.error("%s has not answered for %.0f s", self.spec.name, now - last_answer)
                return was_up
            await asyncio.sleep(WATCH_POLL_SECONDS if was_up and page else STARTING_POLL_SECONDS)
        raise AssertionError("itertools.count ended")

    async def _page(self, lease: Lease) -> dict[str, Any] | None:
        """The daemon's page as JSON, once it says that the daemon works: a master ALIVE, a worker registered."""
        if not self.spec.ui_url:
            # The worker beside a master: its page has no fixed address, so its log tells that it is registered.
            text = _tail(self._layout.tenancy.daemon_log(self.spec.name) / "stderr", 1 << 20)
            return {} if "Successfully registered with master" in text else None
        try:
            answer = await self._http.get(f"{self.spec.ui_url}/json/", timeout=5)
            page: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, json.JSONDecodeError):
            return None
        if self.spec.is_master:
            ours = page.get("url") == f"spark://{self._config.host}:{self._config.rpc_port}"
            return page if ours and page.get("status") == "ALIVE" else None
        ours = str(page.get("id", "")).startswith("worker-") and f"-{self._config.host}-" in page["id"]
        return page if ours and page.get("masterurl") else None

    def _set(self, health: Health, alive_workers: int | None) -> None:
        if (health, alive_workers) != (self.health, self.alive_workers):
            if alive_workers != self.alive_workers:
                log.info("Workers ALIVE: %s", alive_workers)
            self.health, self.alive_workers = health, alive_workers
            self._changed()

    def _description(self) -> Any:
        return [self.spec.name, list(self.spec.arguments), [list(pair) for pair in self.spec.environment]]

    def _newest_folder(self) -> Path | None:
        library = self._layout.tenancy.daemon_lib(self.spec.name)
        folders = sorted(library.iterdir()) if library.is_dir() else []
        return folders[-1] if folders else None

    def _last_words(self) -> str:
        """What the daemon said last: an exception's line rather than its stack."""
        text = _tail(self._layout.tenancy.daemon_log(self.spec.name) / "stderr", 1 << 14)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if ("Exception" in line or "Error" in line) and not line.startswith("at ")]
        return (telling or lines or ["it left no word"])[-1][:500]


async def _listens(master_url: str) -> bool:
    """Whether somebody accepts connections at a `spark://host:port` URL."""
    address = urlsplit(master_url)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError:
        return False
    writer.close()
    return True


def _tail(path: Path, limit_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - limit_bytes))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
