"""EMR's release labels and the versions of what they bring.

From the EMR release guide's application tables. The local nodes run the release of `versions.toml`; a cluster may
name any other of these, and what differs is said in its steps' controller logs.
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
