"""The environment of bootstrap actions, steps and daemons: made from nothing, never from the node's own.

The variables are those that a step's controller log shows on EMR, plus the AWS endpoint, the container credentials and
the folder of EMR's paths. There is no region, no key, and no secret of the platform in it.
"""

import shlex
from collections.abc import Mapping

from drydock_emr.node.config import INSTALL_MARKER, Config
from drydock_emr.node.layout import TenancyLayout

TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the variable's name
STEP_ID = "EMR_STEP_ID"
ROOT = "DRYDOCK_ROOT"
"""Names the folder below which EMR's own paths are; see `cluster_files`."""

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# A daemon mostly waits: what C2 and G1 would win later, they cost many times over while it starts.
DAEMON_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SECRET_VARIABLES = frozenset({TOKEN})


def tenancy_marker(token: str) -> dict[str, str]:
    """What every process of a tenancy carries in its environment, and no other process."""
    return {TOKEN: token}


def base(config: Config, layout: TenancyLayout, token: str) -> dict[str, str]:
    """What everything of a tenancy runs with. The tenancy's own Python comes first on the PATH."""
    path = (layout.bin, layout.python / "bin", config.java_home / "bin", *SYSTEM_PATH)
    environment = {
        "PATH": ":".join(map(str, path)),
        "HOME": str(layout.home),
        "USER": "hadoop",
        "LOGNAME": "hadoop",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "TERM": "linux",
        "HOSTNAME": config.host,
        "JAVA_HOME": str(config.java_home),
        ROOT: str(layout.emr_root),
        "TMPDIR": str(layout.tmp),
        # Where Spark and S3A put their buffers: YARN sets LOCAL_DIRS for its containers, Spark reads the other.
        "LOCAL_DIRS": str(layout.tmp),
        "SPARK_LOCAL_DIRS": str(layout.tmp),
        "AWS_ENDPOINT_URL": config.aws_endpoint_url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": config.credentials_url,
        TOKEN: token,
    }
    if config.install_marker:
        environment[INSTALL_MARKER] = config.install_marker
    return environment


def for_step(
    base_environment: Mapping[str, str], layout: TenancyLayout, step_id: str, properties: Mapping[str, str]
) -> dict[str, str]:
    """A step's: EMR adds its id, and where Hadoop programs write their syslog; `properties` are Java's."""
    java = {"HADOOP_CLIENT_OPTS": shlex.join(f"-D{k}={v}" for k, v in properties.items())} if properties else {}
    return {
        **base_environment,
        "PWD": str(layout.step_lib(step_id)),
        STEP_ID: step_id,
        "HADOOP_LOG_DIR": str(layout.step_log(step_id)),
        "HADOOP_LOGFILE": "syslog",
        "HADOOP_IDENT_STRING": "hadoop",
        "HADOOP_ROOT_LOGGER": "INFO,DRFA",
        **java,
    }


def for_daemon(base_environment: Mapping[str, str], config: Config) -> dict[str, str]:
    """A Spark daemon's. SPARK_LOCAL_IP is what its page listens on; it is spoken to at NODE_HOST."""
    return {
        **base_environment,
        "SPARK_HOME": str(config.spark_home),
        "SPARK_CONF_DIR": str(config.spark_home / "conf"),
        "SPARK_LOCAL_IP": config.ui_host,
        "SPARK_PUBLIC_DNS": config.public_ui_host,
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_DAEMON_JAVA_OPTS": f"{DAEMON_JAVA_OPTIONS} {config.class_archive_options}".strip(),
    }


def shown(environment: Mapping[str, str]) -> list[str]:
    """NAME=value lines for a controller log, secrets masked."""
    return [f"{name}={'*' * 8 if name in SECRET_VARIABLES else value}" for name, value in sorted(environment.items())]
