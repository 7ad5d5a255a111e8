"""Steps on a real node: what they run with, what is reported and delivered about them, how they are cancelled."""

import json
from collections.abc import Callable

import psutil
import pytest

from drydock_emr.node_protocol import CancelOption, Configuration, InstanceGroup, LeaseState, Phase
from tests.node.rig import Node
from tests.node.surroundings import BUCKET, PRIMARY, Gateway
from tests.running import wait_for


@pytest.fixture
def master(new_node: Callable[[str], Node]) -> Node:
    node = new_node("steps")
    node.join("j-STEPS")
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    return node


def await_log(gateway: Gateway, key: str, part: str) -> str:
    wait_for(lambda: part in gateway.log(key), f"{part!r} in {key}")
    return gateway.log(key)


def test_exit_code_is_reported_and_logged(master: Node, gateway: Gateway) -> None:
    master.lease("s-EXIT7", "bash", "-c", "echo out; echo err >&2; exit 7")
    report = master.await_lease("s-EXIT7")
    assert (report.state, report.exit_code) == (LeaseState.EXITED, 7)
    assert report.started_at is not None
    assert report.ended_at is not None
    assert report.started_at <= report.ended_at
    assert report.failure is not None
    assert report.failure.log_file == f"s3://{BUCKET}/logs/j-STEPS/steps/s-EXIT7/stderr.gz"
    prefix = "logs/j-STEPS/steps/s-EXIT7/"
    controller = await_log(gateway, f"{prefix}controller.gz", "Step failed with exitCode 7")
    assert "waitProcessCompletion ended with exit code 7" in controller
    assert "startExec bash -c 'echo out; echo err >&2; exit 7'\n" in controller
    assert await_log(gateway, f"{prefix}stdout.gz", "out") == "out\n"
    assert await_log(gateway, f"{prefix}stderr.gz", "ret") == "err\nCommand exiting with ret '7'\n"
    assert gateway.keys(prefix) == {f"{prefix}{name}.gz" for name in ("controller", "syslog", "stdout", "stderr")}


def test_logs_arrive_while_the_step_runs(master: Node, gateway: Gateway) -> None:
    master.lease("s-SLOW", "bash", "-c", "echo early; while [ ! -e go ]; do sleep 0.1; done; echo late")
    stdout = "logs/j-STEPS/steps/s-SLOW/stdout.gz"
    await_log(gateway, stdout, "early")
    master.await_lease("s-SLOW", LeaseState.RUNNING)  # a log can overtake the report
    (master.scratch / "tenancy/lib/steps/s-SLOW/go").touch()
    assert master.await_lease("s-SLOW").exit_code == 0
    assert await_log(gateway, stdout, "late") == "early\nlate\n"


def test_arguments_arrive_byte_for_byte(master: Node, gateway: Gateway) -> None:
    arguments = ["", " two  blanks ", "quo\"te's", "$HOME `id` \\ *", "Füße 日本 🚢", "line\nbreak", "--flag=a=b"]
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    master.lease("s-ARGS", "python3.11", "-c", program, *arguments)
    assert master.await_lease("s-ARGS").exit_code == 0
    stdout = await_log(gateway, "logs/j-STEPS/steps/s-ARGS/stdout.gz", "]")
    assert json.loads(stdout) == arguments


def test_environment_has_credentials_but_no_keys_region_or_secrets(master: Node, gateway: Gateway) -> None:
    program = "import os, json; print(json.dumps(dict(os.environ)))"
    master.lease("s-ENV", "python3.11", "-c", program)
    assert master.await_lease("s-ENV").exit_code == 0
    environment = json.loads(await_log(gateway, "logs/j-STEPS/steps/s-ENV/stdout.gz", "}"))
    aws = {"AWS_ENDPOINT_URL", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}
    assert {name for name in environment if name.startswith("AWS")} == aws
    assert not any("SECRET" in name or name.startswith(("NODE_", "EMR_URL")) for name in environment)
    assert environment["EMR_STEP_ID"] == "s-ENV"
    token = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    assert token not in await_log(gateway, "logs/j-STEPS/steps/s-ENV/controller.gz", "Step succeeded")


def test_aws_cli_and_python_act_as_the_instance_profile(master: Node, gateway: Gateway) -> None:
    gateway.put("input/hello.txt", "hello from S3")
    master.lease("s-AWS", "aws", "s3", "cp", f"s3://{BUCKET}/input/hello.txt", "-")
    assert master.await_lease("s-AWS", seconds=60).exit_code == 0
    assert await_log(gateway, "logs/j-STEPS/steps/s-AWS/stdout.gz", "hello") == "hello from S3"


