"""`drydock-driver run`: what it asks of AWS, and what it makes of the answers."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.driver.conftest import Run, Start, with_options
from tests.driver.scripted_aws import OPERATOR_KEY, ROLE_ARN, ROLE_KEY, Refusal, ScriptedAws

NAME = "drydock-data-generation-2026-11-21-r1"
BOTOCORE_ATTEMPTS = 3  # at credentials, before it gives up
CREDENTIALS = {"AccessKeyId": "AKIAHOST", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}


def test_a_run_is_a_cluster_a_step_and_the_clusters_end(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.step_states("PENDING", "RUNNING", "COMPLETED")
    aws.cluster_states("STARTING", "WAITING", "RUNNING", "RUNNING", "TERMINATING", "TERMINATED")
    aws.put_log("stdout", "wrote 5 blocks\nno newline at the end")

    done = driver(*run_arguments)

    assert done.returncode == 0, done.stderr
    [cluster] = aws.bodies("RunJobFlow")
    mark = next(tag["Value"] for tag in cluster["Tags"] if tag["Key"] == "driver-seen-at")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(mark)) < timedelta(minutes=2)
    assert cluster == {
        "Name": NAME,
        "LogUri": "s3://logs/emr/",
        "ReleaseLabel": "emr-7.13.0",
        "Applications": [{"Name": "Spark"}],
        "Configurations": [{"Classification": "spark-defaults", "Properties": {"spark.a": "b"}}],
        "BootstrapActions": [
            {
                "Name": "Install",
                "ScriptBootstrapAction": {"Path": "s3://input/bootstrap.sh", "Args": ["s3://input/wheels"]},
            }
        ],
        "ServiceRole": "emr-service-role",
        "JobFlowRole": "emr_instance_profile",
        "AutoTerminationPolicy": {"IdleTimeout": 900},
        "Instances": {
            "InstanceGroups": [
                {
                    "Name": "Master",
                    "InstanceRole": "MASTER",
                    "InstanceType": "m5.xlarge",
                    "InstanceCount": 1,
                    "Market": "ON_DEMAND",
                },
                {
                    "Name": "Core",
                    "InstanceRole": "CORE",
                    "InstanceType": "m5.2xlarge",
                    "InstanceCount": 2,
                    "Market": "ON_DEMAND",
                },
            ],
            "Ec2SubnetId": "subnet-1",
            "EmrManagedMasterSecurityGroup": "sg-m",
            "EmrManagedSlaveSecurityGroup": "sg-s",
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
        },
        "Tags": [
            {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"},
            {"Key": "platform", "Value": "drydock"},
            {"Key": "driver-seen-at", "Value": mark},
            {"Key": "job", "Value": "data-generation"},
            {"Key": "ship-date", "Value": "2026-11-21"},
            {"Key": "run-id", "Value": "r1"},
        ],
        "VisibleToAllUsers": True,
    }
    [step] = aws.bodies("AddJobFlowSteps")
    assert step == {
        "JobFlowId": "j-1",
        "Steps": [
            {
                "Name": "data-generation 2026-11-21",
                "ActionOnFailure": "TERMINATE_CLUSTER",
                "HadoopJarStep": {
                    "Jar": "command-runner.jar",
                    "Args": [
                        "spark-submit",
                        "s3://input/spark_app/job.py",
                        "--date",
                        "2026-11-21",
                        "--target",
                        "s3://source/data_source/shipment",
                    ],
                },
            }
        ],
    }
    assert aws.operations().index("TerminateJobFlows") > aws.operations().index("DescribeStep")
    assert done.stdout.count("wrote 5 blocks") == 1
    assert "no newline at the end" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"cluster_id=j-1  name={'a cluster'}  state=TERMINATED")


def test_everything_on_emr_is_done_as_the_role(aws: ScriptedAws, driver: Run, run_arguments: list[str]) -> None:
    assert driver(*run_arguments).returncode == 0
    keys = {call.operation: call.access_key for call in aws.calls}
    assert keys.pop("GetCallerIdentity") == OPERATOR_KEY
    assert keys.pop("AssumeRole") == OPERATOR_KEY
    assert set(keys.values()) == {ROLE_KEY}


def test_who_is_the_role_already_assumes_it_no_second_time(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.caller_arn = "arn:aws:sts::111122223333:assumed-role/kestra-role/some-session"
    assert driver(*run_arguments).returncode == 0
    assert "AssumeRole" not in aws.operations()


def test_a_role_of_another_account_is_not_the_role(aws: ScriptedAws, driver: Run, run_arguments: list[str]) -> None:
    aws.caller_arn = "arn:aws:sts::999999999999:assumed-role/kestra-role/some-session"
    assert driver(*run_arguments).returncode == 0
    assert "AssumeRole" in aws.operations()


def test_a_role_that_may_not_be_assumed_creates_nothing(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.assume_role = Refusal("AccessDenied", "not you")
    done = driver(*run_arguments)
    assert done.returncode == 1
    assert done.stderr.strip() == f"Could not assume the role {ROLE_ARN}: AccessDenied: not you"
    assert "RunJobFlow" not in aws.operations()


def test_a_failed_step_fails_the_run_with_its_details_and_the_end_of_stderr(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.step_states("FAILED", failure={"Reason": "Unknown Error", "LogFile": "s3://logs/x/stderr.gz"})
    aws.put_log("stdout", "all is well, says the log\n")
    aws.put_log("stderr", "".join(f"line {n}\n" for n in range(100)))

    done = driver(*run_arguments)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "Cluster j-1: step s-1 (a step) is FAILED: Unknown Error s3://logs/x/stderr.gz."
    assert "stderr | line 99" in done.stderr
    assert "stderr | line 80\n" in done.stderr
    assert "stderr | line 79" not in done.stderr
    assert "TerminateJobFlows" in aws.operations()


PLAIN = """a line of the program's
Traceback (most recent call last):
  File "/tmp/job.py", line 9, in <module>
    main()
