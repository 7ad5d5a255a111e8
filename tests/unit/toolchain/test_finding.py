"""What the machine brings: Java and Terraform are found, looked at, and refused with a sentence."""

import stat
import sys
from pathlib import Path

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import java, network, programs, terraform


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(home=tmp_path / "home")


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine; returns the folder on its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(java, "USUAL_FOLDERS", (str(tmp_path / "jvm" / "*"),))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install_java(home: Path, version: str, class_archive: bool = True) -> Path:
    """What is looked at of a Java: its program, its `release` file and its class archive."""
    program(home / "bin" / "java", "import pathlib, sys; pathlib.Path(sys.argv[0]).parents[1].joinpath("
            "'lib/server/classes.jsa').write_text(' '.join(sys.argv[1:]))")  # fmt: skip
    (home / "lib" / "server").mkdir(parents=True)
    (home / "release").write_text(f'IMPLEMENTOR="Somebody"\nJAVA_VERSION="{version}"\n')
    if class_archive:
        (home / "lib" / "server" / "classes.jsa").touch()
    return home


def program(file: Path, python: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!{sys.executable}\n{python}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.mark.usefixtures("nothing_installed")
class TestJava:
    def test_java_home_comes_first(self, paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        install_java(tmp_path / "jvm" / "another", "17.0.9")
        chosen = install_java(tmp_path / "chosen", "17.0.15")
        monkeypatch.setenv("JAVA_HOME", str(chosen))
        assert java.SPARK.provide(paths, lambda _: None) == f"17.0.15 in {chosen}"
        assert java.SPARK.home(paths) == chosen

    def test_one_of_another_version_is_passed_over(
        self, paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("JAVA_HOME", str(install_java(tmp_path / "given", "25.0.2")))
        usual = install_java(tmp_path / "jvm" / "usual", "17.0.15")
        java.SPARK.provide(paths, lambda _: None)
        assert java.SPARK.home(paths) == usual

    def test_one_on_the_path_is_followed_to_its_home(
        self, paths: settings.Paths, tmp_path: Path, nothing_installed: Path
    ):
        home = install_java(tmp_path / "somewhere", "17.0.15")
        (nothing_installed / "java").symlink_to(home / "bin" / "java")
        java.SPARK.provide(paths, lambda _: None)
        assert java.SPARK.home(paths) == home

    def test_one_without_a_class_archive_is_copied_and_given_one(self, paths: settings.Paths, tmp_path: Path):
        bare = install_java(tmp_path / "jvm" / "bare", "17.0.15", class_archive=False)
        java.SPARK.provide(paths, lambda _: None)
        own = java.SPARK.home(paths)
        assert own == paths.tools / "java"
        assert (own / "lib" / "server" / "classes.jsa").read_text() == "-Xshare:dump"
        assert not (bare / "lib" / "server" / "classes.jsa").exists()

    def test_another_java_in_its_place_is_noticed(self, paths: settings.Paths, tmp_path: Path):
        home = install_java(tmp_path / "jvm" / "usual", "17.0.14")
        java.SPARK.provide(paths, lambda _: None)
        assert java.SPARK.stamp(paths).matches
        (home / "release").write_text('JAVA_VERSION="17.0.15"\n')
        assert not java.SPARK.stamp(paths).matches

    def test_where_there_is_none_that_is_a_sentence(self, paths: settings.Paths):
        with pytest.raises(SetupError, match="Run `make setup`"):
            java.SPARK.home(paths)


@pytest.mark.full
@pytest.mark.usefixtures("nothing_installed")
def test_the_wheel_s_java_can_archive_classes(paths: settings.Paths, tmp_path: Path):
    """Needs the network. The runtime of the wheel as it is cannot: it has no archive of Java's own classes."""
    real = settings.Paths()
    paths.tools.mkdir(parents=True)
    (paths.tools / "uv").symlink_to(real.tools / "uv")
    (paths.home / "envs").symlink_to(real.home / "envs")
    java.SPARK.provide(paths, lambda _: None)
    run = [str(java.SPARK.home(paths) / "bin" / "java"), f"-XX:ArchiveClassesAtExit={tmp_path}/classes.jsa", "-version"]
    programs.run(run, "Archiving")
    assert (tmp_path / "classes.jsa").is_file()
    assert java.SPARK.home(paths) == paths.tools / "java"


def terraform_that_says(folder: Path, answer: str) -> None:
    program(folder / "terraform", f"print({answer!r})")


@pytest.mark.usefixtures("nothing_installed")
class TestTerraform:
    def test_the_minimum_is_enough(self, paths: settings.Paths, nothing_installed: Path):
        terraform_that_says(nothing_installed, f'{{"terraform_version": "{terraform.minimum()}"}}')
        assert terraform.check(paths, lambda _: None).startswith(terraform.minimum())
        assert terraform.stamp(paths).matches

    def test_an_older_one_is_refused_with_both_versions(self, paths: settings.Paths, nothing_installed: Path):
        terraform_that_says(nothing_installed, '{"terraform_version": "1.9.8"}')
        with pytest.raises(SetupError, match=rf"is Terraform 1\.9\.8; {terraform.minimum()} or newer is needed"):
            terraform.check(paths, lambda _: None)
        assert not terraform.stamp(paths).matches

    def test_none_is_a_sentence(self, paths: settings.Paths):
        with pytest.raises(SetupError, match="`terraform` is not on the PATH"):
            terraform.check(paths, lambda _: None)

    def test_one_that_does_not_work_says_why(self, paths: settings.Paths, nothing_installed: Path):
        terraform_that_says(nothing_installed, "Exec format error")
        with pytest.raises(SetupError, match="does not work: Exec format error"):
            terraform.check(paths, lambda _: None)

    def test_a_configuration_that_is_not_there_is_not_passed_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "missing"))
        assert "TF_CLI_CONFIG_FILE" not in terraform.environment()
        (tmp_path / "missing").touch()
        assert terraform.environment()["TF_CLI_CONFIG_FILE"] == str(tmp_path / "missing")


def test_authorities_given_once_are_told_to_every_program():
    told = network.environment({"SSL_CERT_FILE": "/ours.pem", "PIP_CERT": "/pip.pem"})
    assert told == {
        "SSL_CERT_FILE": "/ours.pem",
        "REQUESTS_CA_BUNDLE": "/ours.pem",
        "CURL_CA_BUNDLE": "/ours.pem",
        "PIP_CERT": "/pip.pem",
    }


def test_pip_s_index_is_uv_s_unless_uv_has_its_own():
    index, other = "https://mirror.example/simple", "https://other.example/simple"
    assert network.environment({"PIP_INDEX_URL": index})["UV_DEFAULT_INDEX"] == index
    given = {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": other}
    assert network.environment(given) == given


def test_a_program_that_fails_is_shown(tmp_path: Path):
    program(tmp_path / "program", "import sys; print('said on stdout'); sys.exit('and why on stderr')")
    with pytest.raises(
        SetupError, match=r"(?s)^Making it failed \(exit code 1\):\n.*and why on stderr.*\nTry again\.$"
    ):
        programs.run([str(tmp_path / "program")], "Making it", advice="Try again.")
