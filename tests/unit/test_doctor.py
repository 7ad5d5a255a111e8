"""`make doctor`, run for real: with all that is set up, and where nothing is."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drydock import settings

SCRIPT = settings.REPOSITORY / "scripts" / "doctor.py"
SECRET = "AKIAIOSFODNN7EXAMPLE"
CREDENTIALS = "AWS credentials"
# A way to no network at all, whatever this machine has: nothing listens on the port `discard`.
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command as a user with an empty home folder, of whose environment all is here."""

    def run(*command: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            **NO_NETWORK,
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DRYDOCK_HOME": str(settings.home()),
            "DRYDOCK_PORT_OFFSET": "12345",
            "PYTHONPATH": os.pathsep.join(sys.path),
            **variables,
        }
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    return run


def findings(said: str) -> dict[str, dict[str, str]]:
    return {each["subject"]: each for each in json.loads(said)["findings"]}


class TestVerb:
    VERB = (sys.executable, "-m", "drydock.cli", "doctor")

    def test_the_last_line_counts_the_lines_before_and_decides_the_exit_code(self, run: Run):
        done = run(*self.VERB, "--runtime=process")
        *lines, counted = done.stdout.splitlines()
        statuses = [line.split()[0] for line in lines if re.match(r"  (ok|warning|failure) ", line)]
        ok, warnings, failures = (statuses.count(status) for status in ("ok", "warning", "failure"))
        assert counted == f"{ok} ok, {warnings} warnings, {failures} failures"
        assert done.returncode == (1 if failures else 0)
        assert ok > 10

    def test_as_json_it_says_the_same_of_this_machine(self, run: Run):
        done = run(*self.VERB, "--runtime=process", "--json", AWS_ACCESS_KEY_ID=SECRET)
        found = findings(done.stdout)
        assert {subject: found[subject]["status"] for subject in ("Python", "make", "Terraform", "DRYDOCK_HOME")} == {
            "Python": "ok",
            "make": "ok",
            "Terraform": "ok",
            "DRYDOCK_HOME": "ok",
        }
        assert found["ports free"]["found"].startswith("16911, ")
        assert "through the proxy `http://127.0.0.1:9`" in found["Python packages"]["found"]
        assert found["Python packages"]["status"] in ("warning", "failure")
        assert "images" not in found
        # The command line has left the caller's AWS behind by then, and tells of it all the same.
        assert found[CREDENTIALS]["status"] == "warning"
        assert "AWS_ACCESS_KEY_ID" in found[CREDENTIALS]["found"]
        assert SECRET not in done.stdout + done.stderr
        assert [each for each in found.values() if each["status"] != "ok" and not each["fix"]] == []

    def test_a_failure_has_its_exit_code(self, run: Run, tmp_path: Path):
        done = run(*self.VERB, "--json", "--runtime=docker", PATH=str(tmp_path))
        found = findings(done.stdout)
        assert done.returncode == 1
        assert {subject: found[subject]["found"] for subject in ("Docker", "make")} == {
            "Docker": "It is not installed.",
            "make": "It is not on the PATH.",
        }

    def test_a_runtime_that_there_is_not_is_refused(self, run: Run):
        done = run(*self.VERB, "--runtime=podman")
        assert done.returncode == 2
        assert done.stderr == "✗ RUNTIME is `podman`, expected `docker` or `process`.\n"


class TestBeforeSetUp:
    def test_what_python_alone_can_tell_is_told_and_nothing_is_made(self, run: Run, tmp_path: Path):
        home = tmp_path / "home"
        done = run(sys.executable, SCRIPT, "--runtime=process", DRYDOCK_HOME=str(home))
        assert "`make doctor` after `make setup`" in done.stdout.splitlines()[-2]
        assert re.fullmatch(r"\d+ ok, \d+ warnings, \d+ failures", done.stdout.splitlines()[-1])
        assert f"`{home}`, which is not there yet" in done.stdout
        # Everything has to be fetched, and nothing can be.
        assert re.search(
            r"^  failure  Python packages .* Set-up fetches from it: uv, Workspace,", done.stdout, re.MULTILINE
        )
        assert done.returncode == 1
        assert not home.exists()

    def test_nothing_but_the_standard_library_is_needed(self, run: Run, tmp_path: Path):
        """An interpreter without any package, as a user's may be."""
        done = run(
            *(sys.executable, "-I", "-S", "-c"),
            f"import runpy, sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); sys.argv = ['doctor', '--json']; "
            f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')",
            DRYDOCK_HOME=str(tmp_path / "home"),
        )
        assert "Traceback" not in done.stderr
        found = findings(done.stdout)
        assert found["Terraform"]["status"] == "ok"
        assert [it["found"] for it in found.values() if "could not be looked at" in it["found"]] == []

    def test_once_there_is_a_workspace_that_is_asked(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        handed = []
        monkeypatch.setattr(os, "execv", lambda *given: handed.append(given))
        monkeypatch.setattr(sys, "argv", ["doctor", "--json"])
        monkeypatch.setattr("drydock.toolchain.stamps.Stamp.matches", True)
        monkeypatch.setattr("sys.path", [str(SCRIPT.parent), *sys.path])
        doctor = runpy.run_path(str(SCRIPT))
        doctor["look"].__globals__["look_without_workspace"] = lambda: 0
        doctor["look"]()
        drydock = str(settings.Paths().environment("workspace") / "bin" / "drydock")
        assert handed == [(drydock, [drydock, "doctor", "--json"])]

    def test_a_runtime_that_there_is_not_is_refused(self, run: Run, tmp_path: Path):
        done = run(sys.executable, SCRIPT, "--runtime=podman", DRYDOCK_HOME=str(tmp_path / "home"))
        assert done.returncode == 2
        assert done.stderr == "✗ RUNTIME is `podman`, expected `docker` or `process`.\n"

    def test_another_python_is_told_which_one_is_needed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        monkeypatch.setattr("sys.path", [str(SCRIPT.parent), *sys.path])
        main = runpy.run_path(str(SCRIPT))["main"]
        monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
        assert main() == 1
        assert f"Drydock runs on Python 3.11, as EMR's nodes do; `{sys.executable}` is 3.9" in capsys.readouterr().err
