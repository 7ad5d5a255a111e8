"""Where everything is: the one place for ports, paths and names of the local platform.

Services never read this module: they are started with environment variables derived from it (see `services`), so
that a container and a local process are configured in the same way.
"""

import json
import os
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from drydock.errors import SetupError

REPOSITORY = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
KESTRA_ROLE = "kestra-role"  # as in terraform/modules/iam
KESTRA_ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role/{KESTRA_ROLE}"
KESTRA_USERNAME = "operator@drydock.local"  # Kestra wants an e-mail address
HIGHEST_PORT_OFFSET = 65535 - 18080
PROCESS, DOCKER = "process", "docker"  # runtimes
FIRST_NODES = 3  # a cluster of the platform's: a master and two cores
MOST_NODES = 30
LAST_PLATFORM = "last-platform.json"
UP_PROCESSORS = 2
# To be free for the platform and a day's run. Docker Desktop that was given 6 GiB says that it has a little less.
UP_MEMORY_MEGABYTES = 6_000
UP_MEGABYTES = 3_000  # to be free for `local-up`: a day of a million shipments, its tables, Spark's scratch, the logs


def home() -> Path:
    """The folder of all that is fetched or generated: `DRYDOCK_HOME`, by default `.drydock` in the checkout."""
    return Path(os.environ.get("DRYDOCK_HOME") or REPOSITORY / ".drydock").expanduser().resolve()


@cache
def versions() -> dict[str, Any]:
    """`versions.toml`, parsed."""
    return tomllib.loads((REPOSITORY / "versions.toml").read_text())


@dataclass(frozen=True)
class Ports:
    """Every port of the platform, all on loopback.

    `DRYDOCK_PORT_OFFSET` moves all of them at once, for a second platform beside a running one. Where it is not set,
    the offset of the running platform counts, so that no later command has to be told again.
    """

    offset: int = field(default_factory=lambda: _port_offset())

    @property
    def gateway(self) -> int:
        return 4566 + self.offset

    @property
    def emr(self) -> int:
        return 8088 + self.offset

    @property
    def kestra(self) -> int:
        return 8080 + self.offset

    @property
    def history_server(self) -> int:
        return 18080 + self.offset

    @property
    def aws_ui(self) -> int:
        """The pages of Kestra on its host on AWS, while `aws-ui` forwards them."""
        return 8180 + self.offset

    @property
    def gateway_url(self) -> str:
        """The platform's AWS endpoint."""
        return f"http://{LOOPBACK}:{self.gateway}"

    @property
    def emr_url(self) -> str:
        """The EMR control plane and its console."""
        return f"http://{LOOPBACK}:{self.emr}"

    @property
    def kestra_url(self) -> str:
        """Kestra's REST API."""
        return f"http://{LOOPBACK}:{self.kestra}"

    @property
    def history_server_url(self) -> str:
        return f"http://{LOOPBACK}:{self.history_server}"

    def node_ui(self, index: int) -> int:
        """The Spark daemon's page of node `index` (from 1): 8090 the first, 8091 the second, ..."""
        return 8089 + index + self.offset

    def node_rpc(self, index: int) -> int:
        """Where the Spark daemon of node `index` (from 1) is spoken to."""
        return 7076 + index + self.offset

    def node_credentials(self, index: int) -> int:
        """Where node `index` (from 1) serves its instance profile's credentials."""
        return 7176 + index + self.offset


@dataclass(frozen=True)
class Node:
    """One machine of the local fleet."""

    index: int
    name: str
    host: str
    scratch: Path