ValueError: no such day
"""
CHAINED = f"""{PLAIN}
During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/tmp/job.py", line 11, in <module>
    main()

KeyError: 'day'
"""
OF_JAVA = """Traceback (most recent call last):
  File "/tmp/job.py", line 9, in <module>
py4j.protocol.Py4JJavaError: An error occurred while calling o45.save.
: org.apache.spark.SparkException: Job aborted.
\tat org.apache.spark.sql.Main.run(Main.scala:3)
"""
OF_ITS_SYNTAX = """  File "/tmp/job.py", line 3
    def (
        ^
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("stdout", "exception"),
    [
        (PLAIN, "ValueError: no such day"),
        (CHAINED, "KeyError: 'day'"),
        (OF_JAVA, OF_JAVA.splitlines()[2] + " org.apache.spark.SparkException: Job aborted."),
        (OF_ITS_SYNTAX, "SyntaxError: invalid syntax"),
    ],
)
def test_the_last_sentence_has_the_exception_that_a_python_program_wrote_to_stdout(
    aws: ScriptedAws, driver: Run, run_arguments: list[str], stdout: str, exception: str
) -> None:
    aws.step_states("FAILED", failure={"Reason": "Unknown Error", "LogFile": "s3://logs/x/stderr.gz"})
    aws.put_log("stdout", stdout)
    aws.put_log("stderr", "")
    last = driver(*run_arguments).stderr.splitlines()[-1]
    told = f"{exception} (stdout); EMR says Unknown Error s3://logs/x/stderr.gz."
    assert last == f"Cluster j-1: step s-1 (a step) is FAILED: {told}"


