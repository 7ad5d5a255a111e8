"""The docker CLI, faked by a program, and what is made of it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drydock import secrets, settings
from drydock.compose import Compose, ComposeFailed
from drydock.settings import compose_project


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Paths:
    monkeypatch.delenv("COMPOSE_PROJECT_NAME", raising=False)
    return settings.Paths(tmp_path / "home")


@pytest.fixture
def compose(paths: settings.Paths) -> Compose:
    return Compose(paths, settings.Ports(0), "engine")


class TestProject:
    def test_each_install_has_its_own(self, paths: settings.Paths, tmp_path: Path) -> None:
        other = settings.Paths(tmp_path / "other")
        secrets.ensure(paths)
        secrets.ensure(other)
        assert compose_project(paths) == f"drydock-{paths.install_id.read_text().strip()}"
        assert compose_project(paths) != compose_project(other)

    def test_it_stays(self, paths: settings.Paths) -> None:
        secrets.ensure(paths)
        before = compose_project(paths)
        secrets.ensure(paths)
        assert compose_project(paths) == before

    def test_before_the_first_up_it_is_nobodys(self, paths: settings.Paths) -> None:
        assert compose_project(paths) == "drydock-new"

    def test_a_variable_names_another(self, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPOSE_PROJECT_NAME", "mine")
        assert compose_project(paths) == "mine"


class TestRun:
    def test_each_line_is_passed_on_and_all_are_returned(self, programs: Callable[..., None], compose: Compose) -> None:
        programs("docker", "echo one; echo two >&2")
        lines: list[str] = []
        assert compose.run("up", on_line=lines.append) == "one\ntwo"
        assert lines == ["one", "two"]

    def test_what_fails_is_told_by_its_last_line(self, programs: Callable[..., None], compose: Compose) -> None:
        programs("docker", "echo all is well; echo no space left; exit 17")
        with pytest.raises(ComposeFailed, match=r"^`docker compose up` failed: no space left$") as failure:
            compose.run("up")
        assert failure.value.output == "all is well\nno space left"

    def test_a_client_that_hangs_is_ended(self, programs: Callable[..., None], compose: Compose) -> None:
        programs("docker", "echo stopping; trap '' TERM; /bin/sleep 60; echo stopped")
        began = time.monotonic()
        with pytest.raises(ComposeFailed, match=r"`docker compose stop` has not ended within 0\.5 s"):
            compose.run("stop", within_seconds=0.5)
        assert time.monotonic() - began < 30


def test_secrets_reach_compose_by_its_environment_alone(paths: settings.Paths, compose: Compose) -> None:
    files = secrets.ensure(paths)
    told = compose.environment()
    assert told["DRYDOCK_SECRET_POSTGRES_PASSWORD"] == files.postgres_password.read_text().strip()
    assert json.loads(told["DRYDOCK_SECRET_OPERATOR_KEY"])["access_key_id"].startswith("LKIA")
    command = " ".join(compose.command("up"))
    assert [name for name, value in told.items() if name.startswith("DRYDOCK_SECRET_") and value in command] == []
