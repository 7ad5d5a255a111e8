"""How Terraform is run: signals, failures as sentences, what it sees of its caller. Terraform itself is played by a
program that tells the same events."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drydock import settings, terraform_process
from drydock.errors import SetupError
from drydock.toolchain import network
from tests.running import wait_for

PLANNED = {"type": "change_summary", "changes": {"add": 1, "change": 0, "remove": 0, "operation": "plan"}}
BEGUN = {"type": "apply_start", "hook": {"action": "create", "resource": {"addr": "aws_vpc.this"}}}
READ = {"type": "apply_start", "hook": {"action": "read", "resource": {"addr": "data.aws_partition.this"}}}


CALLER = """
import sys
from pathlib import Path
from drydock.terraform_process import Terraform
folder = Path(sys.argv[1])
Terraform(folder, {"PATH": str(folder / "bin")}, folder / "log", "", lambda: None).run("apply")
"""


def played(folder: Path, program: str) -> terraform_process.Terraform:
    """A Terraform that runs `program`, which has `tell(event)`, `interrupts` (received so far) and `caller`'s pid."""
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    script = bin_dir / "terraform"
    prelude = """
        import json, os, pathlib, signal, sys, time
        interrupts = []
        signal.signal(signal.SIGINT, lambda *_: interrupts.append(1))
        caller = os.getppid()
        def tell(event): print(json.dumps(event), flush=True)
        def wait_for_interrupts(number):
            deadline = time.monotonic() + 20
            while len(interrupts) < number and time.monotonic() < deadline:
                time.sleep(0.01)
        def note(): pathlib.Path("interrupts").write_text(str(len(interrupts)))
    """
    script.write_text(f"#!{sys.executable}\n{textwrap.dedent(prelude)}\nos.chdir({str(folder)!r})\n{program}")
    script.chmod(0o755)
    return terraform_process.Terraform(
        directory=folder,
        environment={"PATH": str(bin_dir)},
        log=folder / "logs" / "terraform.log",
        unlock="aws s3 rm s3://state/lock",
        release=lambda: (folder / "released").touch(),
    )


def interrupt_at(kind: str) -> Callable[[terraform_process.Event], None]:
    def on_event(event: terraform_process.Event) -> None:
        if event["type"] == kind:
            raise KeyboardInterrupt

    return on_event


def interrupts(folder: Path) -> int:
    return int((folder / "interrupts").read_text())


def test_an_interrupt_while_it_looks_stops_it(tmp_path: Path) -> None:
    terraform = played(tmp_path, f"tell({READ}); tell({PLANNED}); wait_for_interrupts(1); note()")
    with pytest.raises(KeyboardInterrupt):
        terraform.run("apply", on_event=interrupt_at("change_summary"))
    assert interrupts(tmp_path) == 1


def test_an_interrupt_while_it_makes_lets_it_finish(tmp_path: Path) -> None:
    terraform = played(tmp_path, f"tell({PLANNED}); tell({BEGUN}); tell({PLANNED}); note()")
    with pytest.raises(KeyboardInterrupt):
        terraform.run("apply", on_event=interrupt_at("apply_start"))
    assert interrupts(tmp_path) == 0


def test_a_second_interrupt_is_passed_on_and_a_third_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terraform = played(
        tmp_path,
        f"tell({BEGUN}); time.sleep(0.3); os.kill(caller, signal.SIGINT); wait_for_interrupts(1);"
        "os.kill(caller, signal.SIGINT); time.sleep(0.3); note()",
    )
    with pytest.raises(KeyboardInterrupt):
        terraform.run("apply", on_event=interrupt_at("apply_start"))
    assert interrupts(tmp_path) == 1
    said = capsys.readouterr().err
    assert said.index("Ctrl-C again stops it now") < said.index("is saving its state")


def test_a_failure_is_told_in_terraforms_words(tmp_path: Path) -> None:
    error = {
        "severity": "error",
        "summary": "creating Bucket",
        "detail": "it\n  exists",
        "address": "aws_s3_bucket.a",
    }
    warning = {"severity": "warning", "summary": "deprecated", "detail": ""}
    events = [{"type": "diagnostic", "diagnostic": entry} for entry in (warning, error)]
    terraform = played(tmp_path, f"tell({events[0]}); tell({events[1]}); sys.exit(1)")
    with pytest.raises(SetupError) as failure:
        terraform.run("apply")
    assert str(failure.value).startswith("`terraform apply` failed: creating Bucket (aws_s3_bucket.a): it exists\n")
    assert "deprecated" not in str(failure.value)
    assert str(terraform.log) in str(failure.value)
    assert [json.loads(line) for line in terraform.log.read_text().splitlines()] == events


def test_a_crash_is_told_by_its_last_lines(tmp_path: Path) -> None:
    terraform = played(tmp_path, "print('panic: out of luck', file=sys.stderr, flush=True); sys.exit(2)")
    with pytest.raises(SetupError, match="failed: panic: out of luck"):
        terraform.run("init")


def test_silence_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ended with code 3 and said nothing"):
        played(tmp_path, "sys.exit(3)").run("init")


def test_without_terraform_it_says_so(tmp_path: Path) -> None:
    path = {"PATH": str(tmp_path)}
    terraform = terraform_process.Terraform(tmp_path, path, tmp_path / "log", "s3://state/lock", lambda: None)
    with pytest.raises(SetupError, match="not on the PATH"):
        terraform.run("init")


