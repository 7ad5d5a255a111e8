"""What keeps the platform from coming up in Docker is said in a sentence, with what mends it, and nothing is begun."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drydock.compose import Compose
from drydock.second_home import free_ports, second_home
from drydock.settings import DOCKER, LOOPBACK
from tests.platform.platform_rig import Platform


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Where a platform could be."""
    monkeypatch.setenv("DRYDOCK_KESTRA", "engine")
    with second_home() as paths:
        yield Platform(paths, free_ports(), DOCKER)


@pytest.fixture
def info() -> dict[str, object]:
    """What this machine's Docker says of itself."""
    command = ["docker", "info", "--format", "{{json .}}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(told))


def refused(place: Platform, *, path: Path | None = None, **environment: str) -> str:
    """Try to bring the platform up: it is refused before anything is made. What was printed."""
    if path is not None:
        environment["PATH"] = f"{path}:{place.environment['PATH']}"
    up = place.start("local-up", **environment)
    assert up.end() == 1, up.text
    assert "Traceback" not in up.text
    assert Compose(place.paths, place.ports, "engine").containers() == {}
    return " ".join(up.text.split())


def saying(info: dict[str, object], folder: Path) -> Path:
    """A folder with a `docker` that says this of itself, and is otherwise this machine's."""
    (folder / "info.json").write_text(json.dumps(info))
    real = subprocess.run(["which", "docker"], capture_output=True, text=True, check=True).stdout.strip()
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\nif [ "$1" = info ]; then exec cat "{folder}/info.json"; fi\nexec "{real}" "$@"\n')
    program.chmod(0o755)
    return folder


def test_a_port_that_is_taken_is_named_with_what_it_is_for(place: Platform) -> None:
    with socket.create_server((LOOPBACK, place.ports.kestra)):
        said = refused(place)
    assert f"{place.ports.kestra}" in said
    assert "Kestra" in said
    assert "DRYDOCK_PORT_OFFSET" in said


def test_docker_that_does_not_run_is_told_and_how_it_is_started(place: Platform) -> None:
    said = refused(place, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "Its daemon does not answer: Cannot connect to the Docker daemon at unix:///nowhere/docker.sock." in said
    assert "`unset DOCKER_HOST`" in said


def test_too_little_memory_is_told_in_figures(place: Platform, info: dict[str, object], tmp_path: Path) -> None:
    said = refused(place, path=saying(info | {"MemTotal": 2_000_000_000}, tmp_path))
    assert "It has 2.0 GB; 6 GB are needed." in said


def test_a_compose_that_is_too_old_is_told_with_what_is_needed(
    place: Platform, info: dict[str, object], tmp_path: Path
) -> None:
    plugins = [{"Name": "compose", "Version": "v2.17.0"}, {"Name": "buildx", "Version": "v0.24.0"}]
    said = refused(place, path=saying(info | {"ClientInfo": {"Plugins": plugins}}, tmp_path))
    assert "The plug-in is v2.17.0; 2.24.4 or newer is needed." in said
    assert "`docker-compose-plugin`" in said
