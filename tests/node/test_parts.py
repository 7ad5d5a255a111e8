"""The parts of a node that need no other process."""

import json
import subprocess
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock_emr.node import environment, release, spark_settings
from drydock_emr.node.capacity import Worker, never_fits, sizes_in, workers_of
from drydock_emr.node.config import Config
from drydock_emr.node.controller_log import ControllerLog
from drydock_emr.node.credentials import CredentialsCache, CredentialsEndpoint
from drydock_emr.node.daemons import specs
from drydock_emr.node.errors import (
    ConfigurationError,
    ControlPlaneUnreachable,
    CredentialsUnavailable,
    NotAnS3Url,
    StepRefused,
)
from drydock_emr.node.layout import NodeLayout, TenancyLayout, safe_name
from drydock_emr.node.lease import Lease as LeaseOnDisk
from drydock_emr.node.s3 import S3Url
from drydock_emr.node.spark_arguments import map_arguments
from drydock_emr.node.step import Command, command_of, failure_details
from drydock_emr.node.toolbox import SUDO
from drydock_emr.node_protocol import Configuration, Daemons, Lease, LeaseState
from tests.node.rig import free_port

MASTER = "spark://127.0.0.11:7077"
SCRIPT_RUNNER = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A usable environment for a node."""
    (tmp_path / "spark/bin").mkdir(parents=True)
    (tmp_path / "spark/bin/spark-class").touch()
    (tmp_path / "secret").write_text("0123456789abcdef")
    (tmp_path / "secret").chmod(0o600)
    here = str(tmp_path)
    return {
        **{"NODE_NAME": "node-1", "NODE_HOST": "127.0.0.11", "NODE_UI_HOST": "127.0.0.1", "NODE_UI_PORT": "8090"},
        **{"NODE_RPC_PORT": "7077", "NODE_CREDENTIALS_PORT": "7177", "NODE_SCRATCH": f"{here}/scratch"},
        **{"NODE_PYTHON": here, "NODE_WORKSPACE": here, "JAVA_HOME": here, "SPARK_HOME": f"{here}/spark"},
        **{"EMR_URL": "http://127.0.0.1:8088", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        **{"DRYDOCK_NODE_SECRET_FILE": f"{here}/secret", "SPARK_SECRET_FILE": f"{here}/secret"},
        "SPARK_EVENT_LOG_DIR": f"{here}/events",
    }


def lease(jar: str, *args: str) -> Lease:
    return Lease(step_id="s-1", attempt=1, name="a step", jar=jar, args=args)


class TestConfig:
    def test_secrets_do_not_show(self, variables: dict[str, str]) -> None:
        assert "0123456789abcdef" not in repr(Config.from_environment(variables))

    @pytest.mark.parametrize(
        ("name", "value", "part"),
        [
            ("NODE_NAME", "", "NODE_NAME is not set"),
            ("NODE_RPC_PORT", "http", "NODE_RPC_PORT is 'http', expected a port number"),
            ("NODE_RPC_PORT", "65536", "expected a port number from 1 to 65535"),
            ("JAVA_HOME", "/no/such/java", "JAVA_HOME is /no/such/java, which does not exist"),
            ("SPARK_SECRET_FILE", "/no/such/file", "SPARK_SECRET_FILE names /no/such/file, which cannot be read"),
            ("SPARK_HOME", "/", "there is no bin/spark-class in it"),
        ],
    )
    def test_what_is_wrong_is_named(self, variables: dict[str, str], name: str, value: str, part: str) -> None:
        with pytest.raises(ConfigurationError, match=part.replace("(", "\\(")):
            Config.from_environment({**variables, name: value})

    def test_a_secret_that_others_can_read_is_refused(self, variables: dict[str, str]) -> None:
        Path(variables["SPARK_SECRET_FILE"]).chmod(0o644)
        with pytest.raises(ConfigurationError, match="has mode 0644, expected 0600"):
            Config.from_environment(variables)


class TestNames:
    @given(st.text())
    def test_stay_in_their_folder(self, text: str) -> None:
        name = safe_name(text)
        assert name not in {"", ".", ".."}
        assert name.isascii()
        assert "/" not in name
        assert "\0" not in name
        assert (Path("/a/b") / name).resolve().parent == Path("/a/b")
        assert len(name) <= 128

    @given(st.text(), st.text())
    def test_are_as_different_as_the_texts(self, one: str, other: str) -> None:
        assert (safe_name(one) == safe_name(other)) == (one == other)

    def test_ids_of_emr_stay_as_they_are(self) -> None:
        assert safe_name("s-05981531W5ISFGG65JTF") == "s-05981531W5ISFGG65JTF"

    def test_log_keys_are_emrs(self, tmp_path: Path) -> None:
        layout = TenancyLayout(tmp_path)
        for folder, names in (
            ("log/steps/s-1", ("controller", "syslog", "stdout", "stderr", "other")),
            ("log/bootstrap-actions/1", ("controller", "stdout")),
            ("log/daemons/spark-worker", ("stderr",)),
            ("work/app-1/0", ("stdout", "stderr", "job.jar")),
        ):
            (tmp_path / folder).mkdir(parents=True)
            for name in names:
                (tmp_path / folder / name).touch()
        (tmp_path / "log/steps/s-1/syslog").unlink()
        (tmp_path / "log/steps/s-1/syslog").symlink_to("/etc/passwd")
        (tmp_path / "log/steps/s-2").symlink_to("/etc")
        assert [key for _, key in layout.logs("i-1")] == [
            "steps/s-1/controller.gz",
            "steps/s-1/stdout.gz",
            "steps/s-1/stderr.gz",
            "node/i-1/bootstrap-actions/1/controller.gz",
            "node/i-1/bootstrap-actions/1/stdout.gz",
            "node/i-1/daemons/spark-worker/stderr.gz",
            "node/i-1/applications/spark/app-1/0/stdout.gz",
            "node/i-1/applications/spark/app-1/0/stderr.gz",
        ]


class TestS3Url:
    @pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n", "S3"])
    def test_schemes_are_alike(self, scheme: str) -> None:
        assert str(S3Url.parse(f"{scheme}://bucket/a b%20/ü") / "c") == "s3://bucket/a b%20/ü/c"

    def test_a_bucket_alone_or_a_trailing_slash_make_no_empty_part(self) -> None:
        assert str(S3Url.parse("s3://bucket") / "j-1") == str(S3Url.parse("s3://bucket/") / "j-1") == "s3://bucket/j-1"

    @pytest.mark.parametrize("url", ["", "s3:/bucket/x", "https://bucket/x", "s3://", "s3:///key", "/local"])
    def test_others_are_refused(self, url: str) -> None:
        with pytest.raises(NotAnS3Url):
            S3Url.parse(url)


class TestCommands:
    @pytest.mark.parametrize(
        "jar", ["command-runner.jar", "/var/lib/aws/emr/step-runner/hadoop-jars/command-runner.jar"]
    )
    def test_command_runner(self, jar: str) -> None:
        assert command_of(lease(jar, "a", "b c")) == Command(("a", "b c"))

    def test_script_runner(self) -> None:
        assert command_of(lease(SCRIPT_RUNNER, "s3://b/x.sh", "1")) == Command(("1",), "s3://b/x.sh")

    @pytest.mark.parametrize("jar", ["s3://b/my-command-runner.jar", "s3n://b/job.jar", "/usr/lib/x.jar", "x.jar"])
    def test_other_jars_are_hadoops(self, jar: str) -> None:
        assert command_of(lease(jar, "x")) == Command(("x",), jar=jar)

    @pytest.mark.parametrize("jar", ["", "hdfs:///job.jar", "http://x/job.jar"])
    def test_what_cannot_be_fetched_is_refused(self, jar: str) -> None:
        with pytest.raises(StepRefused, match="cannot be fetched: expected a jar in S3"):
            command_of(lease(jar, "x"))

    @pytest.mark.parametrize("jar", ["command-runner.jar", SCRIPT_RUNNER])
    def test_no_arguments_are_refused(self, jar: str) -> None:
        with pytest.raises(StepRefused, match="no arguments"):
            command_of(lease(jar))


class TestFailureDetails:
    @pytest.mark.parametrize(
        ("stderr", "message"),
        [
            (
                "Traceback\n  File x\nZeroDivisionError: division by zero\nCommand exiting with ret '1'\n",
                "ZeroDivisionError: division by zero",
            ),
            (
                'Exception in thread "main" java.lang.IllegalStateException: no\n\tat a.b(C.java:1)\n',
                'Exception in thread "main" java.lang.IllegalStateException: no',
            ),
            ("a.B: x\nCaused by: java.io.IOException: disk\n\tat a\n", "java.io.IOException: disk"),
            (
                "pyspark.errors.exceptions.captured.AnalysisException: [PATH] gone\n26/1/1 INFO x: Error: y\n",
                "pyspark.errors.exceptions.captured.AnalysisException: [PATH] gone",
            ),
            ("all is well\n", None),
        ],
    )
    def test_the_last_exception_is_named(self, stderr: str, message: str | None) -> None:
        details = failure_details(stderr, "s3://b/stderr.gz")
        assert (details.reason, details.message, details.log_file) == ("Unknown Error", message, "s3://b/stderr.gz")

    def test_emrs_known_reason(self) -> None:
        stderr = "org.apache.hadoop.mapred.FileAlreadyExistsException: Output directory s3://b/o already exists\n"
        assert failure_details(stderr, None).reason == "Output directory already exists."

    @given(st.text())
    def test_any_stderr_will_do(self, stderr: str) -> None:
        assert failure_details(stderr, None).reason


class TestSparkSubmit:
    def test_what_is_yarns_is_mapped_and_told(self) -> None:
        mapped = map_arguments(
            [
                "--master",
                "yarn",
                "--deploy-mode=cluster",
                "--conf",
                "spark.yarn.queue=x",
                "--num-executors",
                "3",
                "job.py",
            ],
            4,
            MASTER,
        )
        assert mapped.arguments == ("--conf", "spark.yarn.queue=x", "--total-executor-cores", "12", "job.py")
        notes = "\n".join(mapped.notes)
        for part in ("no YARN here", "client mode", "spark.yarn.queue has no effect", "counts cores; asked for 12"):
            assert part in notes

    def test_the_same_by_properties(self) -> None:
        options = [
            "--conf",
            "spark.master=yarn",
            "-c",
            "spark.submit.deployMode=cluster",
            "--conf",
            "spark.executor.cores=2",
        ]
        mapped = map_arguments([*options, "--conf", "spark.executor.instances=2", "job.py"], 4, MASTER)
        assert mapped.arguments == ("--conf", "spark.executor.cores=2", "--total-executor-cores", "4", "job.py")

    def test_other_masters_and_client_mode_are_left_alone(self) -> None:
        arguments = ("--master", "local[2]", "--deploy-mode", "client", "--verbose", "job.py")
        assert map_arguments(arguments, 4, MASTER).arguments == arguments

    def test_an_own_properties_file_is_taken_and_told(self) -> None:
        mapped = map_arguments(["--properties-file", "my.conf", "job.py"], 4, MASTER)
        assert (mapped.arguments, mapped.properties_file) == (("job.py",), "my.conf")
        assert "replaces the cluster's spark-defaults" in mapped.notes[0]

    @given(st.lists(st.text()))
    def test_the_applications_arguments_are_its_own(self, arguments: list[str]) -> None:
        everything = ["--name", "--master", "job.py", *arguments, "--master", "yarn", "--deploy-mode", "cluster"]
        mapped = map_arguments(everything, 4, MASTER)
        assert mapped.arguments == tuple(everything)
        assert mapped.notes == ()

    def test_shells_take_options_between_their_own(self) -> None:
        mapped = map_arguments(
            ["-e", "select 1", "--master", "yarn", "--hiveconf", "a=b", "--conf=spark.executor.memory=3g"],
            4,
            MASTER,
            is_shell=True,
        )
        assert mapped.arguments == ("-e", "select 1", "--hiveconf", "a=b", "--conf", "spark.executor.memory=3g")
        assert mapped.properties == {"spark.executor.memory": "3g"}


WORKERS = [Worker(4, 12288), Worker(2, 4096)]


class TestCapacity:
    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"memory": "10g", "cores": "4"},
            {"memory": "11170", "cores": "4"},  # 11170 + 10 %
            {"memory": "12g", "memoryOverhead": "0"},
            {"memory": "8192MB"},
            {"memory": "a lot"},  # Spark says what is wrong with it
            {"memory": "1g", "cores": "many"},
        ],
    )
    def test_what_fits_on_one_worker_passes(self, asked: dict[str, str]) -> None:
        assert never_fits({f"spark.executor.{name}": value for name, value in asked.items()}, WORKERS) is None

    @pytest.mark.parametrize(
        ("asked", "part"),
        [
            ({"executor.memory": "100g"}, "executor memory (102400 MB), offHeap memory (0) MB, overhead (10240 MB)"),
            ({"executor.memory": "12g"}, "overhead (1228 MB), and PySpark memory (0 MB) is above the max threshold"),
            ({"executor.memory": "10g", "executor.pyspark.memory": "2g"}, "PySpark memory (2048 MB) is above"),
            ({"memory.offHeap.enabled": "true", "memory.offHeap.size": str(12 << 30)}, "offHeap memory (12288) MB"),
            ({"executor.cores": "8"}, "Required executor cores (8) is above the max threshold (4)"),
            ({"executor.memory": "1t"}, "max threshold (12288 MB) of this cluster!"),
        ],
    )
    def test_what_fits_on_none_is_told(self, asked: dict[str, str], part: str) -> None:
        sentence = never_fits({f"spark.{name}": value for name, value in asked.items()}, WORKERS)
        assert sentence is not None
        assert part in sentence

    def test_no_worker_decides_nothing(self) -> None:
        assert never_fits({"spark.executor.memory": "100g"}, []) is None

    def test_workers_that_are_not_alive_do_not_count(self) -> None:
        dead, alive = ({"state": s, "cores": 4, "memory": m} for s, m in (("DEAD", 99999), ("ALIVE", 4096)))
        assert workers_of({"workers": [dead, alive]}) == [Worker(4, 4096)]
        assert workers_of({}) == []

    def test_sizes_are_read_as_java_reads_properties(self, tmp_path: Path) -> None:
        lines = ("# spark.executor.memory 9g", "spark.executor.memory  3g ", "spark.executor.cores: 2", "spark.x=1")
        (tmp_path / "own.conf").write_text("\n".join(lines))
        assert sizes_in(tmp_path / "own.conf") == {"spark.executor.memory": "3g", "spark.executor.cores": "2"}


class TestRelease:
    @pytest.fixture
    def spark_home(self, tmp_path: Path) -> Path:
        (tmp_path / "jars").mkdir()
        for name in ("spark-core_2.12-3.5.6", "hadoop-client-api-3.4.2", "delta-spark_2.12-3.3.2", "delta-storage-1"):
            (tmp_path / f"jars/{name}.jar").touch()
        return tmp_path

    def test_the_installed_one_needs_no_word(self, spark_home: Path) -> None:
        assert release.difference("emr-7.13.0", spark_home) is None

    def test_another_one_is_told(self, spark_home: Path) -> None:
        assert release.difference("emr-7.10.0", spark_home) == (
            "The cluster asks for emr-7.10.0 (Spark 3.5.5, Hadoop 3.4.1, Delta 3.3.0); this node has emr-7.13.0 "
            "(Spark 3.5.6, Hadoop 3.4.2, Delta 3.3.2), and the step runs with that."
        )


class TestSparkSettings:
    @given(st.dictionaries(st.text(min_size=1), st.text()))
    def test_properties_files_say_what_was_meant(self, properties: dict[str, str]) -> None:
        assert parse_properties(spark_settings.as_properties_file(properties)) == properties

    def test_later_configurations_win_and_delta_is_not_forced(self) -> None:
        one = Configuration(classification="spark-defaults", properties={"spark.executor.memory": "3g"})
        two = Configuration(classification="spark-defaults", properties={"spark.executor.memory": "4g"})
        defaults = spark_settings.default_properties((one, two))
        assert defaults["spark.executor.memory"] == "4g"
        assert not any("delta" in f"{name}{value}".lower() for name, value in defaults.items())

    def test_the_page_kills_nothing_and_ports_do_not_drift(self, variables: dict[str, str]) -> None:
        properties = spark_settings.daemon_properties(Config.from_environment(variables))
        assert properties["spark.ui.killEnabled"] == "false"
        assert properties["spark.port.maxRetries"] == "0"

    def test_daemons_listen_where_the_node_says(self, variables: dict[str, str], tmp_path: Path) -> None:
        config, layout = Config.from_environment(variables), TenancyLayout(tmp_path)
        found = specs(Daemons(worker_of=MASTER, worker_cores=2, worker_memory_mib=512), config, layout, {})
        arguments = " ".join(found["spark-worker"].arguments)
        assert "--host 127.0.0.11 --port 7077 --webui-port 8090 --cores 2 --memory 512M" in arguments
        assert arguments.endswith(MASTER)
        assert "0123456789abcdef" not in arguments


class TestEnvironment:
    def test_is_made_from_nothing(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leaked")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        config = Config.from_environment({**variables, "DRYDOCK_INSTALL": "me"})
        layout = NodeLayout(config.scratch).tenancy
        made = environment.for_step(environment.base(config, layout, "token"), layout, "s-1", {})
        assert {name for name in made if "AWS" in name} == {
            "AWS_ENDPOINT_URL",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        }
        assert made["DRYDOCK_INSTALL"] == "me"
        assert made["PATH"].startswith(f"{layout.bin}:{layout.python}/bin:")
        assert "0123456789abcdef" not in "".join(made.values())

    def test_the_token_is_masked_in_controller_logs(self, tmp_path: Path) -> None:
        variables = {environment.TOKEN: "secret-token", "A": "b"}
        ControllerLog(tmp_path / "controller").started(["echo", "a b"], variables, tmp_path, tmp_path)
        text = (tmp_path / "controller").read_text()
        assert "secret-token" not in text
        assert "INFO startExec echo 'a b'\n" in text
        assert "  A=b\n" in text


class TestLease:
    def test_is_never_started_twice(self, tmp_path: Path) -> None:
        (tmp_path / "spec.json").write_text("{}")
        with pytest.raises(FileExistsError):
            LeaseOnDisk(tmp_path, tmp_path).start(
                ["true"], what="x", environment={}, cwd=tmp_path, stdout=tmp_path / "o", stderr=tmp_path / "e"
            )

    def test_a_recycled_pid_is_not_the_step(self, tmp_path: Path) -> None:
        dead = {"pid": 1, "create_time": 12345.0}
        (tmp_path / "spec.json").write_text(json.dumps({"spawned_at": 0}))
        (tmp_path / "process.json").write_text(json.dumps({"runner": dead, "child": dead, "started_at": 1.0}))
        assert LeaseOnDisk(tmp_path, tmp_path).status().state is LeaseState.VANISHED

    def test_meant_to_start_but_never_seen_has_vanished(self, tmp_path: Path) -> None:
        (tmp_path / "spec.json").write_text(json.dumps({"spawned_at": 0}))
        assert LeaseOnDisk(tmp_path, tmp_path).status().state is LeaseState.VANISHED


class TestCredentials:
    def document(self, now: datetime, seconds: float, key: str = "K") -> dict[str, str]:
        expiration = (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": expiration}

    def test_are_cached_till_near_their_end_and_survive_an_outage(self) -> None:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        time, calls, away = [start.timestamp()], [], [False]

        def fetch() -> dict[str, str]:
            if away[0]:
                raise ControlPlaneUnreachable("away")
            calls.append(time[0])
            return self.document(datetime.fromtimestamp(time[0], UTC), 3600, f"K{len(calls)}")

        cache = CredentialsCache(fetch, lambda: time[0])
        assert [cache.get()["AccessKeyId"], cache.get()["AccessKeyId"]] == ["K1", "K1"]
        time[0] += 2600
        assert cache.get()["AccessKeyId"] == "K1"
        time[0] += 200  # less than a quarter of the hour is left
        away[0] = True
        assert cache.get()["AccessKeyId"] == "K1"
        away[0] = False
        assert cache.get()["AccessKeyId"] == "K2"
        time[0] += 4000
        away[0] = True
        with pytest.raises(CredentialsUnavailable, match="away"):
            cache.get()

    def test_are_served_to_the_token_alone(self) -> None:
        document = self.document(datetime.now(UTC), 3600)
        port = free_port()
        endpoint = CredentialsEndpoint(port)
        try:
            assert fetch(port, "token")[0] == 401
            endpoint.serve("token", CredentialsCache(lambda: document))
            assert fetch(port, "token") == (200, document)
            assert fetch(port, "other")[0] == 401
            assert fetch(port, "token", "/elsewhere")[0] == 404
            endpoint.withdraw()
            assert fetch(port, "token")[0] == 401
            with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1"):
                CredentialsEndpoint(port)
        finally:
            endpoint.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "credentials"]


class TestSudo:
    @pytest.mark.parametrize(
        ("arguments", "printed"),
        [
            (("printf", "%s|", "a b", "", "-u"), "a b||-u|"),
            (("-u", "root", "-EHn", "printf", "x"), "x"),
            (("--user=root", "--", "printf", "x"), "x"),
            (("A=b c", "sh", "-c", 'printf "$A"'), "b c"),
            (("-n", "true"), ""),
            (("-v",), ""),
        ],
    )
    def test_runs_the_command_as_it_is(self, tmp_path: Path, arguments: tuple[str, ...], printed: str) -> None:
        sudo = tmp_path / "sudo"
        sudo.write_text(SUDO)
        sudo.chmod(0o755)
        assert subprocess.run([sudo, *arguments], capture_output=True, text=True, check=True).stdout == printed

    def test_passes_the_exit_code_on(self, tmp_path: Path) -> None:
        (tmp_path / "sudo").write_text(SUDO)
        assert subprocess.run(["/bin/sh", tmp_path / "sudo", "sh", "-c", "exit 9"], check=False).returncode == 9


def fetch(port: int, token: str, path: str = "/v1/credentials") -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": token})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def parse_properties(text: str) -> dict[str, str]:
    """java.util.Properties.load for files with one property a line, written from its documentation."""
    assert text.isascii()
    found = {}
    for line in text.splitlines():
        parts: list[list[str]] = [[], []]
        target, position = 0, 0
        while position < len(line):
            character = line[position]
            if character == "\\":
                position += 1
                escaped = line[position]
                if escaped == "u":
                    units = chr(int(line[position + 1 : position + 5], 16))
                    position += 4
                else:
                    units = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(escaped, escaped)
                parts[target].append(units)
            elif target == 0 and character == "=":
                target = 1
            else:
                assert target == 1 or character not in " :#!"
                parts[target].append(character)
            position += 1
        name, value = ("".join(part).encode("utf-16", "surrogatepass").decode("utf-16") for part in parts)
        found[name] = value
    return found