def test_an_exception_that_a_cancelled_step_had_caught_is_not_why_it_ended(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.step_states("RUNNING", "CANCELLED")
    aws.put_log("stdout", PLAIN)
    aws.put_log("stderr", "")
    done = driver(*run_arguments)
    assert "ValueError" in done.stdout
    assert "ValueError" not in done.stderr


@pytest.mark.parametrize("state", ["INTERRUPTED", "CANCELLED"])
def test_a_step_that_ends_otherwise_fails_the_run(
    aws: ScriptedAws, driver: Run, run_arguments: list[str], state: str
) -> None:
    aws.step_states("RUNNING", state)
    aws.cluster_states("WAITING", "RUNNING", "TERMINATED")
    aws.put_log("stderr", "")
    done = driver(*run_arguments)
    assert done.returncode == 1
    assert f"is {state}" in done.stderr
    assert "TerminateJobFlows" in aws.operations()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("VALIDATION_ERROR", "The subnet subnet-1 does not exist."),
        ("BOOTSTRAP_FAILURE", "On the master instance (i-1), bootstrap action 1 returned a non-zero return code"),
    ],
)
def test_a_cluster_that_does_not_start_fails_the_run_with_emrs_reason(
    aws: ScriptedAws, driver: Run, run_arguments: list[str], code: str, reason: str
) -> None:
    aws.cluster_states("STARTING", "TERMINATED_WITH_ERRORS", reason=reason, code=code)
    done = driver(*run_arguments)
    assert done.returncode == 1
    assert done.stderr.strip() == f"Cluster j-1 did not start: TERMINATED_WITH_ERRORS ({code}): {reason}"
    assert "AddJobFlowSteps" not in aws.operations()


