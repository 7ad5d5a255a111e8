"""What a newcomer does first: clone, and `make demo`, with nothing prepared."""

import os
import subprocess
from pathlib import Path

import pytest

from drydock import processes, settings
from drydock.test import NOT_INHERITED

pytestmark = pytest.mark.full

PORT_OFFSET = 14_400  # below the ports that the kernel gives to who connects, above those of second homes
SECONDS = 1800
# What this run of the tests has set for itself, and what is never let into one.
OWN = ("DRYDOCK_", "JAVA_HOME", "PYSPARK_", "VIRTUAL_ENV", *NOT_INHERITED)


def test_make_demo_is_all_it_takes(tmp_path: Path) -> None:
    clone = tmp_path / "drydock"
    subprocess.run(["git", "clone", "--quiet", str(settings.REPOSITORY), str(clone)], check=True)
    made = str(settings.home())
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(OWN)},
        "PATH": os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if made not in folder),
        "DRYDOCK_PORT_OFFSET": str(PORT_OFFSET),
        "DRYDOCK_SCHEDULES": "off",
        **{name: os.environ[name] for name in ("AWS_CA_BUNDLE",) if name in os.environ},
    }

    def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", *arguments],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    demo = make("demo", "ROWS=1000")
    down = make("local-down")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Demo done" in demo.stdout
    assert down.returncode == 0, down.stdout + down.stderr
    assert processes.running(settings.Paths(clone / ".drydock")) == {}
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout
    assert changed == "", "all that is made lies in DRYDOCK_HOME"
