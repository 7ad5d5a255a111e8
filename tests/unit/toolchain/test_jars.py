"""Fetching jars, from a Maven repository on loopback: what arrives is what was locked, or nothing arrives."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import jars

ARTIFACTS = {"one": b"first jar", "two": b"second jar", "three": b"third jar"}


class Repository:
    """Files in Maven's layout, and what was asked of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.url = ""

    def file(self, artifact: str) -> Path:
        return self.folder / "org" / "example" / artifact / "1.0" / f"{artifact}-1.0.jar"


@pytest.fixture
def wanted(tmp_path: Path) -> jars.JarSet:
    """A set of jars of the test's own."""
    return jars.JarSet("some", tmp_path)


@pytest.fixture
def repository(tmp_path: Path, wanted: jars.JarSet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    served = Repository(tmp_path / "repository")
    lock = wanted.lock
    lines = ["# a comment"]
    for artifact, content in ARTIFACTS.items():
        served.file(artifact).parent.mkdir(parents=True)
        served.file(artifact).write_bytes(content)
        lines.append(f"org.example:{artifact}:1.0 {hashlib.sha256(content).hexdigest()}")
    lock.write_text("\n".join(lines) + "\n")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(served.folder))

        def do_GET(self):
            served.requests.append(Path(self.path).name)
            super().do_GET()

        def log_message(self, *_):
            pass  # the recorded requests are what counts

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(jars, "BACKOFF_SECONDS", 0)
        monkeypatch.setenv("DRYDOCK_MAVEN_REPOSITORY", f"{served.url}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(home=tmp_path / "home")


def cached(paths: settings.Paths) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in paths.jar_cache.glob("*") if not file.name.startswith(".")}


def test_every_locked_jar_arrives_and_is_counted(repository: Repository, wanted: jars.JarSet, paths: settings.Paths):
    news: list[str] = []
    wanted.fetch(paths, news.append)
    assert cached(paths) == {f"{name}-1.0.jar": content for name, content in ARTIFACTS.items()}
    assert news == ["1 of 3 jars", "2 of 3 jars", "3 of 3 jars"]
    assert wanted.stamp(paths).matches


def test_only_what_is_missing_or_damaged_is_fetched_again(
    repository: Repository, wanted: jars.JarSet, paths: settings.Paths
):
    wanted.fetch(paths, lambda _: None)
    repository.requests.clear()
    (paths.jar_cache / "one-1.0.jar").unlink()
    (paths.jar_cache / "two-1.0.jar").write_bytes(b"cut o")
    wanted.fetch(paths, lambda _: None)
    asked = {name for name in repository.requests if name.endswith(".jar")}
    assert asked == {"one-1.0.jar", "two-1.0.jar"}
    assert cached(paths)["two-1.0.jar"] == ARTIFACTS["two"]


def test_a_jar_that_is_not_what_was_locked_is_refused(
    repository: Repository, wanted: jars.JarSet, paths: settings.Paths
):
    repository.file("two").write_bytes(b"something else")
    with pytest.raises(SetupError, match=r"`org\.example:two:1\.0` is not what was locked"):
        wanted.fetch(paths, lambda _: None)
    assert "two-1.0.jar" not in cached(paths)
    assert not wanted.stamp(paths).matches


def test_a_jar_that_cannot_be_had_is_named_after_three_attempts(
    repository: Repository, wanted: jars.JarSet, paths: settings.Paths
):
    repository.file("three").unlink()
    with pytest.raises(SetupError, match=r"`org\.example:three:1\.0` could not be fetched, tried 3 times.*make setup"):
        wanted.fetch(paths, lambda _: None)
    assert repository.requests.count("three-1.0.jar") == 3
    assert not list(paths.jar_cache.glob(".downloads*"))


@pytest.mark.parametrize("line", ["org.example:one 1234", "org.example:one:1.0 1234", "org.example:one:1.0"])
def test_a_line_that_is_no_lock_is_named(wanted: jars.JarSet, line: str):
    wanted.lock.write_text(f"# made by hand\n{line}\n")
    with pytest.raises(SetupError, match="line 2: expected `group:artifact:version sha256`"):
        wanted.locked()
