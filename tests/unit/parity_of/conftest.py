"""Facts of a platform as they are when all is well."""

import pytest

from drydock.on_aws.trial import expected_versions
from drydock.parity_of.cluster import pinned
from drydock.parity_of.facts import Facts

ASKED = {"spark.driver.memory": "2g", "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}


@pytest.fixture
def facts() -> Facts:
    versions = pinned()
    executors = f"3.11.2, numpy {versions['numpy']}, pyarrow {versions['pyarrow']}"
    return Facts(
        account_id="000000000000",
        region="us-east-1",
        name_prefix="",
        revision="abc",
        platform_config={"configurations": [{"classification": "spark-defaults", "properties": ASKED}]},
        told={
            "versions": expected_versions(),
            "executors_python": [executors],
            "spark_properties": {
                "spark.app.id": "app-1",
                "spark.driver.memory": "2g",
                "spark.driver.extraJavaOptions": "-XX:SharedArchiveFile=x -XX:TieredStopAtLevel=1",
                "spark.master": "spark://127.0.0.11:7077",
            },
            "environment": ["AWS_ENDPOINT_URL", "HADOOP_LOG_DIR", "PATH"],
        },
        deviating_objects=[],
        flows={},
        roles={},
        bucket_policies={},
        day=None,
    )
