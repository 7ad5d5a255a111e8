"""How the platform runs: as local processes under a supervisor, or in Docker Compose. Most verbs need no more of it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import typer

from drydock import health, log_files, processes, services, settings
from drydock.compose import Compose, ComposeFailed, Container, node_service
from drydock.preflight import known_runtime
from drydock.settings import DOCKER, PROCESS
from drydock.supervision import ProcessState, Supervisor, last_lines

RuntimeOption = Annotated[
    str,
    typer.Option("--runtime", envvar="RUNTIME", metavar=f"{DOCKER}|{PROCESS}", help="By default the running one."),
]
START_SECONDS = 240  # of a container: its image is there, the machine may be busy


@dataclass(frozen=True)
class Declared:
    """A service as verbs look at it. `check` raises health.Unhealthy."""

    name: str
    check: Callable[[], None]
    url: str | None
    start_seconds: float


class Runtime(Protocol):
    """The platform of one DRYDOCK_HOME, running or not."""

    def is_running(self) -> bool:
        """Whether it was started and not ended: single services of it may be down."""

    def states(self) -> dict[str, ProcessState]:
        """Service name → whether it runs, since when, how often it was started again."""

    def names(self) -> Sequence[str]:
        """All services', in the order of their start."""

    def declared(self) -> Sequence[Declared]:
        """All services, in the same order."""

    def memory_bytes(self) -> dict[str, int]:
        """Service name → what it occupies."""

    def logged(self) -> Sequence[str]:
        """The names of what has a log."""

    def log(self, name: str, count: int) -> list[str]:
        """The last lines of a log; none when there is none."""

    def follow(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Service name and line, as they are logged from now on."""


def chosen(asked: str, default: str) -> str:
    """PROCESS or DOCKER: what is asked for, else what runs, else the default. Raises UsageError."""
    running: str = settings.running_platform().get("runtime", "")
    return known_runtime(asked) or running or default


def of(paths: settings.Paths, ports: settings.Ports, asked: str = "") -> Runtime:
    """The one that is asked for, else the running platform's, else that of the last one."""
    is_docker = chosen(asked, settings.last_runtime()) == DOCKER
    return DockerRuntime(paths, ports) if is_docker else ProcessRuntime(paths, ports)


class ProcessRuntime:
    """One supervisord and its programs."""

    def __init__(self, paths: settings.Paths, ports: settings.Ports) -> None:
        self._paths = paths
        self._ports = ports
        self._supervisor = Supervisor(paths)

    def is_running(self) -> bool:
        return self._supervisor.is_running()

    def states(self) -> dict[str, ProcessState]:
        return self._supervisor.states()

    def names(self) -> Sequence[str]:
        return services.names(self._paths)

    def declared(self) -> Sequence[Declared]:
        found = services.declare(self._paths, self._ports)
        return [Declared(each.name, each.check, each.url, each.start_seconds) for each in found]

    def memory_bytes(self) -> dict[str, int]:
        return {name: processes.memory_bytes(pid) for name, pid in self._supervisor.service_pids().items()}

    def logged(self) -> Sequence[str]:
        return (*self.names(), "supervisord")

    def log(self, name: str, count: int) -> list[str]:
        return _last_of(self._paths.logs / f"{name}.log", count)

    def follow(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        return log_files.follow({name: self._paths.logs / f"{name}.log" for name in names})


class DockerRuntime:
    """One project of Docker Compose."""

    def __init__(self, paths: settings.Paths, ports: settings.Ports) -> None:
        self._paths = paths
        self._ports = ports
        self.compose = Compose(paths, ports, kestra_of_compose())

    def is_running(self) -> bool:
        return any(container.state == "running" for container in self.compose.containers().values())

    def states(self) -> dict[str, ProcessState]:
        return {name: state_of(container) for name, container in self.compose.containers().items()}

    def names(self) -> Sequence[str]:
        return self.compose.services

    def declared(self) -> Sequence[Declared]:
        """Health is looked at from outside, through the published ports, as a user would."""
        paths, ports = self._paths, self._ports
        count = settings.node_count()

        def check_node(index: int) -> Callable[[], None]:
            workers = count - 1 if index == 1 else None
            return partial(health.node, f"node-{index}", ports.node_ui(index), workers, paths, ports.emr_url)

        checks: dict[str, tuple[Callable[[], None], str | None]] = {
            "gateway": (partial(health.gateway, paths, ports), ports.gateway_url),
            "postgres": (lambda: None, None),  # the control plane's health is told by its database
            "emr": (partial(health.emr, ports), ports.emr_url),
            **{node_service(i): (check_node(i), _page(ports.node_ui(i))) for i in range(1, count + 1)},
            "history-server": (partial(health.history_server, ports), ports.history_server_url),
            "kestra": (partial(health.kestra, ports), ports.kestra_url),
        }
        return [Declared(name, *checks[name], START_SECONDS) for name in self.names()]

    def memory_bytes(self) -> dict[str, int]:
        return self.compose.memory_bytes(self.compose.containers().values())

    def logged(self) -> Sequence[str]:
        return self.names()

    def log(self, name: str, count: int) -> list[str]:
        if name in self.compose.containers():
            return self.compose.run("logs", "--no-color", "--no-log-prefix", f"--tail={count}", name).splitlines()
        return _last_of(self.kept_log(name), count)

    def kept_log(self, name: str) -> Path:
        """Where a service's log is kept when its container is removed, until the next one is."""
        return self._paths.logs / f"{name}.docker.log"

    def keep_logs(self) -> None:
        """Containers take their logs with them."""
        for name in self.compose.containers():
            with suppress(ComposeFailed):
                self.kept_log(name).write_text(self.compose.run("logs", "--no-color", "--no-log-prefix", name) + "\n")

    def follow(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        for line in self.compose.stream("logs", "--no-color", "--follow", "--tail=0", *names):
            container, _, text = line.partition(" | ")
            yield container.strip().rpartition("-")[0] or container.strip(), text


def kestra_of_compose() -> str:
    """What is Kestra in Compose: `DRYDOCK_KESTRA`, else what it was last, else Kestra's own image."""
    noted: str = settings.last_platform().get("kestra", "")
    return os.environ.get("DRYDOCK_KESTRA") or noted or "image"


def state_of(container: Container) -> ProcessState:
    """In supervisor's words, which verbs know: see ProcessState."""
    names = {"running": "RUNNING", "created": "STARTING", "restarting": "BACKOFF", "paused": "STOPPED"}
    name = names.get(container.state, "EXITED")
    complaint = f"exit code {container.exit_code}" if name in ("EXITED", "BACKOFF") else ""
    return ProcessState(name, None, container.started_at, complaint, container.restarts)


def _last_of(log: Path, count: int) -> list[str]:
    return last_lines(log, count).splitlines() if log.exists() else []


def _page(port: int) -> str:
    return f"http://{settings.LOOPBACK}:{port}"
