"""The workflow of `examples/ci`: what it runs is there, and what it keeps is what set-up makes. And its fixtures, where
there is no Drydock. (Where there is: tests/platform/test_ci_example.py.)"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from drydock import settings

JOB: dict[str, Any] = yaml.safe_load((settings.REPOSITORY / "examples" / "ci" / "workflow.yml").read_text())["jobs"][
    "tests"
]
STEPS: list[dict[str, Any]] = JOB["steps"]
OWN = yaml.safe_load((settings.REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["tests"]["steps"]


def position(of: str) -> int:
    (found,) = [number for number, step in enumerate(STEPS) if of in (step.get("run", ""), step.get("uses", ""))]
    return found


def test_the_home_is_kept_after_set_up_and_before_the_platform_runs() -> None:
    order = [
        "actions/cache/restore@v4",
        "make -C drydock setup",
        "actions/cache/save@v4",
        "make -C drydock local-up RUNTIME=process",
        "python -m pytest jobs/tests",
        "make -C drydock local-status",
    ]
    assert [position(step) for step in order] == sorted(position(step) for step in order)
    assert JOB["env"]["DRYDOCK_HOME"].endswith("/drydock-home")
    kept = {step["with"]["path"] for step in STEPS if "cache" in step.get("uses", "")}
    assert kept == {"drydock-home"}


def test_what_decides_the_key_is_there() -> None:
    (key,) = [step["with"]["key"] for step in STEPS if step.get("uses") == "actions/cache/restore@v4"]
    named = re.findall(r"'drydock/([^'*]+)(?:\*\*)?'", key)
    assert len(named) == 3
    assert [name for name in named if not (settings.REPOSITORY / name).exists()] == []


def test_the_tools_are_those_of_our_own_workflow() -> None:
    ours = {
        step["uses"]: step.get("with") for step in OWN if step.get("uses", "").startswith(("actions/setup", "hashi"))
    }
    theirs = {step["uses"]: step.get("with") for step in STEPS if step.get("uses") in ours}
    assert theirs == ours


def test_where_there_is_no_checkout_the_fixtures_say_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").symlink_to(settings.REPOSITORY / "examples" / "ci" / "conftest.py")
    (tmp_path / "test_it.py").write_text("def test_it(submit): pass")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=tmp_path,
        env={"PATH": os.defpath, "DRYDOCK": "no/such/folder"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "DRYDOCK is `no/such/folder`, which is no checkout of Drydock." in ended.stdout
    assert "Traceback" not in ended.stdout
