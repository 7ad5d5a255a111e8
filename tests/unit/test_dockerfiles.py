"""What images are made of is what `make setup` makes, and their settings are those of local processes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drydock import services, settings

COMPOSE = settings.REPOSITORY / "compose"
MADE_BY_SET_UP = ("emr", "engine", "gateway", "spark")
# Of the gateway's settings: what lies elsewhere in a container, what compose.yaml tells, what an image has not to know.
ELSEWHERE = {
    "PATH", "HOME", "LANG", "GATEWAY_LISTEN", "FILESYSTEM_ROOT", "TEMP", "XDG_CACHE_HOME", "CONFIG_DIR",
    "DRYDOCK_INSTALL",
    "DRYDOCK_OPERATOR_KEY_FILE", "DRYDOCK_GATEWAY_SECRET_FILE", "DRYDOCK_GATEWAY_STORE", "DRYDOCK_EMR_URL",
    "DRYDOCK_ORCHESTRATOR_ROLE", "DRYDOCK_ORCHESTRATOR_TOKEN_FILE",
}  # fmt: skip


def copied(image: str) -> list[str]:
    """What set-up in the image is given of the repository, by the COPY lines before its RUN."""
    dockerfile = (COMPOSE / image / "Dockerfile").read_text().replace("\\\n", " ")
    made = dockerfile[dockerfile.index("WORKDIR /usr/src/drydock") : dockerfile.index("scripts/prepare.py --part")]
    lines = [line.split()[1:-1] for line in made.splitlines() if line.startswith("COPY")]
    return [name for line in lines for name in line if not name.startswith(("compose/", "kestra/"))]


def test_each_is_given_the_same() -> None:
    assert len({tuple(copied(image)) for image in MADE_BY_SET_UP}) == 1


def test_what_they_are_given_is_all_that_set_up_needs(tmp_path: Path) -> None:
    for name in copied("gateway"):
        source, target = settings.REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    program = "import prepare, drydock.cli, drydock.setup; from drydock import settings; print(settings.REPOSITORY)"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path / "scripts"), "PYTHONDONTWRITEBYTECODE": "1", "DRYDOCK_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip() == str(tmp_path)


def test_localstack_has_the_settings_that_it_has_as_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = services.gateway(settings.Paths(tmp_path), settings.Ports(0)).environment
    block = (COMPOSE / "gateway" / "Dockerfile").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (PYTHONUNBUFFERED.*)$", block, re.MULTILINE)
    in_image = dict(pair.split("=", 1) for pair in line.split())
    expected = {name: value for name, value in environment.items() if name not in ELSEWHERE and "CA_" not in name}
    expected = {name: value for name, value in expected.items() if not name.startswith(("SSL_", "PIP_"))}
    assert {name: value for name, value in in_image.items() if name not in ELSEWHERE} == expected
