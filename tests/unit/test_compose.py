"""The docker CLI, faked by a program, and what is made of it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drydock import secrets, settings
from drydock.compose import MIRRORS, Compose, ComposeFailed, Container
from drydock.errors import SetupError, UsageError
from drydock.settings import compose_project


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Paths:
    for name in ("DRYDOCK_NODES", "EXTRA_CA_FILE", *MIRRORS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "running_platform", dict)
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

    def test_that_of_another_stack_of_the_user_s_is_not_ours(
        self, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPOSE_PROJECT_NAME", "shop")
        assert compose_project(paths) == "drydock-new"


class TestRun:
    def test_each_line_is_passed_on_and_all_are_returned(self, programs: Callable[..., None], compose: Compose) -> None:
        programs("docker", r"printf '\033[2Kone\n'; echo two >&2")
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


class TestContainers:
    def test_one_that_is_removed_between_two_questions_is_none(
        self, programs: Callable[..., None], compose: Compose, tmp_path: Path
    ) -> None:
        gone = tmp_path / "gone"
        inspects = f": > {gone}; echo No such object >&2; exit 1"
        programs("docker", f'case "$1" in ps) [ -e {gone} ] || echo 0a1b;; inspect) {inspects};; esac')
        assert compose.containers() == {}

    def test_a_docker_that_does_not_answer_is_a_sentence(self, programs: Callable[..., None], compose: Compose) -> None:
        programs("docker", "echo Cannot connect >&2; exit 1")
        with pytest.raises(SetupError, match="Docker does not answer `ps`: Cannot connect"):
            compose.containers()

    def test_what_docker_could_not_measure_is_nothing(self, programs: Callable[..., None], compose: Compose) -> None:
        shown = [
            {"ID": "0a", "MemUsage": "1.5GiB / 4GiB"},
            {"ID": "", "MemUsage": "-- / --"},
            {"ID": "0b", "MemUsage": "--"},
        ]
        programs("docker", "\n".join(f"echo '{json.dumps(each)}'" for each in shown))
        running = [container(name, id_) for name, id_ in (("emr", "0a"), ("kestra", "0b"), ("gateway", "0c"))]
        assert compose.memory_bytes(running) == {"emr": 3 << 29, "kestra": 0}


class TestMoreNodes:
    def test_each_is_a_service_like_a_worker(self, compose: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
        assert len([word for word in compose.command("up") if word == "--file"]) == 2
        monkeypatch.setenv("DRYDOCK_NODES", "5")
        assert compose.services[3:8] == ("spark-master", *(f"spark-worker-{index}" for index in range(1, 5)))
        command = compose.command("up")
        file = Path(command[command.index("up") - 1])
        assert 'NODE_NAME: node-4, NODE_HOST: spark-worker-3, NODE_UI_PORT: "8093"' in file.read_text()
        assert 'ports: !override ["127.0.0.1:8094:8094"]' in file.read_text()


class TestBuilds:
    def test_mirrors_go_as_a_secret(self, compose: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", "https://me:se%40cret@mirror.example/simple")
        assert compose.environment()["DRYDOCK_SECRET_MIRRORS"] == (
            "PIP_INDEX_URL=https://me:se%40cret@mirror.example/simple"
        )
        assert "PIP_INDEX_URL" not in compose.environment()

    def test_an_authority_is_named_from_where_the_caller_is(
        self, compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("EXTRA_CA_FILE", "ca.pem")
        with pytest.raises(UsageError, match=r"EXTRA_CA_FILE is `ca\.pem`, which is no file"):
            compose.environment()
        (tmp_path / "ca.pem").touch()
        assert compose.environment()["EXTRA_CA_FILE"] == str(tmp_path / "ca.pem")


def container(service: str, id_: str) -> Container:
    return Container(service, id_, "running", "healthy", 1.0, 0, 0)


def test_secrets_reach_compose_by_its_environment_alone(paths: settings.Paths, compose: Compose) -> None:
    files = secrets.ensure(paths)
    told = compose.environment()
    assert told["DRYDOCK_SECRET_POSTGRES_PASSWORD"] == files.postgres_password.read_text().strip()
    assert json.loads(told["DRYDOCK_SECRET_OPERATOR_KEY"])["access_key_id"].startswith("LKIA")
    command = " ".join(compose.command("up"))
    secret = [name for name, value in told.items() if name.startswith("DRYDOCK_SECRET_") and value]
    assert len(secret) == 10
    assert [name for name in secret if told[name] in command] == []
