"""The platform in Docker Compose, as the docker CLI is asked about it: `compose/compose.yaml` and what it is told.

Everything that Compose is told is an environment variable, made here. Secrets are among them: Compose copies each into
the containers that name it, so none is in an image, in a container's configuration or in an argument.
"""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from drydock import secrets, settings
from drydock.errors import SetupError, UsageError
from drydock.preflight.docker import size_bytes
from drydock.toolchain.stamps import write_file

FOLDER = settings.REPOSITORY / "compose"
# Kestra's own image, or its engine where that cannot be had: what is laid over compose.yaml.
KESTRAS = {"image": (), "engine": (FOLDER / "engine.yaml",)}
# What the docker CLI needs of its caller, and what images are made from.
INHERITED = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK")
INHERITED_PREFIXES = ("DOCKER_", "BUILDKIT_", "BUILDX_")
BUILT_FROM = ("PYTHON_IMAGE", "POSTGRES_IMAGE", "KESTRA_IMAGE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
MIRRORS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "DRYDOCK_MAVEN_REPOSITORY")
ASK_SECONDS = 30
STOP_SECONDS = 300  # for all: twice the longest grace period of a service, and as much for a busy machine
INTERRUPT_SECONDS = 20  # for the client to end in order
MORE_NODES = "more-nodes.yaml"


@dataclass(frozen=True)
class Container:
    """What Docker says of a service's container. `state`: created, running, restarting, exited, dead, …; `health`:
    starting, healthy, unhealthy, or empty when it has no check."""

    service: str
    id: str
    state: str
    health: str
    started_at: float | None
    restarts: int
    exit_code: int

    @property
    def runs(self) -> bool:
        """Also one that Docker is starting again."""
        return self.state in ("running", "restarting")


