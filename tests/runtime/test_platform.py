"""The platform itself under the verbs that a user has: gateway, control plane, three nodes, History Server."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from drydock import aws, processes, settings, site, terraform_state
from drydock.second_home import borrow_toolchain
from drydock.settings import PROCESS
from tests.running import wait_for

INSTALLED = settings.Paths()
PORT_OFFSET = 14_200  # below the ports that the kernel gives to who connects, above those of second homes
UP_SECONDS = 240


class Command:
    """`drydock`, for a home of its own."""

    def __init__(self, home: Path) -> None:
        self.environment = {
            **os.environ,
            "DRYDOCK_HOME": str(home),
            "RUNTIME": PROCESS,
            "AWS_PROFILE": "nobody-s",  # what a user has set must not matter
            "http_proxy": "http://127.0.0.1:9",
        }
        self.environment.pop("DRYDOCK_PORT_OFFSET", None)

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = INSTALLED.environment("workspace") / "bin" / "drydock"
        environment = {**self.environment, **variables}
        return subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=UP_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a blank in its path that borrows the toolchain of the real one."""
    home = tmp_path_factory.mktemp("platform") / "dry dock"
    home.mkdir()
    borrow_toolchain(home)
    return home


@pytest.fixture(scope="module")
def drydock(home):
    """The verbs, with the platform up at first and ended at last."""
    command = Command(home)
    up = command("local-up", DRYDOCK_PORT_OFFSET=str(PORT_OFFSET))
    assert up.returncode == 0, up.stdout + up.stderr
    yield command
    down = command("local-down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert processes.running(settings.Paths(home)) == {}


def pid_of(home, what):
    entries = json.loads((home / "run" / "processes.json").read_text())
    return next(entry["pid"] for entry in entries if entry["what"] == what)


def start_step(paths, ports, command):
    """A cluster with a step, made as any client of EMR would make it."""
    config = site.local(paths, ports).platform_config()
    groups = config["security_groups"]
    aws.operator_client("emr", paths, ports).run_job_flow(
        Name="a step that takes its time",
        ReleaseLabel=config["release_label"],
        Applications=[{"Name": "Spark"}],
        ServiceRole=config["roles"]["service"],
        JobFlowRole=config["roles"]["instance_profile"],
        LogUri=config["log_uri"],
        Tags=[{"Key": key, "Value": value} for key, value in config["tags"].items()],
        Instances={
            "InstanceGroups": [
                {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
                {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 2},
            ],
            "Ec2SubnetId": config["subnet_id"],
            "EmrManagedMasterSecurityGroup": groups["master"],
            "EmrManagedSlaveSecurityGroup": groups["slave"],
        },
        Steps=[{"Name": "sleep", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": command}}],
    )


def test_everything_is_healthy_with_two_workers_alive(drydock):
    status = drydock("local-status")

    assert status.returncode == 0
    rows = [line.split() for line in status.stdout.splitlines()[1:]]
    assert "No flow runs by itself: the platform was started with DRYDOCK_SCHEDULES=off." in status.stdout
    assert [row[:2] for row in rows if len(row) > 3 and row[0] != "No"] == [
        [name, "healthy"] for name in ("gateway", "emr", "node-1", "node-2", "node-3", "history-server", "kestra")
    ]


def test_a_second_up_does_nothing_and_takes_no_time(drydock, home):
    before = (home / "run" / "processes.json").read_text()

    begun_at = time.monotonic()
    up = drydock("local-up")

    assert up.returncode == 0
    assert "The platform was up already, and is healthy: nothing to do." in up.stdout
    assert time.monotonic() - begun_at < 10  # two seconds on an idle machine
    assert (home / "run" / "processes.json").read_text() == before


def test_what_was_removed_or_overwritten_by_hand_is_put_back(drydock, home):
    paths, ports = settings.Paths(home), settings.Ports(offset=PORT_OFFSET)
    s3 = aws.operator_client("s3", paths, ports)
    application_uri = site.local(paths, ports).platform_config()["application_uri"]
    bucket, _, folder = application_uri.removeprefix("s3://").partition("/")
    job = f"{folder}/data_generator.py"
    s3.delete_object(Bucket=bucket, Key="config/platform.json")
    s3.put_object(Bucket=bucket, Key=job, Body=b"another program")

    up = drydock("local-up")

    assert up.returncode == 0, up.stdout + up.stderr
    assert f"`s3://{bucket}/config/platform.json` is gone" in up.stderr
    assert f"`s3://{bucket}/{job}` is gone or was overwritten" in up.stderr
    assert json.loads(s3.get_object(Bucket=bucket, Key="config/platform.json")["Body"].read())["format"] == 1
    uploaded = s3.get_object(Bucket=bucket, Key=job)["Body"].read()
    assert uploaded == (settings.REPOSITORY / "spark" / "data_generator.py").read_bytes()
    assert "nothing to do" in drydock("local-up").stdout


def test_the_exports_open_the_platform(drydock, home):
    script = drydock("env").stdout + 'aws s3 cp "$DRYDOCK_PLATFORM_CONFIG" - && aws emr list-clusters'
    path = f"{INSTALLED.environment('workspace') / 'bin'}:/usr/bin:/bin"
    shown = subprocess.run(["sh", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=False)

    assert shown.returncode == 0, shown.stderr
    platform, end = json.JSONDecoder().raw_decode(shown.stdout)
    assert platform["platform"] == "drydock"
    assert json.loads(shown.stdout[end:]) == {"Clusters": []}


def test_logs_are_shown_by_service(drydock):
    one, every = drydock("local-logs", "--service", "node-1"), drydock("local-logs", "--lines", "2")

    assert one.returncode == every.returncode == 0
    assert one.stdout
    assert {line.split(" | ")[0].strip() for line in every.stdout.splitlines()} >= {"gateway", "emr", "node-3"}


def test_no_secret_is_in_an_argument_a_log_or_the_supervisor_s_files(drydock, home):
    paths = settings.Paths(home)
    values = [file.read_text().strip() for file in paths.secrets.iterdir() if file.suffix != ".json"]
    values.append(json.loads((paths.secrets / "operator.json").read_text())["secret_access_key"])
    written = [file.read_bytes() for folder in (paths.run, paths.logs) for file in folder.rglob("*") if file.is_file()]
    running = processes.running(paths)
    arguments = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"]) if process in running]
    assert arguments
    for value in values:
        assert not any(value.encode() in text for text in (*written, " ".join(map(str, arguments)).encode()))


def test_down_ends_a_running_step_and_what_it_started(drydock, home):
    paths, ports = settings.Paths(home), settings.Ports(offset=PORT_OFFSET)
    start_step(paths, ports, ["bash", "-c", "setsid sleep 4321 & sleep 1234"])
    wanted = [["sleep", "4321"], ["sleep", "1234"]]

    def sleeping():
        return [
            it for it in psutil.process_iter(["cmdline", "environ"]) if it.info["cmdline"] in wanted and is_ours(it)
        ]

    def is_ours(process):
        return (process.info["environ"] or {}).get(processes.MARKER) == processes.install_id(paths)

    wait_for(lambda: len(sleeping()) == 2, "the step's start", seconds=120)

    down = drydock("local-down")

    assert down.returncode == 0, down.stdout + down.stderr
    assert sleeping() == []
    assert processes.running(paths) == {}


@pytest.mark.full
def test_what_the_gateway_was_given_is_there_after_down_and_up(drydock, home):
    paths, ports = settings.Paths(home), settings.Ports(offset=PORT_OFFSET)
    assert drydock("local-up", DRYDOCK_PORT_OFFSET=str(PORT_OFFSET)).returncode == 0
    s3 = aws.operator_client("s3", paths, ports)
    s3.put_object(Bucket=site.INPUT_BUCKET, Key="mine", Body=b"kept")
    before = s3.list_object_versions(Bucket=site.STATE_BUCKET)["Versions"]
    assert drydock("local-down").returncode == 0

    up = drydock("local-up", DRYDOCK_PORT_OFFSET=str(PORT_OFFSET))

    assert up.returncode == 0, up.stdout + up.stderr
    assert "Terraform:" not in up.stdout + up.stderr
    assert s3.get_object(Bucket=site.INPUT_BUCKET, Key="mine")["Body"].read() == b"kept"
    assert s3.list_object_versions(Bucket=site.STATE_BUCKET)["Versions"] == before
    assert terraform_state.deviations(site.local(paths, ports)) == []


def test_a_reset_asks_and_empties_the_platform(drydock, home):
    paths, ports = settings.Paths(home), settings.Ports(offset=PORT_OFFSET)
    unasked = drydock("local-reset")
    assert (unasked.returncode, "`make local-reset CONFIRM=yes` removes all data" in unasked.stderr) == (2, True)
    assert paths.data.exists()

    reset = drydock("local-reset", "--confirm=yes")
    assert reset.returncode == 0, reset.stdout + reset.stderr
    assert not processes.running(paths)
    assert not paths.data.exists()
    assert drydock("local-reset", "--confirm=yes").stdout == "✓ There is no data: nothing to remove.\n"

    up = drydock("local-up", DRYDOCK_PORT_OFFSET=str(PORT_OFFSET))
    assert up.returncode == 0, up.stdout + up.stderr
    assert "anew" not in up.stderr
    s3 = aws.operator_client("s3", paths, ports)
    assert "Contents" not in s3.list_objects_v2(Bucket=site.INPUT_BUCKET, Prefix="mine")
    assert terraform_state.deviations(site.local(paths, ports)) == []


def test_after_the_supervisor_was_killed_down_ends_daemons_too(drydock, home):
    """The last test: it ends the platform."""
    paths = settings.Paths(home)
    java = [process for process in processes.running(paths) if process.name() == "java"]
    assert len(java) == 5  # a master, two workers, the History Server, Kestra
    supervisor = psutil.Process(pid_of(home, "supervisord"))
    supervisor.send_signal(signal.SIGKILL)
    psutil.wait_procs([supervisor], timeout=10)

    status = drydock("local-status")
    assert status.returncode == 1
    assert "`make local-up` replaces them, `make local-down` ends them" in status.stderr

    down = drydock("local-down")

    assert down.returncode == 0
    assert "Ended: gateway, emr, node-1, node-2, node-3, history-server, kestra, and" in down.stdout
    assert processes.running(paths) == {}
    assert drydock("local-status").returncode == 3
    assert drydock("local-down").stdout.rstrip().endswith("The platform does not run: nothing to end.")
