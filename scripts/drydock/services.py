"""Every service of the platform, declared once: its command, its environment, its ports, how its health is known.

A service is one command that is configured by environment variables alone, which the supervisor takes from here; images
and compose.yaml have the same by hand. It sees an allow-list of the caller's variables and its own, nothing else.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from drydock import health, processes, secrets, settings
from drydock.ports import Listener
from drydock.site import PLATFORM_CONFIG_URI
from drydock.toolchain import engine, java

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of the caller's environment, only where things are and which authorities to trust. No proxies: services speak to each
# other on loopback.
INHERITED = (
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
)

FURNISHED_WAVE = 3
"""While it warms up, Terraform makes what the platform consists of; later waves find that there."""
ORCHESTRATOR_CREDENTIALS = "/_drydock/orchestrator-credentials"  # drydock_gateway.orchestrator_credentials


@dataclass(frozen=True)
class Service:
    """A process of the platform. Services of one wave start together, after those of the wave before are healthy."""

    name: str
    wave: int
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    listeners: tuple[Listener, ...]
    check: Callable[[], None]  # raises health.Unhealthy
    url: str | None
    start_seconds: float  # how long it may take to become healthy
    stop_seconds: int  # how long it may take to end after SIGTERM


def declare(paths: settings.Paths, ports: settings.Ports) -> tuple[Service, ...]:
    """All services, in the order in which they start. Raises SetupError when the toolchain lacks something."""
    nodes = paths.nodes()
    return (
        gateway(paths, ports),
        _emr(paths, ports),
        *(_node(node, len(nodes), paths, ports) for node in nodes),
        _history_server(paths, ports),
        _kestra(paths, ports),
    )


def names(paths: settings.Paths) -> tuple[str, ...]:
    """The services' names, in the order in which they start; known without a toolchain."""
    return tuple(listeners(paths, settings.Ports(0)))


def listeners(paths: settings.Paths, ports: settings.Ports) -> dict[str, tuple[Listener, ...]]:
    """What each service listens on, by its name; known without a toolchain."""
    return {
        "gateway": (Listener(settings.LOOPBACK, ports.gateway, "gateway"),),
        "emr": (Listener(settings.LOOPBACK, ports.emr, "EMR control plane"),),
        **{node.name: _node_listeners(node, ports) for node in paths.nodes()},
        "history-server": (Listener(settings.LOOPBACK, ports.history_server, "History Server"),),
        "kestra": (Listener(settings.LOOPBACK, ports.kestra, "Kestra"),),
    }


def base_environment(paths: settings.Paths) -> dict[str, str]:
    """What every process of the platform sees of its caller's environment, and the marker by which it is found."""
    inherited = {name: os.environ[name] for name in INHERITED if os.environ.get(name)}
    return {"PATH": SYSTEM_PATH, "PYTHONUNBUFFERED": "1", **inherited, processes.MARKER: processes.install_id(paths)}


def kestra_environment(paths: settings.Paths, data: Path, port: int, password_file: Path) -> dict[str, str]:
    """What Kestra's engine and the driver that its flows run are told, whichever AWS they work on."""
    return {
        **engine.environment(data, paths.flows, port, password_file),
        "PATH": os.pathsep.join([str(paths.environment("workspace") / "bin"), SYSTEM_PATH]),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "DRYDOCK_KESTRA_URL": f"http://{settings.LOOPBACK}:{port}",
        "DRYDOCK_KESTRA_USERNAME": settings.KESTRA_USERNAME,
        "DRYDOCK_KESTRA_PASSWORD_FILE": str(password_file),
    }