class ComposeFailed(SetupError):
    """docker compose did not do what it was asked; `output` is what it printed."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


class Compose:
    """The Compose project of one install. `kestra` is a key of KESTRAS."""

    def __init__(self, paths: settings.Paths, ports: settings.Ports, kestra: str) -> None:
        if kestra not in KESTRAS:
            raise UsageError(f"DRYDOCK_KESTRA is `{kestra}`, expected {' or '.join(f'`{name}`' for name in KESTRAS)}.")
        self._paths = paths
        self._ports = ports
        self._kestra = kestra

    @property
    def project(self) -> str:
        return settings.compose_project(self._paths)

    @property
    def services(self) -> tuple[str, ...]:
        """By their names, in the order of their start."""
        nodes = [node_service(index) for index in range(1, settings.node_count() + 1)]
        return ("gateway", "postgres", "emr", *nodes, "history-server", "kestra")

    def command(self, *arguments: str) -> list[str]:
        files = [FOLDER / "compose.yaml", *KESTRAS[self._kestra]]
        if settings.node_count() > settings.FIRST_NODES:
            files.append(self._paths.run / MORE_NODES)
            write_file(files[-1], self._more_nodes())
        named = [word for file in files for word in ("--file", str(file))]
        return ["docker", "compose", "--ansi=never", "--project-name", self.project, *named, *arguments]

    def environment(self) -> dict[str, str]:
        """What the command is run with: holds secrets, never to be shown."""
        return {
            **_callers(*INHERITED, *BUILT_FROM, *PROXIES),
            **self._ports_named(),
            **self._secrets(),
            **_callers("DRYDOCK_NODE_MEMORY", "DRYDOCK_SCRATCH_BYTES"),
            **_for_builds(),
            "DRYDOCK_POSTGRES_START": (FOLDER / "postgres" / "start").read_text(),
        }

    def run(
        self, *arguments: str, on_line: Callable[[str], None] = lambda _: None, within_seconds: float | None = None
    ) -> str:
        """Run `docker compose …` to its end, passing on each line that it prints. What it printed.

        Raises ComposeFailed, with its last line, when it ends with another code than 0 or has to be ended because it
        took longer than `within_seconds`.
        """
        lines: list[str] = []
        with self._started(arguments) as process, _ended_after(process, within_seconds) as is_late:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    lines.append(_plain(line).rstrip())
                    on_line(lines[-1])
            except BaseException:
                _end(process)
                raise
        printed = "\n".join(lines)
        if is_late():
            raise ComposeFailed(f"`docker compose {arguments[0]}` has not ended within {within_seconds:g} s.", printed)
        if process.returncode != 0:
            said = next((line for line in reversed(lines) if line.strip()), "nothing")
            raise ComposeFailed(f"`docker compose {arguments[0]}` failed: {said}", printed)
        return printed

    def stream(self, *arguments: str) -> Iterator[str]:
        """The lines of `docker compose …` as they come, until it ends or nobody asks for more."""
        with self._started(arguments) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    yield _plain(line).rstrip("\n")
            finally:
                _end(process)

    def containers(self) -> dict[str, Container]:
        """Service name → its container, whether it runs or not; of several the first."""
        list_ids = ("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", self._label)
        ids = self._ask(*list_ids).split()
        if not ids:
            return {}
        try:
            found = [_container(document) for document in json.loads(self._ask("docker", "inspect", *ids))]
        except SetupError:
            if set(ids) <= set(self._ask(*list_ids).split()):
                raise
            return self.containers()  # one of them was removed meanwhile
        return {container.service: container for container in sorted(found, key=lambda each: each.id, reverse=True)}

    def memory_bytes(self, containers: Iterable[Container]) -> dict[str, int]:
        """Service name → what its container occupies; of one that has just ended nothing."""
        running = {container.id: container.service for container in containers if container.state == "running"}
        if not running:
            return {}
        # All that run on this machine: of a list of them it tells nothing when one has ended.
        told = self._ask("docker", "stats", "--no-stream", "--no-trunc", "--format", "{{json .}}")
        used = {each["ID"]: _bytes(each["MemUsage"].split("/")[0]) for each in map(json.loads, told.splitlines())}
        return {service: used[id_] for id_, service in running.items() if id_ in used}

    def has_data(self) -> bool:
        """Whether there is a volume of the project's."""
        return bool(self._ask("docker", "volume", "ls", "--quiet", "--filter", self._label).split())

    def remove_former_images(self) -> None:
        """Those that this install has built, whose names newer ones bear; Docker keeps what a container is made of."""
        self._ask("docker", "image", "prune", "--force", "--filter", self._label)

    @property
    def _label(self) -> str:
        return f"label=com.docker.compose.project={self.project}"

    def _started(self, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        _require_docker()
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us, who then end it in order
        )

    def _ask(self, *command: str) -> str:
        _require_docker()
        try:
            ended = subprocess.run(
                command, env=_callers(*INHERITED), capture_output=True, text=True, check=False, timeout=ASK_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise SetupError(f"Docker has not answered `{command[1]}` within {ASK_SECONDS} s.") from None
        if ended.returncode != 0:
            raise SetupError(
                f"Docker does not answer `{command[1]}`: {ended.stderr.strip()} `make doctor` says what is wrong."
            )
        return ended.stdout

    def _ports_named(self) -> dict[str, str]:
        ports = self._ports
        return {
            "DRYDOCK_GATEWAY_PORT": str(ports.gateway),
            "DRYDOCK_EMR_PORT": str(ports.emr),
            "DRYDOCK_KESTRA_PORT": str(ports.kestra),
            "DRYDOCK_HISTORY_SERVER_PORT": str(ports.history_server),
            **{f"DRYDOCK_NODE_{index}_PORT": str(ports.node_ui(index)) for index in (1, 2, 3)},
        }

    def _more_nodes(self) -> str:
        """What is laid over compose.yaml for the machines beyond the first three."""
        lines = ["services:"]
        for index in range(settings.FIRST_NODES + 1, settings.node_count() + 1):
            name, port = node_service(index), self._ports.node_ui(index)
            lines += [
                f"  {name}:",
                f"    extends: {{file: {json.dumps(str(FOLDER / 'compose.yaml'))}, service: spark-worker-1}}",
                f'    environment: {{NODE_NAME: node-{index}, NODE_HOST: {name}, NODE_UI_PORT: "{port}"}}',
                f'    ports: !override ["{settings.LOOPBACK}:{port}:{port}"]',
            ]
        return "\n".join(lines) + "\n"

    def _secrets(self) -> dict[str, str]:
        files = secrets.Secrets(self._paths.secrets)
        named = {
            "OPERATOR_KEY": files.operator_key,
            "GATEWAY": files.gateway,
            "NODE": files.node,
            "SPARK": files.spark,
            "CONSOLE_TOKEN": files.console_token,
            "ORCHESTRATOR_TOKEN": files.orchestrator_token,
            "KESTRA_PASSWORD": files.kestra_password,
            "POSTGRES_PASSWORD": files.postgres_password,
            "EMR_DATABASE_PASSWORD": files.emr_database_password,
            "KESTRA_DATABASE_PASSWORD": files.kestra_database_password,
        }
        # Before the first `local-up` there are none, and nothing that needs them can be asked for.
        return {f"DRYDOCK_SECRET_{name}": _text(file) for name, file in named.items()}


def node_service(index: int) -> str:
    """The service of a node, from 1: the first is where Spark's master is while no cluster has a node."""
    return "spark-master" if index == 1 else f"spark-worker-{index - 1}"


def _callers(*names: str) -> dict[str, str]:
    """Of the caller's variables those with these names, and what the docker CLI is configured by."""
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(INHERITED_PREFIXES)}


