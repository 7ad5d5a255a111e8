"""A node's configuration: environment variables, read once at start.

| variable | meaning |
|---|---|
| `NODE_NAME` | the node's name towards the control plane; the machine's when unset |
| `NODE_HOST` | the address, or its name, of its Spark daemons, which executors show; the machine's when unset |
| `NODE_UI_HOST`, `NODE_UI_PORT` | where the Spark daemon's page listens; in a container 0.0.0.0 |
| `NODE_RPC_PORT` | where the Spark daemon listens, on `NODE_HOST` |
| `NODE_CREDENTIALS_PORT` | where the instance profile's credentials are served, on loopback |
| `NODE_SCRATCH` | the node's folder; its parts are described in `layout` |
| `NODE_PYTHON` | the Python that the cluster's environment is made from |
| `NODE_WORKSPACE` | the Python environment that lends `pip` and `aws` |
| `EMR_URL`, `DRYDOCK_NODE_SECRET_FILE` | the control plane, and the secret that proves a node to it |
| `AWS_ENDPOINT_URL` | the AWS endpoint, for the node and for what it runs |
| `SPARK_HOME`, `JAVA_HOME` | Spark's and Java's folders |
| `SPARK_SECRET_FILE` | `spark.authenticate.secret` |
| `SPARK_EVENT_LOG_DIR` | where applications write Spark's event logs |
| `SPARK_CDS_ARCHIVE` | optional: an AppCDS archive that shortens the start of drivers, executors and daemons |
| `NODE_BOOTSTRAP_TIMEOUT_SECONDS` | optional: how long one bootstrap action may run; 3600 when unset |
| `DRYDOCK_INSTALL` | optional: marks every process of this install; handed on to all that the node starts |
"""

import os
import shlex
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drydock_emr.node.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared with
INSTALL_MARKER = "DRYDOCK_INSTALL"


@dataclass(frozen=True)
class Config:
    """See the module's table. Secrets are read from files when the configuration is, and are not part of `repr`."""

    name: str
    host: str
    ui_host: str
    ui_port: int
    rpc_port: int
    credentials_port: int
    scratch: Path
    python: Path
    workspace: Path
    emr_url: str
    aws_endpoint_url: str
    spark_home: Path
    java_home: Path
    event_log_dir: Path
    cds_archive: Path | None
    bootstrap_timeout_seconds: float
    install_marker: str | None
    node_secret: str = field(repr=False)
    spark_secret: str = field(repr=False)

    @property
    def class_archive_options(self) -> str:
        """Options that let a JVM of Spark's map the archived classes; quoted, since Spark takes them apart as a shell.

        A mismatch (a program with a class path of its own, say) costs speed only, and must not be told on stdout.
        """
        if self.cds_archive is None or not self.cds_archive.is_file():
            return ""
        archive = f"-XX:SharedArchiveFile={self.cds_archive}"  # whose path may have blanks
        return shlex.join((archive, "-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr"))

    @property
    def public_ui_host(self) -> str:
        """Where a browser finds the page."""
        return LOOPBACK if self.ui_host == EVERY_ADDRESS else self.ui_host

    @property
    def ui_url(self) -> str:
        return f"http://{self.public_ui_host}:{self.ui_port}"

    @property
    def credentials_url(self) -> str:
        """A loopback address: botocore and the AWS SDKs for Java and C++ send a token to no other over plain HTTP."""
        return f"http://{LOOPBACK}:{self.credentials_port}/v1/credentials"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Config":
        """Raises ConfigurationError, naming the variable and what it should be."""
        archive = environment.get("SPARK_CDS_ARCHIVE")
        config = cls(
            name=environment.get("NODE_NAME") or socket.gethostname(),
            host=_address(environment.get("NODE_HOST") or socket.gethostname()),
            ui_host=_required(environment, "NODE_UI_HOST"),
            ui_port=_port(environment, "NODE_UI_PORT"),
            rpc_port=_port(environment, "NODE_RPC_PORT"),
            credentials_port=_port(environment, "NODE_CREDENTIALS_PORT"),
            scratch=Path(_required(environment, "NODE_SCRATCH")).absolute(),
            python=_existing(environment, "NODE_PYTHON"),
            workspace=_existing(environment, "NODE_WORKSPACE"),
            emr_url=_required(environment, "EMR_URL").rstrip("/"),
            aws_endpoint_url=_required(environment, "AWS_ENDPOINT_URL").rstrip("/"),
            spark_home=_existing(environment, "SPARK_HOME"),
            java_home=_existing(environment, "JAVA_HOME"),
            event_log_dir=Path(_required(environment, "SPARK_EVENT_LOG_DIR")).absolute(),
            cds_archive=Path(archive) if archive else None,
            bootstrap_timeout_seconds=_seconds(environment, "NODE_BOOTSTRAP_TIMEOUT_SECONDS", 3600.0),
            install_marker=environment.get(INSTALL_MARKER) or None,
            node_secret=_secret(environment, "DRYDOCK_NODE_SECRET_FILE"),
            spark_secret=_secret(environment, "SPARK_SECRET_FILE"),
        )
        if not (config.spark_home / "bin" / "spark-class").is_file():
            raise ConfigurationError(
                f"SPARK_HOME is {config.spark_home}, but there is no bin/spark-class in it. `make setup` makes it."
            )
        return config


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ConfigurationError(f"The environment variable {name} is not set.")
    return value


def _address(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise ConfigurationError(f"NODE_HOST is {host!r}, which is no address and is not found: {error}.") from error


def _port(environment: Mapping[str, str], name: str) -> int:
    value = _required(environment, name)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ConfigurationError(f"{name} is {value!r}, expected a port number from 1 to 65535.")
    return int(value)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    value = environment.get(name)
    if not value:
        return default
    if not value.isdecimal() or int(value) == 0:
        raise ConfigurationError(f"{name} is {value!r}, expected a number of seconds above 0.")
    return float(value)


def _existing(environment: Mapping[str, str], name: str) -> Path:
    path = Path(_required(environment, name)).absolute()  # not resolved: a link to a Python names its environment
    if not path.exists():
        raise ConfigurationError(f"{name} is {path}, which does not exist.")
    return path


def _secret(environment: Mapping[str, str], name: str) -> str:
    path = Path(_required(environment, name))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        secret = path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{name} names {path}, which cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise ConfigurationError(f"{path} has mode {mode:04o}, expected 0600: `chmod 600 {path}`.")
    if not secret:
        raise ConfigurationError(f"{path} is empty, expected a secret.")
    return secret