def test_a_killed_caller_s_terraform_goes_on_and_the_next_run_waits_for_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terraform = played(
        tmp_path,
        textwrap.dedent("""
            first, go, finished = map(pathlib.Path, ("first", "go", "finished"))
            if first.exists():
                pathlib.Path("second").write_text(str(finished.exists()))
            else:
                first.write_text(str(caller))
                while not go.exists(): time.sleep(0.01)
                print("something", flush=True)
                finished.touch()
        """),
    )
    with ThreadPoolExecutor() as pool:
        with subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path)]) as caller:
            wait_for(lambda: (tmp_path / "first").is_file() and (tmp_path / "first").read_text(), "the first Terraform")
            caller.kill()
        second = pool.submit(terraform.run, "apply")
        wait_for(lambda: "still at work here" in capsys.readouterr().err, "the second to wait")
        assert not second.done()
        (tmp_path / "go").touch()
        second.result(timeout=20)
    assert (tmp_path / "second").read_text() == "True"


def test_what_a_killed_terraform_leaves_of_its_providers_is_ended(tmp_path: Path) -> None:
    terraform = played(
        tmp_path,
        textwrap.dedent("""
            import subprocess
            if not pathlib.Path("first").exists():
                provider = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
                pathlib.Path("first").write_text(f"{os.getpid()} {provider.pid}")
                signal.pause()
        """),
    )
    with subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path)]) as caller:
        first = wait_for(
            lambda: (tmp_path / "first").is_file() and (tmp_path / "first").read_text(), "the first Terraform"
        )
        caller.kill()
    killed, provider = map(int, str(first).split())
    os.kill(killed, signal.SIGKILL)
    terraform.run("apply")
    wait_for(lambda: terraform_process._has_ended(provider), "the provider's end")


def locked_out(who: str, created: datetime, first: str) -> str:
    """A Terraform that does `first` the first time, and finds the state locked until the lock is released."""
    detail = f"Lock Info:\n  Who:       {who}\n  Created:   {created:%Y-%m-%d %H:%M:%S}.5 +0000 UTC\n"
    error = {"severity": "error", "summary": "Error acquiring the state lock", "detail": detail}
    return textwrap.dedent(f"""
        if not pathlib.Path("first").exists():
            pathlib.Path("first").touch()
            time.sleep(1.1)  # a lock's time has whole seconds here
            print("holding the lock", flush=True)
            {first}
        elif not pathlib.Path("released").exists():
            tell({{"type": "diagnostic", "diagnostic": {error!r}}})
            sys.exit(1)
    """)


KILLED, FAILED = "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(1)"
MYSELF = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


@pytest.mark.parametrize(
    ("who", "seconds_later", "first", "is_ours"),
    [
        (MYSELF, 1, KILLED, True),
        (MYSELF, -3600, KILLED, False),  # of before anything was begun here
        (MYSELF, 60, KILLED, False),  # of after the last word of the one that was killed
        (MYSELF, 1, FAILED, False),  # that one has ended by itself: another checkout's, say
        ("somebody@elsewhere", 1, KILLED, False),
    ],
)
def test_a_lock_that_a_killed_terraform_left_is_released_and_no_other(
    tmp_path: Path, who: str, seconds_later: int, first: str, is_ours: bool
) -> None:
    created = datetime.now(UTC) + timedelta(seconds=seconds_later)
    terraform = played(tmp_path, locked_out(who, created, first))
    with pytest.raises(SetupError, match="SIGKILL" if first is KILLED else "failed"):
        terraform.run("apply")
    if is_ours:
        terraform.run("apply")
        assert (tmp_path / "released").exists()
        return
    with pytest.raises(terraform_process.StateLocked, match="release its lock: `aws s3 rm s3://state/lock`"):
        terraform.run("apply")
    assert not (tmp_path / "released").exists()


def test_it_sees_an_allow_list_of_its_callers_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "TF_VAR_region", "TF_CLI_ARGS", "TF_DATA_DIR", "SOME_SECRET"):
        monkeypatch.setenv(name, "the caller's")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/authorities.pem")
    seen = terraform_process.environment(settings.Paths(tmp_path))
    assert "the caller's" not in seen.values()
    assert seen["HTTPS_PROXY"] == "http://127.0.0.1:1"
    assert seen["SSL_CERT_FILE"] == "/authorities.pem"
    assert seen["CHECKPOINT_DISABLE"] == "1"
    assert seen["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"])
def test_authorities_that_others_were_told_of_are_told_to_it(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for each in network.AUTHORITIES:
        monkeypatch.delenv(each, raising=False)
    assert "SSL_CERT_FILE" not in terraform_process.environment(settings.Paths(tmp_path))
    monkeypatch.setenv(name, "/authorities.pem")
    assert terraform_process.environment(settings.Paths(tmp_path))["SSL_CERT_FILE"] == "/authorities.pem"


def test_only_a_configuration_that_exists_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "terraformrc"
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(configuration))
    assert "TF_CLI_CONFIG_FILE" not in terraform_process.environment(settings.Paths(tmp_path))
    configuration.touch()
    assert terraform_process.environment(settings.Paths(tmp_path))["TF_CLI_CONFIG_FILE"] == str(configuration)
