"""TLS that is signed by the network's own authority: named in one variable, it is trusted by all that fetches."""

import hashlib
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import jars, network, programs

JAR = b"a jar"


@pytest.fixture
def repository(tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Maven repository of one jar, over HTTPS; its URL. No authority is named to anybody."""
    jar = tmp_path / "repository" / "org" / "example" / "one" / "1.0" / "one-1.0.jar"
    jar.parent.mkdir(parents=True)
    jar.write_bytes(JAR)
    lock = jars.JarSet("some", tmp_path).lock
    lock.write_text(f"org.example:one:1.0 {hashlib.sha256(JAR).hexdigest()}\n")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "repository"))

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # a client that does not trust us hangs up

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.with_name("key.pem"))
    for name in network.AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jars, "BACKOFF_SECONDS", 0)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("DRYDOCK_MAVEN_REPOSITORY", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield url
        server.shutdown()
        thread.join()


def as_in_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in network.environment().items():
        monkeypatch.setenv(name, value)


def test_without_it_nothing_is_fetched(repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_in_set_up(monkeypatch)
    with pytest.raises(SetupError, match="could not be fetched"):
        jars.JarSet("some", tmp_path).fetch(settings.Paths(tmp_path / "home"), lambda _: None)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_jars_are_fetched(
    name: str, repository: str, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(authority))
    as_in_set_up(monkeypatch)
    paths = settings.Paths(tmp_path / "home")
    jars.JarSet("some", tmp_path).fetch(paths, lambda _: None)
    assert (paths.jar_cache / "one-1.0.jar").read_bytes() == JAR


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_program_that_set_up_runs_trusts_it(
    name: str, repository: str, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that knows OpenSSL's own variable alone, as uv and Terraform do."""
    fetching = f"import urllib.request; urllib.request.urlopen('{repository}/', timeout=10).close()"
    with pytest.raises(SetupError, match="CERTIFICATE_VERIFY_FAILED"):
        programs.run([sys.executable, "-c", fetching], "Fetching")
    monkeypatch.setenv(name, str(authority))
    programs.run([sys.executable, "-c", fetching], "Fetching")