def gateway(paths: settings.Paths, ports: settings.Ports) -> Service:
    """LocalStack with drydock_gateway's plug-ins: S3, IAM, STS, EC2, and the way to EMR."""
    secret_files = secrets.Secrets(paths.secrets)
    data = paths.data / "gateway"
    temporary = data / "tmp"
    return Service(
        name="gateway",
        wave=1,
        command=(str(paths.environment("gateway") / "bin" / "python"), "-m", "localstack.runtime.main"),
        environment={
            **base_environment(paths),
            "GATEWAY_SERVER": "drydock",  # without our package nothing starts, rather than unguarded on every interface
            "GATEWAY_LISTEN": f"{settings.LOOPBACK}:{ports.gateway}",
            "SERVICES": "s3,iam,sts,ec2",
            "PROVIDER_OVERRIDE_S3": "drydock",
            "DISABLE_EVENTS": "1",  # no telemetry
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DNS_ADDRESS": "0",
            "DISABLE_CORS_CHECKS": "1",  # it takes S3A's audit Referer for an origin; drydock_gateway checks instead
            "DISABLE_CORS_HEADERS": "1",
            "OVERRIDE_IN_DOCKER": "0",  # in a container it would put its files under /var/lib/localstack
            "FILESYSTEM_ROOT": str(data),
            "TEMP": str(temporary),
            "XDG_CACHE_HOME": str(data / "cache"),
            "CONFIG_DIR": str(data / "config"),
            "HOME": str(data),
            "DRYDOCK_OPERATOR_KEY_FILE": str(secret_files.operator_key),
            "DRYDOCK_GATEWAY_SECRET_FILE": str(secret_files.gateway),
            "DRYDOCK_GATEWAY_STORE": str(data / "store"),
            "DRYDOCK_EMR_URL": ports.emr_url,
            "DRYDOCK_ORCHESTRATOR_ROLE": settings.KESTRA_ROLE,
            "DRYDOCK_ORCHESTRATOR_TOKEN_FILE": str(secret_files.orchestrator_token),
        },
        directory=data / "tmp",
        listeners=listeners(paths, ports)["gateway"],
        check=partial(health.gateway, paths, ports),
        url=ports.gateway_url,
        start_seconds=90,
        stop_seconds=15,
    )


def _emr(paths: settings.Paths, ports: settings.Ports) -> Service:
    secret_files = secrets.Secrets(paths.secrets)
    return Service(
        name="emr",
        wave=2,
        command=(str(paths.environment("workspace") / "bin" / "drydock-emr"),),
        environment={
            **base_environment(paths),
            "EMR_LISTEN": f"{settings.LOOPBACK}:{ports.emr}",
            "EMR_DATABASE_URL": f"sqlite:///{paths.data / 'emr.db'}",
            "EMR_LOG_PUSH_SECONDS": "3",
            "EMR_CONSOLE_TOKEN_FILE": str(secret_files.console_token),
            "DRYDOCK_GATEWAY_URL": ports.gateway_url,
            "DRYDOCK_GATEWAY_SECRET_FILE": str(secret_files.gateway),
            "DRYDOCK_NODE_SECRET_FILE": str(secret_files.node),
        },
        directory=paths.data,
        listeners=listeners(paths, ports)["emr"],
        check=partial(health.emr, ports),
        url=ports.emr_url,
        start_seconds=60,
        stop_seconds=15,
    )


