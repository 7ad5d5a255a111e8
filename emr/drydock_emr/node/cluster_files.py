"""What the programs of a cluster find on the node: written when the node joins it, wiped with the tenancy."""

import logging

from drydock_emr.node import spark_settings
from drydock_emr.node.config import Config
from drydock_emr.node.files import write_atomically, write_json
from drydock_emr.node.layout import TenancyLayout
from drydock_emr.node_protocol import ClusterMembership

log = logging.getLogger(__name__)


def write(membership: ClusterMembership, config: Config, layout: TenancyLayout) -> None:
    """Write them all; doing so again changes nothing."""
    for classification in spark_settings.without_effect(membership.configurations):
        log.warning("The configuration classification %s has no effect here", classification)
    _write_submit_settings(membership, config, layout)


def _write_submit_settings(membership: ClusterMembership, config: Config, layout: TenancyLayout) -> None:
    machine, defaults = layout.spark / "machine.properties", layout.spark / "spark-defaults.properties"
    default_properties = spark_settings.default_properties(config, membership.configurations)
    machine_properties = spark_settings.machine_properties(config, membership)
    write_atomically(machine, spark_settings.as_properties_file(machine_properties))
    write_atomically(defaults, spark_settings.as_properties_file(default_properties))
    write_json(
        layout.submit_settings,
        {
            "tenancy": str(layout.root),
            "spark_home": str(config.spark_home),
            "java_home": str(config.java_home),
            "host": config.host,
            "cds_archive": str(config.cds_archive) if config.cds_archive else None,
            "machine": str(machine),
            "defaults": str(defaults),
            "master_url": membership.master_url,
            "executor_cores": default_properties["spark.executor.cores"],
            "environment": spark_settings.exported_variables(membership.configurations),
        },
    )