def test_a_step_that_cannot_be_submitted_ends_the_cluster(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.answer("AddJobFlowSteps", Refusal("ValidationException", "no such jar"))
    aws.cluster_states("WAITING", "TERMINATED")
    done = driver(*run_arguments)
    assert done.returncode == 1
    assert "no such jar" in done.stderr
    assert "TerminateJobFlows" in aws.operations()


def test_a_throttled_create_is_sent_again_and_a_refused_one_is_not(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.answer("RunJobFlow", Refusal("ThrottlingException", "Rate exceeded"), {"JobFlowId": "j-1"})
    assert driver(*run_arguments).returncode == 0
    assert len(aws.bodies("RunJobFlow")) == 2

    aws.calls.clear()
    aws.answer("RunJobFlow", Refusal("ValidationException", "no such release"))
    assert driver(*run_arguments).returncode == 1
    assert len(aws.bodies("RunJobFlow")) == 1
    assert "TerminateJobFlows" not in aws.operations()


PROTECTED = "Could not shut down one or more job flows since they are termination protected."


def test_a_refused_termination_is_a_failure_that_names_the_cluster_and_stops_its_steps(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    aws.answer("TerminateJobFlows", Refusal("ValidationException", PROTECTED))
    done = driver(*run_arguments)
    assert done.returncode == 1
    assert f"Cluster j-1 is still alive: ValidationException: {PROTECTED} No step runs on it." in done.stderr
    assert "--no-termination-protected" in done.stderr


def test_a_refused_termination_tells_of_the_failed_step_too(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    def running(state: str) -> dict[str, Any]:
        return {"Steps": [{"Id": "s-2", "Status": {"State": state}}]}

    aws.step_states("FAILED")
    aws.put_log("stderr", "boom\n")
    aws.answer("TerminateJobFlows", Refusal("AccessDeniedException", "not yours"))
    aws.answer("ListSteps", running("RUNNING"), running("CANCEL_PENDING"), running("CANCELLED"))
    done = driver(*run_arguments)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "step s-1 (a step) is FAILED" in last
    assert "Cluster j-1 is still alive: AccessDeniedException: not yours Its steps were cancelled (s-2)." in last
    assert "stderr | boom" in done.stderr
    assert aws.bodies("CancelSteps")[0]["StepIds"] == ["s-2"]


def test_an_endpoint_that_is_gone_is_a_failure_that_names_the_cluster(
    aws: ScriptedAws, start: Start, run_arguments: list[str]
) -> None:
    aws.step_states("RUNNING")
    aws.cluster_states("WAITING")
    process = start(*with_options(run_arguments, "--unreachable-seconds", "1"))
    aws.wait_for("DescribeStep")
    aws.stop()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Cluster j-1 may still be alive." in stderr
    assert "Traceback" not in stderr


def test_an_endpoint_that_is_away_for_a_moment_is_waited_for(
    aws: ScriptedAws, driver: Run, run_arguments: list[str]
) -> None:
    away = Refusal("ServiceUnavailableException", "restarting", status=503)
    done_step = {"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}
    aws.answer("DescribeStep", *[away] * 5, done_step)  # more than botocore itself repeats
    assert driver(*run_arguments).returncode == 0


def test_json_is_one_document_on_stdout(aws: ScriptedAws, driver: Run, run_arguments: list[str]) -> None:
    aws.put_log("stdout", "hello\n")
    done = driver(*with_options(run_arguments, "--output", "json"))
    document = json.loads(done.stdout)
    assert document["cluster_id"] == "j-1"
    assert document["state"] == "TERMINATED"
    assert [(step["step_id"], step["state"]) for step in document["steps"]] == [("s-1", "COMPLETED")]
    assert "hello" in done.stderr


def test_events_are_one_document_a_line(aws: ScriptedAws, driver: Run, run_arguments: list[str]) -> None:
    aws.cluster_states("STARTING", "WAITING", "TERMINATED")
    aws.put_log("stdout", "hello\n")
    done = driver(*with_options(run_arguments, "--output", "events"))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert next(event["state"] for event in events if event["event"] == "cluster") == "STARTING"
    assert {"event": "log", "step_id": "s-1", "stream": "stdout", "line": "hello"} in events
    assert events[-1]["event"] == "result"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--date", "2026-02-30"], "`2026-02-30` is no date; expected YYYY-MM-DD."),
        (["--date", "20261121"], "`20261121` is no date; expected YYYY-MM-DD."),
        (["--job", "A job"], "`A job` is no job's name"),
        (["--config", "/tmp/platform.json"], "`/tmp/platform.json` is no address in S3"),
    ],
)
def test_wrong_usage_exits_2_before_anything_is_asked(
    aws: ScriptedAws, driver: Run, run_arguments: list[str], wrong: list[str], sentence: str
) -> None:
    done = driver(*with_options(run_arguments, *wrong))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert aws.calls == []


def test_an_unknown_placeholder_exits_2_before_anything_is_created(aws: ScriptedAws, driver: Run) -> None:
    done = driver("run", "--job", "a", "--date", "2026-11-21", "--", "echo", "{output_url}")
    assert done.returncode == 2
    assert "unknown placeholder `{output_url}`" in done.stderr
    assert "{output_uri}" in done.stderr
    assert "RunJobFlow" not in aws.operations()


def test_no_credentials_is_a_sentence(driver: Run, run_arguments: list[str]) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent"}
    done = driver(*run_arguments, env=nobody)
    assert done.returncode == 1
    assert "no AWS credentials were found" in done.stderr


def test_credentials_that_cannot_be_had_as_it_begins_are_waited_for(driver: Run, run_arguments: list[str]) -> None:
    """A machine's credentials come from somebody who may be started again just then."""
    refused = 2 * BOTOCORE_ATTEMPTS
    asked: list[str] = []

    class Credentials(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(503 if len(asked) <= refused else 200)
            self.end_headers()
            self.wfile.write(json.dumps(CREDENTIALS).encode())

        def log_message(self, *_: object) -> None:
            """Nothing of it on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Credentials) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{host.server_port}/credentials"
        environment = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent"}
        done = driver(*run_arguments, env={**environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI": url})
        host.shutdown()
    assert done.returncode == 0, done.stderr
    assert len(asked) > refused


def test_credentials_that_cannot_be_had_are_given_up_after_a_while(driver: Run, run_arguments: list[str]) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent"}
    at_port_1 = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/credentials"}
    done = driver(*with_options(run_arguments, "--unreachable-seconds", "1"), env=nobody | at_port_1)
    assert done.returncode == 1
    assert "Error when retrieving credentials from container-role" in done.stderr


def test_an_incomplete_configuration_names_what_is_missing(
    aws: ScriptedAws, document: dict[str, Any], driver: Run, run_arguments: list[str]
) -> None:
    del document["roles"]["service"]
    aws.objects["input/config/platform.json"] = json.dumps(document).encode()
    done = driver(*run_arguments)
    assert done.returncode == 1
    assert "s3://input/config/platform.json has no `roles.service`; apply Terraform again." in done.stderr