def _node(node: settings.Node, fleet_size: int, paths: settings.Paths, ports: settings.Ports) -> Service:
    secret_files = secrets.Secrets(paths.secrets)
    workspace = paths.environment("workspace")
    environment = {
        **base_environment(paths),
        "NODE_NAME": node.name,
        "NODE_HOST": node.host,
        "NODE_UI_HOST": settings.LOOPBACK,
        "NODE_UI_PORT": str(ports.node_ui(node.index)),
        "NODE_RPC_PORT": str(ports.node_rpc(node.index)),
        "NODE_CREDENTIALS_PORT": str(ports.node_credentials(node.index)),
        "NODE_SCRATCH": str(node.scratch),
        "NODE_PYTHON": str(Path(sys.base_prefix) / "bin" / "python3.11"),
        "NODE_WORKSPACE": str(workspace),
        "EMR_URL": ports.emr_url,
        "AWS_ENDPOINT_URL": ports.gateway_url,
        "DRYDOCK_NODE_SECRET_FILE": str(secret_files.node),
        "JAVA_HOME": str(java.SPARK.home(paths)),
        "SPARK_HOME": str(paths.spark_home),
        "SPARK_SECRET_FILE": str(secret_files.spark),
        "SPARK_EVENT_LOG_DIR": str(paths.event_logs),
    }
    if paths.cds_archive.exists():
        environment["SPARK_CDS_ARCHIVE"] = str(paths.cds_archive)
    is_master = node.index == 1  # the pre-warmed fleet: the first node's Spark daemon is the master of the others
    return Service(
        name=node.name,
        wave=FURNISHED_WAVE,
        command=(str(workspace / "bin" / "drydock-node"),),
        environment=environment,
        directory=paths.data,
        listeners=_node_listeners(node, ports),
        check=partial(
            health.node,
            node.name,
            ports.node_ui(node.index),
            fleet_size - 1 if is_master else None,
            paths,
            ports.emr_url,
        ),
        url=f"http://{settings.LOOPBACK}:{ports.node_ui(node.index)}",
        start_seconds=120,
        stop_seconds=30,  # it ends its steps and its Spark daemon, and ships what they logged
    )


def _node_listeners(node: settings.Node, ports: settings.Ports) -> tuple[Listener, ...]:
    return (
        Listener(settings.LOOPBACK, ports.node_ui(node.index), f"{node.name}'s Spark page"),
        Listener(node.host, ports.node_rpc(node.index), f"{node.name}'s Spark daemon"),
        Listener(settings.LOOPBACK, ports.node_credentials(node.index), f"{node.name}'s credentials"),
    )


def _history_server(paths: settings.Paths, ports: settings.Ports) -> Service:
    options = {
        "spark.history.fs.logDirectory": f"file:{paths.event_logs}",
        "spark.history.fs.update.interval": "3s",
        "spark.history.ui.port": ports.history_server,
        "spark.port.maxRetries": 0,  # a taken port is an error, never the next one
    }
    return Service(
        name="history-server",
        wave=FURNISHED_WAVE,
        command=(str(paths.spark_home / "bin" / "spark-class"), "org.apache.spark.deploy.history.HistoryServer"),
        environment={
            **base_environment(paths),
            "JAVA_HOME": str(java.SPARK.home(paths)),
            "SPARK_HOME": str(paths.spark_home),
            "SPARK_LOCAL_IP": settings.LOOPBACK,
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_HISTORY_OPTS": " ".join(f'"-D{name}={value}"' for name, value in options.items()),
        },
        directory=paths.data,
        listeners=listeners(paths, ports)["history-server"],
        check=partial(health.history_server, ports),
        url=ports.history_server_url,
        start_seconds=90,
        stop_seconds=15,
    )


def _kestra(paths: settings.Paths, ports: settings.Ports) -> Service:
    """Kestra's engine. What its flows start inherits its environment: the driver, which acts as kestra-role."""
    secret_files = secrets.Secrets(paths.secrets)
    data = paths.data / "kestra"
    return Service(
        name="kestra",
        wave=FURNISHED_WAVE + 1,
        command=engine.command(paths),
        environment={
            **base_environment(paths),
            **kestra_environment(paths, data, ports.kestra, secret_files.kestra_password),
            "ENGINE_SCHEDULES": str(settings.schedules()).lower(),
            "AWS_ENDPOINT_URL": ports.gateway_url,
            "AWS_DEFAULT_REGION": settings.REGION,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{ports.gateway_url}{ORCHESTRATOR_CREDENTIALS}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(secret_files.orchestrator_token),
            "DRYDOCK_PLATFORM_CONFIG": PLATFORM_CONFIG_URI,
            "DRYDOCK_ROLE_ARN": settings.KESTRA_ROLE_ARN,
        },
        directory=data,
        listeners=listeners(paths, ports)["kestra"],
        check=partial(health.kestra, ports),
        url=ports.kestra_url,
        start_seconds=120,
        stop_seconds=30,
    )