def test_script_runner_fetches_and_runs(master: Node, gateway: Gateway) -> None:
    script = gateway.put(
        "scripts/a script.sh", "#!/bin/bash\nsudo -u root -E X='a b' bash -c 'echo \"$X $1\"' _ \"$1\"\n"
    )
    jar = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar"
    master.lease("s-SCRIPT", script.replace("s3://", "s3a://"), "an argument", jar=jar)
    assert master.await_lease("s-SCRIPT").exit_code == 0
    assert await_log(gateway, "logs/j-STEPS/steps/s-SCRIPT/stdout.gz", "argument") == "a b an argument\n"
    master.lease("s-MISSING", f"s3://{BUCKET}/scripts/none.sh", jar=jar)
    report = master.await_lease("s-MISSING")
    assert report.exit_code == 1
    assert "none.sh could not be fetched" in report.failure.message
    assert "none.sh could not be fetched" in await_log(gateway, "logs/j-STEPS/steps/s-MISSING/controller.gz", "ERROR")


def test_a_jar_that_cannot_be_had_fails_with_a_sentence(master: Node, gateway: Gateway) -> None:
    master.lease("s-JAR", "x", jar=f"s3://{BUCKET}/none.jar")
    report = master.await_lease("s-JAR")
    assert (report.state, report.exit_code) == (LeaseState.EXITED, 1)
    assert f"s3://{BUCKET}/none.jar could not be fetched" in report.failure.message
    await_log(gateway, "logs/j-STEPS/steps/s-JAR/controller.gz", "none.jar could not be fetched")


def test_a_jar_runs_as_hadoop_runs_it(master: Node, gateway: Gateway) -> None:
    """Main class from the manifest or the step; Java properties, blanks included; S3 as the instance profile."""
    gateway.put("input/hello.txt", "hello from S3")
    runnable = gateway.put_jar("jars/runnable.jar", main_class="org.apache.hadoop.fs.FsShell")
    plain = gateway.put_jar("jars/plain.jar")
    master.lease("s-MANIFEST", "-cat", f"s3://{BUCKET}/input/hello.txt", jar=runnable.replace("s3:", "s3a:"))
    assert master.await_lease("s-MANIFEST", seconds=90).exit_code == 0
    assert await_log(gateway, "logs/j-STEPS/steps/s-MANIFEST/stdout.gz", "hello") == "hello from S3"
    controller = await_log(gateway, "logs/j-STEPS/steps/s-MANIFEST/controller.gz", "Step succeeded")
    assert "startExec hadoop jar " in controller
    assert "runnable.jar -cat s3://" in controller
    master.lease(
        "s-CLASS",
        *("-D", "fs.defaultFS=${a.property}", "-cat", "/input/hello.txt"),
        jar=plain,
        main_class="org.apache.hadoop.fs.FsShell",
        properties={"a.property": f"s3://{BUCKET}/", "another": "a 'blank'"},
    )
    assert master.await_lease("s-CLASS", seconds=90).exit_code == 0
    assert await_log(gateway, "logs/j-STEPS/steps/s-CLASS/stdout.gz", "hello") == "hello from S3"


def test_hadoop_names_what_it_lacks(master: Node, gateway: Gateway) -> None:
    master.lease("s-DISTCP", "hadoop", "distcp", "a", "b")
    assert master.await_lease("s-DISTCP").exit_code == 1
    stderr = await_log(gateway, "logs/j-STEPS/steps/s-DISTCP/stderr.gz", "ret")
    assert "the command 'distcp' is not there. Expected `jar`, `fs`" in stderr


def test_examples_that_are_not_published_are_named(master: Node, gateway: Gateway) -> None:
    master.lease("s-EXAMPLE", "spark-example", "SparkPi", "10")
    assert master.await_lease("s-EXAMPLE").exit_code == 1
    assert "examples/jars" in await_log(gateway, "logs/j-STEPS/steps/s-EXAMPLE/stderr.gz", "ret")


def test_emrs_paths_are_below_one_folder(new_node: Callable[[str], Node], gateway: Gateway) -> None:
    groups = (
        PRIMARY,
        InstanceGroup(
            group_id="ig-2", name="Core", role="CORE", market="SPOT", instance_type="r5.xlarge", requested_count=2
        ),
    )
    node = new_node("places")
    node.join("j-PLACES", groups=groups)
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    program = (
        'cd "$DRYDOCK_ROOT" && cat mnt/var/lib/info/instance.json && echo --- && cat mnt/var/lib/info/job-flow.json && '
        "test -s usr/share/aws/delta/lib/delta-spark.jar -a -x usr/lib/spark/bin/spark-submit && "
        'grep -q "^spark.executor.memory=" etc/spark/conf/spark-defaults.conf && '
        'test "$(realpath home/hadoop)" = "$(realpath ~)" && ls mnt/var/log/hadoop/steps/$EMR_STEP_ID >&2'
    )
    node.lease("s-PLACES", "bash", "-c", program)
    assert node.await_lease("s-PLACES").exit_code == 0, gateway.log("logs/j-PLACES/steps/s-PLACES/stderr.gz")
    told = await_log(gateway, "logs/j-PLACES/steps/s-PLACES/stdout.gz", "instanceGroups")
    instance, job_flow = map(json.loads, told.split("---"))
    assert instance["isMaster"] is True
    assert instance["isRunningNodeManager"] is False
    assert instance["instanceGroupId"] == "ig-1"
    assert job_flow["jobFlowId"] == "j-PLACES"
    assert job_flow["jobFlowCreationInstant"] == 1_767_225_600_000
    assert (job_flow["instanceCount"], job_flow["masterInstanceId"]) == (3, "i-places")
    assert (job_flow["masterInstanceType"], job_flow["slaveInstanceType"]) == ("m5.xlarge", "r5.xlarge")
    assert job_flow["instanceGroups"][1] == {
        "instanceGroupId": "ig-2",
        "instanceGroupName": "Core",
        "instanceRole": "Core",
        "marketType": "Spot",
        "instanceType": "r5.xlarge",
        "requestedInstanceCount": 2,
    }
    larger = (groups[0], groups[1].model_copy(update={"requested_count": 5}))
    node.join("j-PLACES", groups=larger)
    info = node.scratch / "tenancy/emr/mnt/var/lib/info/job-flow.json"
    wait_for(lambda: json.loads(info.read_text())["instanceCount"] == 6, "the larger cluster to be told")


