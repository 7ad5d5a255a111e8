"""Which checks there are for whom, and what `local-up` makes of the quick ones."""

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from drydock import local_up, preflight, settings
from drydock.errors import SetupError, UsageError
from drydock.preflight import docker
from drydock.preflight.finding import Check, Status


def subjects(checks: list[Check]) -> list[str]:
    return [check.subject for check in checks]


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(tmp_path / "home")


@pytest.fixture
def furnished(paths: settings.Paths, programs) -> settings.Paths:
    """A home in which all is there that the services are."""
    for name in (
        "envs/gateway/bin/python",
        "envs/workspace/bin/drydock-emr",
        "envs/workspace/bin/drydock-node",
        "spark/bin/spark-class",
    ):
        (paths.home / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.home / name).touch()
    programs("terraform", """echo '{"terraform_version": "1.11.4"}'""")
    return paths


def test_before_set_up_all_is_looked_at_that_needs_no_packages(paths: settings.Paths):
    without = subjects(preflight.before_set_up(paths, "", {}))
    assert [it for it in subjects(preflight.everything(paths, "", {})) if it not in without] == [
        "memory",
        "ports",
        "processes",
    ]


def test_groups_are_shown_in_one_order(paths: settings.Paths):
    groups = list(dict.fromkeys(check.group for check in preflight.everything(paths, "", {})))
    assert groups == ["Machine", "Docker", "Ports", "Network", "Earlier runs", "AWS"]


def test_docker_is_not_looked_at_where_processes_were_asked_for(paths: settings.Paths):
    both, alone = subjects(preflight.everything(paths, "", {})), subjects(preflight.everything(paths, "process", {}))
    assert sorted(set(both) - set(alone)) == ["Docker", "containers", "images"]


@pytest.mark.parametrize(("runtime", "severity"), [("", Status.WARNING), ("docker", Status.FAILURE)])
def test_docker_is_as_bad_as_it_was_asked_for(runtime: str, severity: Status, paths: settings.Paths):
    (check,) = [it for it in preflight.everything(paths, runtime, {}) if it.subject == "Docker"]
    assert check.severity is severity


def test_a_runtime_that_there_is_not_is_refused():
    assert [preflight.known_runtime(text) for text in ("", "docker", "process")] == ["", "docker", "process"]
    with pytest.raises(UsageError, match="RUNTIME is `podman`, expected `docker` or `process`"):
        preflight.known_runtime("podman")


def test_the_readme_says_what_memory_is_needed():
    readme = " ".join((settings.REPOSITORY / "README.md").read_text().split())
    assert f"{settings.UP_MEMORY_MEGABYTES / 1000:.0f} GB of free memory" in readme


class TestQuick:
    def test_it_takes_no_time_and_asks_nobody(self, furnished: settings.Paths, monkeypatch: pytest.MonkeyPatch):
        def asked(*_: object) -> None:
            pytest.fail("somebody was asked")

        monkeypatch.setattr(docker, "ask", asked)
        monkeypatch.setattr("urllib.request.OpenerDirector.open", asked)
        preflight.quick(furnished, "process")  # what is imported is, from now on
        began = time.thread_time() + time.process_time()
        findings = preflight.quick(furnished, "process")
        # Of the processor's time: a busy machine must not decide.
        assert time.thread_time() + time.process_time() - began < 0.6
        assert [each.subject for each in findings if each.status is Status.FAILURE] == []

    def test_with_docker_it_asks_docker(self, furnished: settings.Paths):
        failures = [each for each in preflight.quick(furnished, "docker") if each.status is Status.FAILURE]
        assert [each.found for each in failures] == ["It is not installed."]


class TestLocalUp:
    @pytest.fixture(autouse=True)
    def no_offset(self, furnished: settings.Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DRYDOCK_HOME", str(furnished.home))
        monkeypatch.delenv("DRYDOCK_SCHEDULES", raising=False)

    def preflight(self, paths: settings.Paths) -> None:
        local_up._preflight(paths, settings.Ports(0), settings.PROCESS)

    def test_goes_on_where_all_is_there(self, furnished: settings.Paths, capsys: pytest.CaptureFixture[str]):
        self.preflight(furnished)
        assert capsys.readouterr().out == ""

    def test_refuses_a_full_disk(self, furnished: settings.Paths, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2_900_000_000))
        with pytest.raises(SetupError) as raised:
            self.preflight(furnished)
        assert str(raised.value) == (
            f"`{furnished.home}` has 2.90 GB left; 3.00 GB are needed. "
            "Make room, or set DRYDOCK_HOME to a folder on another disk."
        )

    def test_names_all_that_is_missing_at_once(self, furnished: settings.Paths, tmp_path: Path):
        program = furnished.environment("workspace") / "bin" / "drydock-node"
        program.unlink()
        (tmp_path / "bin" / "terraform").unlink()
        with pytest.raises(SetupError) as raised:
            self.preflight(furnished)
        assert f"`{program}` is not there. Run `make setup`." in str(raised.value)
        assert "`terraform` is not on the PATH; version 1.10.0 or newer is needed. See " in str(raised.value)

    def test_warns_of_little_memory_and_goes_on(
        self, furnished: settings.Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2_000_000_000))
        self.preflight(furnished)
        assert capsys.readouterr().err.startswith("! 2.0 GB free; 6 GB are needed")