@dataclass(frozen=True)
class Paths:
    """The layout of `DRYDOCK_HOME`."""

    home: Path = field(default_factory=home)

    @property
    def tools(self) -> Path:
        return self.home / "tools"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def environment(self, name: str) -> Path:
        """A Python environment: `workspace`, `gateway` or `spark`."""
        return self.home / "envs" / name

    @property
    def spark_home(self) -> Path:
        """Resolved: a class archive fits one set of jar paths, also for a home that links to another's Spark."""
        return (self.home / "spark").resolve()

    @property
    def jar_cache(self) -> Path:
        return self.cache / "jars"

    @property
    def wheels(self) -> Path:
        """The jobs' wheels, as they are uploaded beside the jobs."""
        return self.home / "wheels"

    @property
    def log_store(self) -> Path:
        """The jar with Delta's log store, as it is uploaded beside the jobs."""
        return self.home / "log-store" / "delta-log-store.jar"

    @property
    def cds_archive(self) -> Path:
        """The AppCDS archive of the Spark driver."""
        return self.home / "cds" / "spark-driver.jsa"

    @property
    def engine(self) -> Path:
        """Our part of Kestra's engine, compiled, and its cache of what the JVM knows of it."""
        return (self.home / "engine").resolve()

    @property
    def flows(self) -> Path:
        """The flows that Kestra runs."""
        return REPOSITORY / "kestra" / "flows"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def install_id(self) -> Path:
        """What tells this install from others on the machine. Made with its secrets."""
        return self.home / "install-id"

    @property
    def run(self) -> Path:
        """What belongs to the running platform: supervisor's files, recorded process ids."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def event_logs(self) -> Path:
        """Spark's event logs, read by the History Server."""
        return self.home / "spark-events"

    @property
    def report(self) -> Path:
        """The page that `make report` writes."""
        return self.home / "report.html"

    @property
    def terraform(self) -> Path:
        return self.home / "terraform"

    def nodes(self) -> list[Node]:
        """The local fleet. Each node has a loopback address of its own, so that executors show different hosts."""
        return [
            Node(index=i, name=f"node-{i}", host=f"127.0.0.{10 + i}", scratch=self.home / "nodes" / f"node-{i}")
            for i in range(1, node_count() + 1)
        ]


def compose_project(paths: Paths) -> str:
    """One of the install's own: its volumes belong to the Terraform state in its home, and to no other home's.

    Before the first `local-up` there is none, and its name is nobody's. COMPOSE_PROJECT_NAME, which may be exported for
    another project of the user's, does not count: what is ended and emptied is our own.
    """
    return f"drydock-{paths.install_id.read_text().strip() if paths.install_id.exists() else 'new'}"


def last_runtime(default: str = PROCESS) -> str:
    """The runtime that was brought up last, or this where none ever was."""
    return str(last_platform().get("runtime", default))


def schedules() -> bool:
    """Whether the flows' schedules fire: unless `DRYDOCK_SCHEDULES` is `off`, or was when the running platform was
    started."""
    text = os.environ.get("DRYDOCK_SCHEDULES") or ("on" if running_platform().get("schedules", True) else "off")
    if text not in ("on", "off"):
        raise SetupError(f"DRYDOCK_SCHEDULES is `{text}`, expected `on` or `off`.")
    return text == "on"


def node_count() -> int:
    """How many machines the fleet has: `DRYDOCK_NODES`, else as many as the running platform was started with."""
    text = os.environ.get("DRYDOCK_NODES") or str(running_platform().get("nodes", FIRST_NODES))
    if not text.isdecimal() or not FIRST_NODES <= int(text) <= MOST_NODES:
        raise SetupError(f"DRYDOCK_NODES is `{text}`, expected a number from {FIRST_NODES} to {MOST_NODES}.")
    return int(text)


def running_platform() -> dict[str, Any]:
    """What `local-up` noted about the platform that it started: `runtime`, `port_offset`, `nodes`, and in Compose
    `kestra`. Empty when none runs."""
    try:
        noted: dict[str, Any] = json.loads((home() / "run" / "platform.json").read_text())
    except FileNotFoundError:
        return {}
    return noted


def last_platform() -> dict[str, Any]:
    """The like of what was brought up last, whether it runs now or not: `runtime`, and in Compose `kestra`. Empty where
    nothing ever was."""
    try:
        noted: dict[str, Any] = json.loads((home() / "run" / LAST_PLATFORM).read_text())
    except FileNotFoundError:
        return {}
    return noted


def _port_offset() -> int:
    text = os.environ.get("DRYDOCK_PORT_OFFSET")
    if not text:
        return int(running_platform().get("port_offset", 0))
    if not text.isdecimal() or int(text) > HIGHEST_PORT_OFFSET:
        raise SetupError(f"DRYDOCK_PORT_OFFSET is `{text}`, expected a number from 0 to {HIGHEST_PORT_OFFSET}.")
    return int(text)
