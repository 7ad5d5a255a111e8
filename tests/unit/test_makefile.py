"""The Makefile: help that lists what there is, and values that reach the verb as they were given."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from drydock import settings
from drydock.cli import VERBS

MAKEFILE = (settings.REPOSITORY / "Makefile").read_text()
TARGETS = dict(re.findall(r"^([a-z][a-z0-9-]*):(?!=) *(.*?) *##", MAKEFILE, re.MULTILINE))


@pytest.fixture
def recorded(tmp_path: Path):
    """Run `make` with a `drydock` that only writes down its arguments: returns them, of the last call."""
    home = tmp_path / "home"
    program = home / "envs" / "workspace" / "bin" / "drydock"
    program.parent.mkdir(parents=True)
    record = tmp_path / "arguments.json"
    program.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(record)!r}, 'w'))\n")
    program.chmod(0o755)

    def make(*arguments: str, **variables: str) -> list[str]:
        environment = {"PATH": os.environ["PATH"], "DRYDOCK_HOME": str(home), **variables}
        # The set-up is not what is tested: in place of Python a program that does nothing and says so by succeeding.
        command = ["make", "-s", "PYTHON=true", *arguments]
        subprocess.run(command, cwd=settings.REPOSITORY, env=environment, check=True, capture_output=True)
        return json.loads(record.read_text())

    return make


def test_make_alone_prints_every_target_and_nothing_else():
    printed = subprocess.run(["make"], cwd=settings.REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  ([a-z0-9-]+) ", printed, re.MULTILINE) == list(TARGETS)
    assert re.findall(r"^\S.*", printed, re.MULTILINE) == re.findall(r"^##@ (.*)", MAKEFILE, re.MULTILINE)


def test_every_target_is_a_verb_that_exists():
    aliases = {"help", "test-full"}
    assert set(TARGETS) - aliases <= set(VERBS)


def test_every_verb_sets_up_what_it_needs():
    """But for `doctor`, which is for whom set-up fails."""
    assert {name for name, needs in TARGETS.items() if needs != "setup"} == {"doctor", "help", "setup"}


@pytest.mark.parametrize("value", ["docker", "a b  c", "$(touch pwned)", "'; touch pwned; '"])
def test_doctor_is_run_by_the_user_s_python_and_told_the_runtime_as_it_was_given(tmp_path: Path, value: str):
    record = tmp_path / "arguments.json"
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(record)!r}, 'w'))\n")
    python.chmod(0o755)

    def make(*given: str) -> list[str]:
        command = ["make", "-s", "doctor", f"PYTHON={python}", *given]
        environment = {"PATH": os.environ["PATH"], "DRYDOCK_HOME": str(tmp_path / "home")}
        subprocess.run(command, cwd=settings.REPOSITORY, env=environment, check=True)
        return json.loads(record.read_text())

    assert make() == ["scripts/doctor.py"]
    assert make(f"RUNTIME={value}") == ["scripts/doctor.py", f"--runtime={value}"]
    assert not (settings.REPOSITORY / "pwned").exists()


def test_a_value_that_is_not_given_is_not_passed(recorded):
    assert recorded("run") == ["run"]
    assert recorded("local-logs") == ["local-logs"]


NASTY = [
    "2024-01-01",
    "a b  c",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "`touch pwned`",
    "$(touch pwned)",
    "$(shell touch pwned)",
    "${HOME} $$ $HOME",
    "a\\nb\\",
    "#no comment",
    "--help",
    "*",
    "é, \N{SHIP}",
]


@pytest.mark.parametrize("value", NASTY)
def test_what_make_is_given_reaches_the_verb_unchanged(recorded, value):
    assert recorded("run", f"DATE={value}", f"ROWS={value}") == ["run", f"--date={value}", f"--rows={value}"]
    assert recorded("demo", f"ROWS={value}") == ["demo", f"--rows={value}"]
    flow = ["flow", f"--flow={value}", f"--date={value}", f"--inputs={value}"]
    assert recorded("flow", f"FLOW={value}", f"DATE={value}", f"INPUTS={value}") == flow
    assert recorded("summary", f"DATE={value}") == ["summary", f"--date={value}"]
    assert recorded("local-logs", f"SERVICE={value}") == ["local-logs", f"--service={value}"]
    assert recorded("submit", f"JOB={value}", f"ARGS={value}") == ["submit", f"--job={value}", f"--args={value}"]
    assert not (settings.REPOSITORY / "pwned").exists()


@pytest.mark.parametrize("value", NASTY)
def test_so_does_what_the_environment_holds(recorded, value):
    assert recorded("run", DATE=value) == ["run", f"--date={value}"]
    assert not (settings.REPOSITORY / "pwned").exists()


@pytest.mark.parametrize("given", ["rows=5", "FORM=2026-01-01", "Date=2026-01-01"])
def test_a_variable_that_no_target_takes_is_refused(given: str):
    """make itself would say nothing, and the verb would run as if nothing had been asked for."""
    refused = subprocess.run(["make", "run", given], cwd=settings.REPOSITORY, capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"No target takes {given.partition('=')[0]}." in refused.stderr
