"""What the gateway's log says was called, and the list of what is needed."""

from drydock.parity_of import observed
from drydock.parity_of.calls import NEEDED
from drydock.parity_of.comparison import Verdict

DRIVER = "arn:aws:sts::000000000000:assumed-role/kestra-role/orchestrator"
INSTANCE = "arn:aws:sts::000000000000:assumed-role/emr_instance_profile/i-0123"
OPERATOR = "arn:aws:iam::000000000000:root"
FRONT = "2026-11-26T06:01:34.944  INFO --- [t.reactor-15] drydock_gateway.front_door : "
CALL = "2026-11-26T06:01:34.944  INFO --- [t.reactor-15] drydock_gateway.call_log : "


def test_lines_become_calls() -> None:
    lines = [
        f"{FRONT}ElasticMapReduce.RunJobFlow => 200, {DRIVER}, 7 ms",
        f"{FRONT}ElasticMapReduce.DescribeCluster => 200, {DRIVER}, 7 ms",
        f"{CALL}sts.GetCallerIdentity => 200, {DRIVER}",
        f"{CALL}s3.HeadObject /spark-job-data-output/daily_trends/a%20b => 404 (404), {INSTANCE}",
        f"{CALL}s3.ListObjectsV2 /emr-cluster-spark-logs => 200, {DRIVER}",
        f"{CALL}s3.DeleteObjects /spark-job-data-source-1 => 200, {INSTANCE}",
        f"{CALL}s3.UploadPart /emr-cluster-spark-logs/test-emr-logs/j-1/steps/s-1/stderr.gz => 200, {INSTANCE}",
        f"{CALL}s3.GetObject /spark-job-data-input/config/platform.json => 200, {OPERATOR}",
        "Localstack runtime received signal 15",
    ]
    assert [call.key for call in observed.calls(lines)] == [
        ("driver", "elasticmapreduce:RunJobFlow", "a request with our tags"),
        ("driver", "elasticmapreduce:DescribeCluster", "our cluster"),
        ("driver", "sts:GetCallerIdentity", "anything"),
        ("instances", "s3:GetObject", "an object of the tables"),
        ("driver", "s3:ListBucket", "the clusters' logs"),
        ("instances", "s3:DeleteObject", "an object of the raw data"),
        ("instances", "s3:PutObject", "an object of the clusters' logs"),
    ]


def test_a_call_that_is_not_in_the_list_is_a_difference() -> None:
    section = observed.compare([f"{CALL}s3.GetObject /spark-job-data-output/daily_trends/x => 200, {DRIVER}"])
    [found] = [item for item in section.items if item.verdict is Verdict.DIFFERENT]
    assert found.what == "driver: s3:GetObject, an object of the tables"
    assert found.note.endswith("at 2026-11-26T06:01:34.944: s3.GetObject /spark-job-data-output/daily_trends/x")


def test_a_call_that_nobody_has_made_is_not_looked_at() -> None:
    section = observed.compare([f"{CALL}sts.GetCallerIdentity => 200, {DRIVER}"])
    assert section.count(Verdict.SAME) == 1
    implied = sum(call.is_implied for call in NEEDED)
    assert section.count(Verdict.UNKNOWN) == len(NEEDED) - implied - 1


def test_under_a_prefix_names_are_told_as_without() -> None:
    lines = [
        f"{CALL}s3.GetObject /acme-spark-job-data-input/spark_app/abc/bootstrap.sh => 200, "
        "arn:aws:sts::210987654321:assumed-role/acme-emr_instance_profile/i-0123"
    ]
    assert [call.key for call in observed.calls(lines, "acme-")] == [
        ("instances", "s3:GetObject", "an object of the jobs")
    ]
