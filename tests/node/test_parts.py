"""The parts of a node that need no other process."""

import asyncio
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock_emr.node import environment, s3
from drydock_emr.node import lease as lease_module
from drydock_emr.node.config import Config
from drydock_emr.node.controller_log import ControllerLog
from drydock_emr.node.credentials import CredentialsCache, CredentialsEndpoint
from drydock_emr.node.errors import (
    ConfigurationError,
    ControlPlaneUnreachable,
    CredentialsUnavailable,
    DownloadFailed,
    NotAnS3Url,
    StepRefused,
)
from drydock_emr.node.files import RESERVED_BYTES, read_json, reserve, write_reserved
from drydock_emr.node.layout import NodeLayout, TenancyLayout, safe_name
from drydock_emr.node.lease import Lease as LeaseOnDisk
from drydock_emr.node.logs import Packed
from drydock_emr.node.runner import identity
from drydock_emr.node.s3 import S3Url
from drydock_emr.node.step import Command, command_of, failure_details
from drydock_emr.node.toolbox import SUDO
from drydock_emr.node_protocol import Lease, LeaseState
from tests.running import free_port

MASTER = "spark://127.0.0.11:7077"
SCRIPT_RUNNER = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar"


def lease(jar: str, *args: str) -> Lease:
    return Lease(step_id="s-1", attempt=1, name="a step", jar=jar, args=args)


class TestConfig:
    def test_secrets_do_not_show(self, variables: dict[str, str]) -> None:
        assert "0123456789abcdef" not in repr(Config.from_environment(variables))

    @pytest.mark.parametrize(
        ("name", "value", "part"),
        [
            ("NODE_HOST", "no-such-host.invalid", "NODE_HOST is 'no-such-host.invalid', which is no address"),
            ("EMR_URL", "", "EMR_URL is not set"),
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

    def test_a_name_is_looked_up_and_a_page_on_every_address_is_found_on_loopback(
        self, variables: dict[str, str]
    ) -> None:
        config = Config.from_environment({**variables, "NODE_HOST": "localhost", "NODE_UI_HOST": "0.0.0.0"})
        assert (config.host, config.ui_url) == ("127.0.0.1", f"http://127.0.0.1:{config.ui_port}")

    def test_a_node_without_a_name_has_its_machine_s(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("socket.gethostname", lambda: "machine-7")
        assert Config.from_environment({**variables, "NODE_NAME": ""}).name == "machine-7"

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

    @pytest.mark.parametrize("url", ["file://[", "file:///a%00b", "file:///nowhere", "http://bucket/key"])
    def test_what_cannot_be_fetched_is_a_sentence(self, url: str, tmp_path: Path) -> None:
        def no_client() -> NoReturn:
            pytest.fail("S3 was asked")

        with pytest.raises(DownloadFailed, match="could not be fetched"):
            s3.fetch(url, tmp_path / "script", no_client)


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


@pytest.fixture
def delayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LeaseOnDisk:
    """A lease whose runner comes to life when there is a file `go`, by when it is late; its command makes `ran`."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nwhile [ ! -e "{tmp_path}/go" ]; do sleep 0.02; done\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(lease_module, "START_GRACE_SECONDS", -1)
    lease = LeaseOnDisk(tmp_path, tmp_path)
    lease.start(
        ["touch", "ran"],
        what="command that is late",
        environment={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdout=tmp_path / "o",
        stderr=tmp_path / "e",
    )
    return lease


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

    def test_a_runner_that_is_late_but_lives_is_waited_for(self, delayed: LeaseOnDisk) -> None:
        assert delayed.status().state is LeaseState.STARTING
        (delayed.folder / "go").touch()
        status = asyncio.run(delayed.wait())
        assert (status.state, status.exit_code) == (LeaseState.EXITED, 0)
        assert (delayed.folder / "ran").exists()

    def test_a_runner_that_comes_after_it_was_given_up_starts_nothing(self, delayed: LeaseOnDisk) -> None:
        after_a_restart = LeaseOnDisk(delayed.folder, delayed.folder)
        assert after_a_restart.status().state is LeaseState.VANISHED
        (delayed.folder / "go").touch()
        assert asyncio.run(delayed.wait()).state is LeaseState.VANISHED  # its parent, who sees it end
        assert after_a_restart.status().state is LeaseState.VANISHED
        assert not (delayed.folder / "ran").exists()

    def test_a_runner_at_work_before_its_command_is_known_is_not_given_up(self, tmp_path: Path) -> None:
        (tmp_path / "spec.json").write_text(json.dumps({"spawned_at": 0}))
        (tmp_path / "runner.json").write_text(json.dumps(identity(os.getpid())))
        assert LeaseOnDisk(tmp_path, tmp_path).status().state is LeaseState.STARTING


class TestFiles:
    def test_a_reserved_record_is_there_when_it_is_written_and_not_before(self, tmp_path: Path) -> None:
        record = tmp_path / "exit.json"
        reserve(record)
        assert not record.exists()
        write_reserved(record, {"exit_code": 0, "ended_at": 1.5})
        assert read_json(record) == {"exit_code": 0, "ended_at": 1.5}
        assert record.stat().st_size == RESERVED_BYTES
        assert [path.name for path in tmp_path.iterdir()] == ["exit.json"]


class TestPackedLogs:
    @given(st.binary(max_size=5000), st.integers(0, 5000), st.integers(1, 700))
    def test_are_the_first_bytes_of_the_log_in_pieces_of_any_size(self, data: bytes, size: int, piece: int) -> None:
        packed = Packed(io.BytesIO(data), size)
        assert gzip.decompress(b"".join(iter(lambda: packed.read(piece), b""))) == data[:size]


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