def test_another_release_is_told_in_one_line(new_node: Callable[[str], Node], gateway: Gateway) -> None:
    node = new_node("older")
    node.join("j-OLDER", release_label="emr-7.10.0")
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    node.lease("s-OLDER", "true")
    assert node.await_lease("s-OLDER").exit_code == 0
    controller = await_log(gateway, "logs/j-OLDER/steps/s-OLDER/controller.gz", "Step succeeded")
    (line,) = [line for line in controller.splitlines() if "emr-7.10.0" in line]
    assert "The cluster asks for emr-7.10.0" in line
    assert "this node has emr-7.13.0" in line


def test_failure_details_name_the_last_exception(master: Node) -> None:
    master.lease("s-RAISE", "python3.11", "-c", "raise ValueError('no such day')")
    assert master.await_lease("s-RAISE").failure.message == "ValueError: no such day"


def test_names_from_outside_stay_inside(master: Node, gateway: Gateway) -> None:
    step_id = "../../../../escaped/../s"
    master.lease(step_id, "bash", "-c", "pwd")
    assert master.await_lease(step_id).exit_code == 0
    wait_for(lambda: any("escaped" in key for key in gateway.keys("")), "the step's logs")
    assert all(key.startswith("logs/j-STEPS/steps/x-") for key in gateway.keys("") if "escaped" in key)
    assert not [path for path in master.home.rglob("*escaped*") if "tenancy" not in path.parts]


@pytest.mark.parametrize(
    ("option", "exit_code"), [(CancelOption.SEND_INTERRUPT, -15), (CancelOption.TERMINATE_PROCESS, -9)]
)
def test_cancel_ends_what_left_the_process_group(master: Node, option: CancelOption, exit_code: int) -> None:
    step_id = f"s-{option}"
    hidden = "env -i setsid sleep 1000 & (setsid sleep 1000 &) ; echo ready > ready; wait; sleep 1000"
    master.lease(step_id, "bash", "-c", hidden)
    wait_for((master.scratch / "tenancy/lib/steps" / step_id / "ready").exists, "the step to have started all")
    sleepers = wait_for(lambda: len(found := _sleepers()) >= 2 and found, "two sleepers")
    master.cancel(step_id, option)
    report = master.await_lease(step_id, seconds=10)
    assert (report.state, report.exit_code) == (LeaseState.EXITED, exit_code)
    wait_for(lambda: not any(process.is_running() for process in sleepers), "the hidden processes to be gone", 5)


def test_interrupt_reaches_a_program_that_cleans_up(master: Node, gateway: Gateway) -> None:
    program = "trap 'echo cleaned; exit 5' TERM; touch ready; while :; do sleep 0.1; done"
    master.lease("s-TRAP", "bash", "-c", program)
    wait_for((master.scratch / "tenancy/lib/steps/s-TRAP/ready").exists, "the trap to be set")
    master.cancel("s-TRAP", CancelOption.SEND_INTERRUPT)
    assert master.await_lease("s-TRAP", seconds=10).exit_code == 5
    await_log(gateway, "logs/j-STEPS/steps/s-TRAP/stdout.gz", "cleaned")


def test_a_step_that_is_leased_no_more_is_ended(master: Node) -> None:
    master.lease("s-GONE", "sleep", "1000")
    master.await_lease("s-GONE", LeaseState.RUNNING)
    sleepers = wait_for(_sleepers, "the step's process")
    master.control_plane.assign(master.name, leases=())
    wait_for(lambda: not any(process.is_running() for process in sleepers), "the step to be ended", 10)


def test_spark_env_reaches_spark_submit_only(new_node: Callable[[str], Node]) -> None:
    exports = Configuration(classification="export", properties={"FROM_SPARK_ENV": "yes"})
    node = new_node("sparkenv")
    node.join("j-ENV", configurations=(Configuration(classification="spark-env", configurations=(exports,)),))
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    settings = json.loads((node.scratch / "tenancy/spark/submit.json").read_text())
    assert settings["environment"] == {"FROM_SPARK_ENV": "yes"}


def _sleepers() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline() == ["sleep", "1000"]:
                found.append(process)
        except psutil.Error:
            continue
    return found
