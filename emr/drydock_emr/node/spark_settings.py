"""Spark's settings on a node: those of the machine, those of EMR, and those of the cluster.

- *machine*: what is true of this node whatever a user says: its addresses, its S3, its secret. On EMR this is
  in yarn-site and core-site, which a user's `--properties-file` does not replace either.
- *defaults*: what EMR writes into spark-defaults.conf, plus the cluster's `spark-defaults` configuration.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from drydock_emr.node.config import Config
from drydock_emr.node_protocol import ClusterMembership, Configuration

EXECUTOR_MEMORY = "2g"
"""EMR derives 9486M from an m5.xlarge; here one machine carries all nodes, so the default is smaller. A cluster's
`spark-defaults` or a step can ask for more, up to what its workers offer."""

EXECUTOR_CORES = 4
"""EMR's value for an m5.xlarge."""


def daemon_properties(config: Config) -> dict[str, str]:
    """Of master and worker. Ports never drift; nobody kills an application from a page."""
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": config.spark_secret,
        "spark.port.maxRetries": "0",
        "spark.ui.killEnabled": "false",
        "spark.worker.ui.retainedExecutors": "100",
    }


def machine_properties(config: Config, membership: ClusterMembership, home: Path) -> dict[str, str]:
    """Of an application whose driver runs on this node. `home` is HOME, which Java would look up elsewhere."""
    return {
        "spark.master": membership.master_url,
        "spark.submit.deployMode": "client",
        "spark.authenticate": "true",
        "spark.authenticate.secret": config.spark_secret,
        "spark.driver.host": config.host,
        "spark.driver.bindAddress": config.host,
        "spark.ui.port": "0",
        "spark.ui.killEnabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": config.event_log_dir.as_uri(),
        "spark.jars.ivy": str(home / ".ivy2"),
        **{f"spark.hadoop.{name}": value for name, value in hadoop_properties(config, membership).items()},
    }


def hadoop_properties(config: Config, membership: ClusterMembership) -> dict[str, str]:
    """S3 as Hadoop's file systems see it: one client for EMR's three schemes."""
    return {
        "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.s3n.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        "fs.s3a.endpoint": config.aws_endpoint_url,
        "fs.s3a.endpoint.region": membership.region,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(config.aws_endpoint_url.startswith("https:")).lower(),
    }


def default_properties(config: Config, configurations: Iterable[Configuration]) -> dict[str, str]:
    """What stands in the cluster's spark-defaults.conf."""
    return {
        "spark.pyspark.python": "python3.11",  # bare: driver and executors each find their own node's
        "spark.executor.cores": str(EXECUTOR_CORES),
        "spark.executor.memory": EXECUTOR_MEMORY,
        "spark.executor.defaultJavaOptions": config.class_archive_options,
        **properties_of(configurations, "spark-defaults"),
    }


def properties_of(configurations: Iterable[Configuration], classification: str) -> dict[str, str]:
    """The properties of a classification; where it is given twice, the later wins."""
    return {
        name: value
        for configuration in configurations
        if configuration.classification == classification
        for name, value in configuration.properties.items()
    }


def exported_variables(configurations: Iterable[Configuration]) -> dict[str, str]:
    """What the classification `spark-env` exports into the environment of Spark's programs."""
    return {
        name: value
        for configuration in configurations
        if configuration.classification == "spark-env"
        for name, value in properties_of(configuration.configurations, "export").items()
    }


def without_effect(configurations: Iterable[Configuration]) -> list[str]:
    """The classifications that nothing on this node reads."""
    known = {"spark-defaults", "spark-env", "delta-defaults"}  # Delta's jars are always there
    return sorted({c.classification for c in configurations if c.classification not in known})


def as_properties_file(properties: Mapping[str, str]) -> str:
    """Text that java.util.Properties reads back as the same, blanks, colons, backslashes and non-ASCII included."""
    return "".join(f"{_escape(name, key=True)}={_escape(value)}\n" for name, value in properties.items())


def _escape(text: str, *, key: bool = False) -> str:
    escaped = []
    for position, character in enumerate(text):
        if character in "\\\n\r\t\f":
            escaped.append({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}[character])
        elif (character == " " and (key or position == 0)) or (key and character in "=:#!"):
            escaped.append("\\" + character)
        elif " " <= character <= "~":
            escaped.append(character)
        else:
            units = character.encode("utf-16-be", "surrogatepass")
            escaped += [f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)]
    return "".join(escaped)
