"""The machine: its system, its programs, and the folder that everything is put into."""

import os
import platform
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.preflight import machine
from drydock.preflight.finding import Finding, Status
from drydock.toolchain import java, plan, terraform


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(home=tmp_path / "home")


def only(findings) -> Finding:
    (finding,) = findings
    return finding


class TestSystem:
    @pytest.fixture(autouse=True)
    def tested(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(platform, "release", lambda: "6.1.0-28-amd64")
        monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"PRETTY_NAME": "Debian GNU/Linux 12"})
        monkeypatch.setattr(os, "confstr", lambda _: "glibc 2.36")

    def test_what_is_tested_is_ok(self):
        found = only(machine.system())
        assert (found.status, found.found) == (Status.OK, "Linux x86_64, Debian GNU/Linux 12")

    def test_arm_is_a_warning(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
        found = only(machine.system())
        assert found.status is Status.WARNING
        assert "Linux x86_64 is what is tested; aarch64 may work" in found.found

    def test_a_mac_is_a_warning(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(platform, "system", lambda: "Darwin")
        monkeypatch.setattr(platform, "machine", lambda: "arm64")
        found = only(machine.system())
        assert found.status is Status.WARNING
        assert found.found.startswith("Darwin arm64. Linux x86_64 is what is tested; macOS and arm64 may work")

    def test_windows_below_it_is_a_warning(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(platform, "release", lambda: "5.15.167.4-microsoft-standard-WSL2")
        found = only(machine.system())
        assert found.status is Status.WARNING
        assert "WSL may work" in found.found

    def test_another_c_library_is_a_warning(self, monkeypatch: pytest.MonkeyPatch):
        def unknown(_: str) -> str:
            raise ValueError("unrecognized configuration name")

        monkeypatch.setattr(os, "confstr", unknown)
        assert "not glibc may work" in only(machine.system()).found


class TestPython:
    def test_the_one_that_runs_this_is_ok(self):
        found = only(machine.python())
        assert found.status is Status.OK
        assert f"`{sys.executable}`" in found.found

    def test_another_is_a_failure_with_both_versions(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(platform, "python_version", lambda: "3.12.3")
        found = only(machine.python())
        assert found.status is Status.FAILURE
        assert found.found.startswith("3.12.3 in ")
        assert "3.11 is needed" in found.found
        assert "make PYTHON=" in found.fix

    def test_one_that_can_install_nothing_is_a_failure(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        found = only(machine.python())
        assert found.status is Status.FAILURE
        assert "neither pip nor a working venv" in found.found
        assert "apt install python3-venv" in found.fix


class TestMake:
    def test_gnu_s_is_ok(self, programs):
        file = programs("make", "echo 'GNU Make 4.3'; echo 'Built for x86_64-pc-linux-gnu'")
        assert only(machine.make()) == Finding("make", Status.OK, f"GNU Make 4.3 in `{file}`")

    def test_another_is_a_failure(self, programs):
        programs("make", "echo 'usage: make [-BeikNnqrSstWwX]' >&2; exit 2")
        found = only(machine.make())
        assert found.status is Status.FAILURE
        assert "says that it is `usage: make [-BeikNnqrSstWwX]`; GNU Make is needed" in found.found

    @pytest.mark.usefixtures("programs")
    def test_none_is_a_failure(self):
        assert only(machine.make()).found == "It is not on the PATH."


class TestTerraform:
    def test_a_new_one_is_ok(self, programs):
        file = programs("terraform", """echo '{"terraform_version": "1.11.4"}'""")
        assert only(machine.terraform()) == Finding("Terraform", Status.OK, f"1.11.4 in {file}")

    def test_an_old_one_is_a_failure_with_both_versions(self, programs):
        file = programs("terraform", """echo '{"terraform_version": "1.9.8"}'""")
        found = only(machine.terraform())
        assert found.status is Status.FAILURE
        assert found.found == f"`{file}` is Terraform 1.9.8; 1.10.0 or newer is needed."
        assert found.fix == terraform.WHERE

    @pytest.mark.usefixtures("programs")
    def test_none_is_a_failure(self):
        found = only(machine.terraform())
        assert (found.status, found.found) == (
            Status.FAILURE,
            "`terraform` is not on the PATH; version 1.10.0 or newer is needed.",
        )

    def test_one_that_set_up_has_looked_at_is_not_run_again(self, programs, paths: settings.Paths, tmp_path: Path):
        ran = tmp_path / "ran"
        programs("terraform", f'echo run >> {ran}\necho \'{{"terraform_version": "1.11.4"}}\'')
        assert only(machine.terraform_noted(paths)).status is Status.OK
        terraform.check(paths, lambda _: None)
        assert only(machine.terraform_noted(paths)).status is Status.OK
        assert ran.read_text() == "run\n" * 2

    def test_nothing_is_written_by_looking(self, programs, paths: settings.Paths):
        programs("terraform", """echo '{"terraform_version": "1.11.4"}'""")
        list(machine.terraform())
        assert not paths.home.exists()


class TestProvider:
    @pytest.fixture(autouse=True)
    def nowhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
        monkeypatch.setattr("drydock.terraform_mirror._usual_places", lambda: iter(()))
        monkeypatch.setattr("drydock.terraform_mirror.machine", lambda: "linux_amd64")

    def provided(self, folder: Path) -> Path:
        place = folder / "registry.example" / "hashicorp" / "aws" / "5.100.0" / "linux_amd64"
        place.mkdir(parents=True)
        (place / "terraform-provider-aws_v5.100.0_x5").touch()
        return folder

    def test_a_mirror_is_named(self, paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        mirror = self.provided(tmp_path / "mirror")
        monkeypatch.setenv("TF_PLUGIN_DIR", str(mirror))
        assert only(machine.provider(paths)).found == f"5.100.0 in the mirror `{mirror}`"

    def test_so_is_what_was_fetched_before(self, paths: settings.Paths):
        self.provided(paths.cache / "terraform")
        assert only(machine.provider(paths)).found.startswith("5.100.0 fetched before, in ")

    def test_else_it_comes_from_the_registry(self, paths: settings.Paths):
        assert "the first `make local-up` fetches it from Terraform's registry" in only(machine.provider(paths)).found

    def test_a_mirror_without_it_is_refused(
        self, paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path))
        with pytest.raises(SetupError) as raised:
            list(machine.provider(paths))
        assert (
            raised.value.problem == f"TF_PLUGIN_DIR is `{tmp_path}`, which has no AWS provider 5.100.0 for linux_amd64."
        )
        assert raised.value.fix.startswith("Put it there")


class TestJava:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(java, "USUAL_FOLDERS", (str(tmp_path / "jvm" / "*"),))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path / "jvm"

    def install(self, home: Path, version: str) -> Path:
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").touch()
        (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
        return home

    def test_the_machine_s_is_named(self, paths: settings.Paths, folder: Path):
        home = self.install(folder / "ours", "17.0.15")
        assert only(machine.java_for(java.SPARK, paths)) == Finding("Java 17", Status.OK, f"17.0.15 in `{home}`")

    def test_the_one_that_set_up_has_settled_on_comes_first(self, paths: settings.Paths, folder: Path):
        self.install(folder / "another", "25.0.3")
        own = self.install(paths.tools / "engine-java", "25.0.2")
        (paths.tools / "engine-java-home").write_text(str(own))
        assert only(machine.java_for(java.ENGINE, paths)).found == f"25.0.2 in `{own}`"

    def test_none_is_fetched(self, paths: settings.Paths):
        found = only(machine.java_for(java.SPARK, paths))
        assert (found.status, found.found) == (Status.OK, "none on this machine: `make setup` fetches one")


@pytest.mark.parametrize(("count", "status"), [(1, Status.WARNING), (2, Status.OK), (16, Status.OK)])
def test_processors(count: int, status: Status, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)), raising=False)
    found = only(machine.processors())
    assert found.status is status
    assert found.found.startswith(str(count))


class TestHome:
    def test_one_that_is_not_there_yet_is_ok_and_not_made(self, paths: settings.Paths):
        assert only(machine.home(paths)).found == f"`{paths.home}`, which is not there yet"
        assert not paths.home.exists()

    def test_a_space_is_a_failure(self, tmp_path: Path):
        found = only(machine.home(settings.Paths(tmp_path / "my home")))
        assert found.status is Status.FAILURE
        assert "has a space in it" in found.found

    def test_a_file_in_its_place_is_a_failure(self, tmp_path: Path):
        (tmp_path / "file").touch()
        for home in (tmp_path / "file", tmp_path / "file" / "home"):
            found = only(machine.home(settings.Paths(home)))
            assert (found.status, found.found) == (
                Status.FAILURE,
                f"`{home}` cannot be made: `{tmp_path / 'file'}` is no folder.",
            )

    def test_one_that_may_not_be_written_to_is_a_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may be root, who may all
        assert only(machine.home(settings.Paths(tmp_path))).found == f"`{tmp_path}` is not writable."
        found = only(machine.home(settings.Paths(tmp_path / "home")))
        assert found.found == f"`{tmp_path / 'home'}` cannot be made: `{tmp_path}` is not writable."
        assert found.status is Status.FAILURE

    def test_what_another_user_has_made_there_is_named(self, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch):
        (paths.home / "envs").mkdir(parents=True)
        (paths.home / "lost+found").mkdir()
        monkeypatch.setattr(os, "getuid", lambda: paths.home.stat().st_uid + 1)
        found = only(machine.home(paths))
        assert found.status is Status.WARNING
        assert found.found.startswith(f"Another user owns `{paths.home}`, `{paths.home / 'envs'}`: ")
        assert f'sudo chown -R "$USER" {paths.home}' in found.fix

    def test_and_is_a_failure_where_it_is_closed(self, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch):
        (paths.home / "envs").mkdir(parents=True)
        monkeypatch.setattr(os, "getuid", lambda: paths.home.stat().st_uid + 1)
        monkeypatch.setattr(os, "access", lambda path, _: path != paths.home / "envs")
        found = only(machine.home(paths))
        assert found.status is Status.FAILURE
        assert found.found.startswith(f"Another user owns `{paths.home / 'envs'}`: ")


@pytest.mark.parametrize(("gigabytes", "status"), [(2.9, Status.FAILURE), (3.1, Status.OK)])
def test_room_on_the_disk(gigabytes: float, status: Status, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(gigabytes * 1e9)))
    found = only(machine.disk(paths, 3000))
    assert found.status is status
    assert f"has {gigabytes}0 GB left; 3.00 GB are needed" in found.found


def test_what_set_up_has_to_do_is_named_shortly():
    assert only(machine.set_up([])).status is Status.OK
    found = only(machine.set_up(plan.FOUNDATION + plan.STEPS[:4]))
    assert found.status is Status.WARNING
    assert found.found == "To be fetched or made: uv, Workspace, Terraform, Java and 2 more."


def test_a_program_of_the_platform_that_is_missing_is_named(paths: settings.Paths):
    missing = [finding.found for finding in machine.programs(paths)]
    assert missing[0] == f"`{paths.home}/envs/gateway/bin/python` is not there."
    assert len(missing) == 4
