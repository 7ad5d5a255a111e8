"""EMR's release labels: the versions of what they bring, and the configuration classifications they know.

From the EMR release guide: the tables of applications, and the lists of classifications on the releases' pages. The
local nodes run the release of `versions.toml`; a cluster may name any other of these, and what differs is said in its
steps' controller logs.
"""

from collections.abc import Mapping

APPLICATIONS: Mapping[str, Mapping[str, str]] = {
    "emr-7.13.0": {"Spark": "3.5.6", "Hadoop": "3.4.2", "Delta": "3.3.2"},
    "emr-7.12.0": {"Spark": "3.5.6", "Hadoop": "3.4.1", "Delta": "3.3.2"},
    "emr-7.11.0": {"Spark": "3.5.6", "Hadoop": "3.4.1", "Delta": "3.3.2"},
    "emr-7.10.0": {"Spark": "3.5.5", "Hadoop": "3.4.1", "Delta": "3.3.0"},
    "emr-7.9.0": {"Spark": "3.5.5", "Hadoop": "3.4.1", "Delta": "3.3.0"},
    "emr-7.8.0": {"Spark": "3.5.4", "Hadoop": "3.4.1", "Delta": "3.3.0"},
}
"""By label, newest first."""

_CLASSIFICATIONS = """
    capacity-scheduler container-executor container-log4j core-site delta-defaults docker-conf emr-metrics
    emrfs-site export flink-conf flink-log4j flink-log4j-cli flink-log4j-session hadoop-env hadoop-kms-acls
    hadoop-kms-env hadoop-kms-log4j hadoop-kms-site hadoop-log4j hadoop-ssl-client hadoop-ssl-server hbase
    hbase-env hbase-log4j hbase-metrics hbase-policy hbase-site hcatalog-env hcatalog-server-jndi
    hcatalog-server-proto-hive-site hcatalog-webhcat-env hcatalog-webhcat-log4j2 hcatalog-webhcat-site
    hdfs-encryption-zones hdfs-env hdfs-site hive hive-beeline-log4j2 hive-env hive-exec-log4j2
    hive-llap-daemon-log4j2 hive-log4j2 hive-parquet-logging hive-site hiveserver2-site httpfs-env httpfs-site
    hudi-defaults hudi-env hue-ini iceberg-defaults jupyter-hub-conf jupyter-notebook-conf jupyter-s3-conf
    jupyter-sparkmagic-conf livy-conf livy-env livy-log4j livy-log4j2 mapred-env mapred-site oozie-env
    oozie-log4j oozie-site phoenix-hbase-metrics phoenix-hbase-site phoenix-log4j phoenix-metrics pig-env
    pig-log4j pig-properties presto-config presto-connector-hive presto-env presto-log presto-node
    ranger-kms-dbks-site ranger-kms-env ranger-kms-log4j ranger-kms-site spark spark-defaults spark-env
    spark-hive-site spark-log4j spark-log4j2 spark-metrics sqoop-env sqoop-oraoop-site sqoop-site tez-site
    trino-config trino-connector-hive trino-env trino-log trino-node yarn-env yarn-site zeppelin-env
    zeppelin-site zookeeper-config zookeeper-log4j
"""

CLASSIFICATIONS = frozenset(_CLASSIFICATIONS.split())
"""Known to the releases above. Those of Spark and Delta have an effect here; `node.spark_settings` says which."""
