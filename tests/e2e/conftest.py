"""One platform in Docker Compose for the session: the project's own command starts it, testcontainers looks into it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

from drydock.compose import FOLDER, KESTRAS, Compose
from drydock.second_home import free_ports, second_home
from drydock.settings import DOCKER
from tests.platform.platform_rig import Platform

DAY = date(2026, 3, 7)
ROWS = 5000
REQUIRED = "DRYDOCK_E2E_REQUIRED"
# Kestra's own image where it is to be had (as in the project's own CI), else its engine.
KESTRA = os.environ.get("DRYDOCK_KESTRA") or "engine"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Docker nothing of this can be tried; CI must not take that for a success."""
    reason = _why_not()
    if reason and os.environ.get(REQUIRED) == "1":
        pytest.exit(f"{REQUIRED}=1, and {reason}", returncode=1)
    if reason:
        for item in items:
            if Path(__file__).parent in item.path.parents:  # the hook is given all that pytest has collected
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_report_header() -> str:
    if KESTRA == "image":
        return "Kestra: its own image, user interface and Postgres backend"
    return "Kestra: its engine, headless. NOT PROVED here: Kestra's image, its user interface, its Postgres backend"


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """A platform that is up."""
    with pytest.MonkeyPatch.context() as variables, second_home() as paths:
        variables.setenv("DRYDOCK_KESTRA", KESTRA)
        variables.setenv("DRYDOCK_SCHEDULES", "off")
        variables.setenv("DRYDOCK_SCRATCH_BYTES", str(1 << 30))  # which one of the faults fills
        platform = Platform(paths, free_ports(), DOCKER)
        try:
            up = platform.drydock("local-up")
            assert up.returncode == 0, up.stdout
            yield platform
        finally:
            platform.drydock("local-reset", "--confirm=yes")


@pytest.fixture(scope="session")
def day(platform: Platform) -> date:
    """A day that has run."""
    run = platform.drydock("run", f"--date={DAY}", f"--rows={ROWS}")
    assert run.returncode == 0, run.stdout
    return DAY


@pytest.fixture(scope="session")
def containers(platform: Platform) -> Iterator[DockerCompose]:
    """The project as testcontainers sees it; it neither starts nor ends anything."""
    compose = Compose(platform.paths, platform.ports, KESTRA)
    with pytest.MonkeyPatch.context() as variables:
        for name, value in {**compose.environment(), "COMPOSE_PROJECT_NAME": compose.project}.items():
            variables.setenv(name, value)
        files = ["compose.yaml", *(file.name for file in KESTRAS[KESTRA])]
        yield DockerCompose(FOLDER, compose_file_name=files)


def _why_not() -> str:
    if shutil.which("docker") is None:
        return "there is no docker on this machine"
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False, timeout=30)
    if asked.returncode != 0:
        return f"Docker does not answer: {(asked.stderr or asked.stdout).strip().splitlines()[-1]}"
    return ""