def _for_builds() -> dict[str, str]:
    mirrors = "\n".join(f"{name}={os.environ[name]}" for name in MIRRORS if os.environ.get(name))
    authority = os.environ.get("EXTRA_CA_FILE")
    if authority and not Path(authority).is_file():
        raise UsageError(f"EXTRA_CA_FILE is `{authority}`, which is no file.")
    return {
        # One would have another time in it, and so make another image, each time.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "DRYDOCK_SECRET_MIRRORS": mirrors,
        **({"EXTRA_CA_FILE": str(Path(authority).resolve())} if authority else {}),
    }


def _require_docker() -> None:
    if shutil.which("docker") is None:
        raise SetupError(
            "`docker` is not on the PATH. Install Docker with Compose, or run the platform without it: "
            "`RUNTIME=process make local-up`."
        )


@contextmanager
def _ended_after(process: "subprocess.Popen[str]", seconds: float | None) -> Iterator[Callable[[], bool]]:
    """End the process when it is still there after so many seconds. Whether it had to be, when asked afterwards."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _signal(process, signal.SIGKILL)

    timer = threading.Timer(seconds or 0, end)
    if seconds:
        timer.start()
    try:
        yield late.is_set
    finally:
        timer.cancel()


def _end(process: "subprocess.Popen[str]") -> None:
    """Have it end in order, and if it waits for Docker and so hears of nothing, at once."""
    _signal(process, signal.SIGTERM)
    try:
        process.wait(INTERRUPT_SECONDS)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[str]", number: int) -> None:
    """To the client and its plug-in, which is a process of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _container(document: dict[str, Any]) -> Container:
    state = document["State"]
    started = (
        None if state["Status"] in ("created", "exited", "dead") else datetime.fromisoformat(_micro(state["StartedAt"]))
    )
    return Container(
        service=document["Config"]["Labels"]["com.docker.compose.service"],
        id=document["Id"],
        state=state["Status"],
        health=state.get("Health", {}).get("Status", ""),
        started_at=started.timestamp() if started else None,
        restarts=document["RestartCount"],
        exit_code=state["ExitCode"],
    )


def _micro(timestamp: str) -> str:
    """Docker tells nanoseconds, which no datetime holds."""
    whole, _, fraction = timestamp.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:6].ljust(6, '0')}+00:00"


def _plain(line: str) -> str:
    """Compose clears the line before it prints one of a log, also where there is no terminal."""
    return line.replace("\x1b[2K", "")


def _bytes(text: str) -> int:
    """As docker stats tells it; `--` where it could not look."""
    return 0 if text.strip() == "--" else size_bytes(text.strip())


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
