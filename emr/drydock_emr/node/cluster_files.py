"""What the programs of a cluster find on the node: written when the node joins it, wiped with the tenancy.

A process without privilege cannot make EMR's paths where EMR has them. They are made below one folder instead, which
`DRYDOCK_ROOT` names in every program's environment: `$DRYDOCK_ROOT/mnt/var/lib/info/instance.json` is the right path
here and, the variable being unset there, on EMR.

    mnt/var/lib/info/{instance,job-flow}.json    what the node is, and of which cluster
    mnt/var/log/{hadoop/steps,bootstrap-actions} the logs that are shipped
    etc/spark/conf/spark-defaults.conf           EMR's defaults with the cluster's configuration
    etc/hadoop/conf/core-site.xml                S3 as Hadoop's programs see it
    usr/lib/spark                                SPARK_HOME
    usr/share/aws/delta/lib/*.jar                Delta's jars under EMR's names
    home/hadoop                                  HOME
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from drydock_emr.node import release, spark_settings
from drydock_emr.node.config import Config
from drydock_emr.node.files import write_atomically, write_json
from drydock_emr.node.layout import TenancyLayout
from drydock_emr.node_protocol import ClusterMembership, InstanceGroup

INSTANCE_ROLES = {"MASTER": "Master", "CORE": "Core", "TASK": "Task"}
MARKETS = {"ON_DEMAND": "OnDemand", "SPOT": "Spot"}
SYSLOG = "%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c (%t): %m%n"

log = logging.getLogger(__name__)


def write(membership: ClusterMembership, config: Config, layout: TenancyLayout) -> None:
    """Write them all; doing so again brings them to the newest membership."""
    for classification in spark_settings.without_effect(membership.configurations):
        log.warning("The configuration classification %s has no effect here", classification)
    _write_submit_settings(membership, config, layout)
    _write_hadoop_configuration(membership, config, layout)
    _write_information(membership, config, layout)
    _link_places(config, layout)


def _write_submit_settings(membership: ClusterMembership, config: Config, layout: TenancyLayout) -> None:
    machine, defaults = layout.spark / "machine.properties", layout.spark / "spark-defaults.properties"
    default_properties = spark_settings.default_properties(config, membership.configurations)
    machine_properties = spark_settings.machine_properties(config, membership, layout.home)
    write_atomically(machine, spark_settings.as_properties_file(machine_properties))
    write_atomically(defaults, spark_settings.as_properties_file(default_properties))
    write_json(
        layout.submit_settings,
        {
            "tenancy": str(layout.root),
            "spark_home": str(config.spark_home),
            "java_home": str(config.java_home),
            "hadoop_conf": str(layout.emr_root / "etc/hadoop/conf"),
            "host": config.host,
            "class_archive_options": config.class_archive_options,
            "machine": str(machine),
            "defaults": str(defaults),
            "master_url": membership.master_url,
            "master_page": f"{config.ui_url}/json/" if membership.is_master else None,
            "executor_cores": default_properties["spark.executor.cores"],
            "environment": spark_settings.exported_variables(membership.configurations),
        },
    )


def _write_hadoop_configuration(membership: ClusterMembership, config: Config, layout: TenancyLayout) -> None:
    folder = layout.emr_root / "etc/hadoop/conf"
    folder.mkdir(parents=True, exist_ok=True)
    properties = {
        "fs.defaultFS": "file:///",
        "hadoop.tmp.dir": f"{layout.tmp}/hadoop",
        **spark_settings.hadoop_properties(config, membership),
    }
    write_atomically(folder / "core-site.xml", _as_site_file(properties))
    write_atomically(folder / "log4j2.properties", _log4j2("Console", {"target": "SYSTEM_ERR"}))
    syslog = {"fileName": "${env:HADOOP_LOG_DIR}/${env:HADOOP_LOGFILE}"}
    write_atomically(folder / "log4j2-syslog.properties", _log4j2("File", syslog))


def _write_information(membership: ClusterMembership, config: Config, layout: TenancyLayout) -> None:
    """EMR's two files («JSON configuration files», EMR Developer Guide; the fields as published copies have them)."""
    folder = layout.emr_root / "mnt/var/lib/info"
    folder.mkdir(parents=True, exist_ok=True)
    is_worker = not membership.is_master or sum(g.requested_count for g in membership.instance_groups) == 1
    instance = {
        "instanceGroupId": membership.instance_group_id,
        "isMaster": membership.is_master,
        "isRunningNameNode": False,  # no HDFS, and no YARN: Spark's master and worker stand in for its two daemons
        "isRunningDataNode": False,
        "isRunningJobTracker": False,
        "isRunningTaskTracker": False,
        "isRunningResourceManager": membership.is_master,
        "isRunningNodeManager": is_worker,
    }
    groups = membership.instance_groups
    job_flow = {
        "jobFlowId": membership.cluster_id,
        "jobFlowCreationInstant": int(membership.created_at * 1000),
        "instanceCount": sum(group.requested_count for group in groups),
        "masterInstanceId": membership.master_instance_id,
        "masterPrivateDnsName": membership.master_host,
        "masterInstanceType": _instance_type(groups, "MASTER"),
        "slaveInstanceType": _instance_type(groups, "CORE"),
        "hadoopVersion": release.installed(config.spark_home).get("Hadoop"),
        "instanceGroups": [
            {
                "instanceGroupId": group.group_id,
                "instanceGroupName": group.name,
                "instanceRole": INSTANCE_ROLES[group.role],
                "marketType": MARKETS[group.market],
                "instanceType": group.instance_type,
                "requestedInstanceCount": group.requested_count,
            }
            for group in groups
        ],
    }
    for name, document in (("instance", instance), ("job-flow", job_flow)):
        write_atomically(folder / f"{name}.json", json.dumps(document, indent=2) + "\n", mode=0o644)


def _instance_type(groups: tuple[InstanceGroup, ...], role: str) -> str | None:
    return next((group.instance_type for group in groups if group.role == role), None)


def _link_places(config: Config, layout: TenancyLayout) -> None:
    root, jars = layout.emr_root, config.spark_home / "jars"
    links = {
        "mnt/var/log/hadoop/steps": layout.root / "log/steps",
        "mnt/var/log/bootstrap-actions": layout.root / "log/bootstrap-actions",
        "etc/spark/conf/spark-defaults.conf": layout.spark / "spark-defaults.properties",
        "usr/lib/spark": config.spark_home,
        "home/hadoop": layout.home,
    }
    for name in ("delta-spark", "delta-storage"):
        for jar in jars.glob(f"{name}*.jar"):
            links[f"usr/share/aws/delta/lib/{name}.jar"] = jar
    for place, target in links.items():
        _link(root / place, target)


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(place):  # what a bootstrap action puts in its place stays
        place.symlink_to(target)


def _as_site_file(properties: Mapping[str, str]) -> str:
    lines = (
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>\n"
        for name, value in properties.items()
    )
    return f'<?xml version="1.0"?>\n<configuration>\n{"".join(lines)}</configuration>\n'


def _log4j2(kind: str, settings: Mapping[str, str]) -> str:
    lines = "".join(f"appender.log.{name} = {value}\n" for name, value in settings.items())
    return (
        "status = error\n"
        f"appender.log.type = {kind}\nappender.log.name = log\n{lines}"
        f"appender.log.layout.type = PatternLayout\nappender.log.layout.pattern = {SYSLOG}\n"
        "rootLogger.level = info\nrootLogger.appenderRef.log.ref = log\n"
    )
