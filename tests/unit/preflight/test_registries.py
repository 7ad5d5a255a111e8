"""Registries, faked by a server on loopback: which is asked, for what, and what is made of the answer."""

import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from drydock import settings
from drydock.preflight import registries
from drydock.preflight.docker import Docker
from drydock.preflight.finding import Finding, Once, Status
from drydock.toolchain import network, plan

EVERYTHING = plan.FOUNDATION + plan.STEPS
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME")


@pytest.fixture(autouse=True)
def nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = [name for proxy in PROXIES for name in (proxy, proxy.lower())]
    for name in (*INDEXES, *proxies, *network.AUTHORITIES, "DRYDOCK_MAVEN_REPOSITORY", "TF_CLI_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that were asked for; all of them are there."""
    urls: list[str] = []

    def ask(url: str) -> int:
        urls.append(url)
        return 200

    monkeypatch.setattr(registries, "_ask", ask)
    return urls


class Server(ThreadingHTTPServer):
    """Answers everything with `status`, and keeps what it was asked."""

    status = 200

    def __init__(self) -> None:
        self.requests: list[BaseHTTPRequestHandler] = []

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(handler) -> None:  # noqa: N805 - `self` is the server
                self.requests.append(handler)
                handler.send_response(self.status)
                handler.end_headers()

            def log_message(handler, *_) -> None:  # noqa: N805
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_) -> None:
        pass  # a client that does not trust us hangs up


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server, with TLS when a certificate is given."""
    servers: list[tuple[Server, threading.Thread]] = []

    def start(certificate: Path | None = None) -> Server:
        server = Server()
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_name("key.pem"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def todo(*names: str) -> Once[list[plan.Step]]:
    return Once(lambda: [step for step in EVERYTHING if step.name in names])


def jars_of(url: str, monkeypatch: pytest.MonkeyPatch, *names: str) -> Finding:
    monkeypatch.setenv("DRYDOCK_MAVEN_REPOSITORY", url)
    (finding,) = registries.maven(todo(*names))
    return finding


class TestAnswers:
    def test_a_registry_that_answers_is_ok_and_asked_for_something_that_set_up_needs(
        self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ):
        server = serve()
        url = f"http://127.0.0.1:{server.server_port}/maven"
        assert jars_of(f"{url}/", monkeypatch) == Finding("jars", Status.OK, f"`{url}/` answers")
        (request,) = server.requests
        assert request.path == "/maven/io/delta/delta-spark_2.12/3.3.2/delta-spark_2.12-3.3.2.jar"

    @pytest.mark.parametrize(("pending", "status"), [((), Status.WARNING), (("jars",), Status.FAILURE)])
    def test_one_that_is_not_there_is_as_bad_as_what_has_to_come_from_it(
        self, pending: tuple[str, ...], status: Status, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ):
        server = serve()
        server.shutdown()
        server.server_close()
        found = jars_of(f"http://127.0.0.1:{server.server_port}", monkeypatch, *pending)
        assert found.status is status
        assert "cannot be reached (Connection refused)." in found.found
        expected = "Set-up fetches from it: Spark's jars." if pending else "Nothing has to be fetched from it now."
        assert found.found.endswith(expected)
        assert "HTTPS_PROXY" in found.fix
        assert "DRYDOCK_MAVEN_REPOSITORY" in found.fix

    def test_one_that_does_not_have_it_is_no_such_registry(
        self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ):
        server = serve()
        server.status = 404
        found = jars_of(f"http://127.0.0.1:{server.server_port}", monkeypatch, "jars")
        assert found.status is Status.FAILURE
        assert "answers 404 to what set-up asks first" in found.found

    def test_one_that_wants_credentials_may_get_them_from_its_client(
        self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ):
        server = serve()
        server.status = 401
        found = jars_of(f"http://127.0.0.1:{server.server_port}", monkeypatch, "jars")
        assert found.status is Status.WARNING
        assert "it wants credentials" in found.found

    def test_a_password_in_the_url_is_used_and_not_shown(
        self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ):
        server = serve()
        found = jars_of(f"http://me:se%40cret@127.0.0.1:{server.server_port}", monkeypatch)
        assert found.found == f"`http://127.0.0.1:{server.server_port}` answers"
        assert server.requests[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:se@cret").decode()

    def test_one_that_never_answers_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch):
        def never(_: str) -> int:
            threading.Event().wait(60)
            return 200

        monkeypatch.setattr(registries, "SECONDS", 0.1)
        monkeypatch.setattr(registries, "_status", never)
        assert "did not answer within 0.1 s" in jars_of("http://registry.example", monkeypatch).found

    def test_a_url_that_is_none_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch):
        found = jars_of("http://registry.example:port", monkeypatch, "jars")
        assert found.status is Status.FAILURE
        assert "port" in found.found


class TestProxy:
    def test_it_is_asked_in_the_registry_s_place(self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch):
        proxy = serve()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        assert jars_of("http://registry.example", monkeypatch).status is Status.OK
        assert proxy.requests[0].path.startswith("http://registry.example/io/delta/")

    def test_one_that_does_not_answer_is_named_without_its_password(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
        found = jars_of("http://registry.example", monkeypatch, "jars")
        assert "`http://registry.example`, through the proxy `http://127.0.0.1:9`, cannot be reached" in found.found
        assert "secret" not in found.found + found.fix
        assert "Check the proxy that HTTPS_PROXY names" in found.fix

    def test_no_proxy_is_honoured(self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert jars_of(f"http://127.0.0.1:{serve().server_port}", monkeypatch).status is Status.OK


class TestTls:
    def test_an_authority_that_nobody_knows_is_told_from_a_dead_network(
        self, serve: Callable[..., Server], authority: Path, monkeypatch: pytest.MonkeyPatch
    ):
        found = jars_of(f"https://127.0.0.1:{serve(authority).server_port}", monkeypatch, "jars")
        assert found.status is Status.FAILURE
        assert "shows a certificate of an authority that no bundle at hand holds (self-signed" in found.found
        assert "`export SSL_CERT_FILE=/path/to/bundle.pem`" in found.fix
        assert "REQUESTS_CA_BUNDLE" in found.fix

    @pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
    def test_named_in_either_variable_it_is_trusted(
        self, name: str, serve: Callable[..., Server], authority: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv(name, str(authority))
        assert jars_of(f"https://127.0.0.1:{serve(authority).server_port}", monkeypatch).status is Status.OK

    def test_a_bundle_without_it_is_named(
        self, serve: Callable[..., Server], authority: Path, monkeypatch: pytest.MonkeyPatch
    ):
        other = registries._certifi()
        assert other is not None
        monkeypatch.setenv("SSL_CERT_FILE", other)
        found = jars_of(f"https://127.0.0.1:{serve(authority).server_port}", monkeypatch)
        assert f"`{other}` (SSL_CERT_FILE) does not hold" in found.found

    def test_a_bundle_that_is_not_there_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
        found = jars_of("https://127.0.0.1:9", monkeypatch, "jars")
        assert found.found == f"REQUESTS_CA_BUNDLE is `{tmp_path}/missing.pem`, which is not there."
        assert found.fix == "Mend it, or `unset REQUESTS_CA_BUNDLE`."


class TestPythonPackages:
    def looked(self, *names: str) -> list[Finding]:
        return list(registries.python_packages(todo(*names)))

    def test_the_clients_own_index_is_the_default(self, asked: list[str]):
        (found,) = self.looked()
        assert found.status is Status.OK
        (url,) = asked
        assert url.startswith("https://")
        assert url.endswith("/simple/uv/")

    @pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "PIP_INDEX_URL", "UV_INDEX_URL"])
    def test_a_variable_names_another(self, name: str, asked: list[str], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv(name, "https://mirror.example/simple/")
        assert [found.found for found in self.looked("workspace")] == ["`https://mirror.example/simple/` answers"]
        assert asked[0] == "https://mirror.example/simple/uv/"

    def test_uv_s_may_have_a_name(self, asked: list[str], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("UV_DEFAULT_INDEX", "company=https://mirror.example/simple")
        self.looked()
        assert asked == ["https://mirror.example/simple/uv/"]

    @pytest.mark.parametrize(
        "text",
        [
            'index-url = "https://mirror.example/simple"\n',
            '[[index]]\nurl = "https://extra.example"\n'
            '[[index]]\nurl = "https://mirror.example/simple"\ndefault = true\n',
            '[pip]\nindex-url = "https://mirror.example/simple"\n',
        ],
    )
    def test_so_may_uv_s_configuration(self, text: str, asked: list[str], tmp_path: Path):
        (tmp_path / ".config" / "uv").mkdir(parents=True)
        (tmp_path / ".config" / "uv" / "uv.toml").write_text(text)
        self.looked()
        assert asked == ["https://mirror.example/simple/uv/"]

    def test_pip_s_configuration_counts_for_uv_itself_alone(
        self, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """uv does not read it: a user who has named a mirror there only learns that the rest is fetched elsewhere."""
        (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        monkeypatch.setenv("UV_DEFAULT_INDEX", "https://another.example/simple")
        self.looked("workspace")
        assert asked == ["https://another.example/simple/uv/"]
        self.looked("uv", "workspace")
        assert asked[1:] == ["https://another.example/simple/uv/", "https://mirror.example/simple/uv/"]

    def test_a_folder_is_no_registry(self, asked: list[str], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("UV_DEFAULT_INDEX", "file:///srv/simple")
        assert self.looked()[0].found == "`file:///srv/simple`, which is not on the network"
        assert asked == []


class TestJars:
    def test_jgo_s_repository_is_the_default(self, asked: list[str]):
        (found,) = registries.maven(todo())
        assert found.status is Status.OK
        assert asked[0].startswith("https://")
        assert asked[0].endswith("/io/delta/delta-spark_2.12/3.3.2/delta-spark_2.12-3.3.2.jar")


class TestTerraform:
    @pytest.fixture
    def paths(self, tmp_path: Path, programs, monkeypatch: pytest.MonkeyPatch) -> settings.Paths:
        """A home, where Terraform is there and no mirror is."""
        programs(
            "terraform",
            """case "$*" in version*) echo '{"terraform_version": "1.11.4"}';;
            *providers) printf '\\nProviders required by configuration:\\n.\\n';
            echo '└── provider[registry.example/hashicorp/aws]';; esac""",
        )
        monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
        monkeypatch.setattr("drydock.terraform_mirror._usual_places", lambda: iter(()))
        monkeypatch.setattr("drydock.terraform_mirror.machine", lambda: "linux_amd64")
        return settings.Paths(tmp_path / "home")

    def provided(self, folder: Path) -> Path:
        (folder / "registry.example" / "hashicorp" / "aws" / "5.100.0" / "linux_amd64").mkdir(parents=True)
        (folder / "registry.example/hashicorp/aws/5.100.0/linux_amd64/terraform-provider-aws_v5.100.0_x5").touch()
        return folder

    def test_the_one_that_terraform_would_ask_is_asked(self, paths: settings.Paths, asked: list[str]):
        (found,) = registries.terraform(paths)
        assert (found.status, found.found) == (Status.OK, "`https://registry.example` answers")
        assert asked == ["https://registry.example/.well-known/terraform.json"]

    def test_with_a_mirror_none_is(
        self, paths: settings.Paths, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("TF_PLUGIN_DIR", str(self.provided(tmp_path / "mirror")))
        assert list(registries.terraform(paths)) == []
        assert asked == []

    @pytest.mark.parametrize(("is_cached", "status"), [(False, Status.FAILURE), (True, Status.WARNING)])
    def test_without_an_answer_it_matters_whether_the_provider_is_there(
        self, is_cached: bool, status: Status, paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
    ):
        def fails(_: str) -> int:
            raise TimeoutError

        monkeypatch.setattr(registries, "_ask", fails)
        if is_cached:
            self.provided(paths.cache / "terraform")
        (found,) = registries.terraform(paths)
        assert found.status is status
        assert "TF_PLUGIN_DIR" in found.fix

    def test_the_user_s_own_configuration_decides(self, paths: settings.Paths, asked: list[str], tmp_path: Path):
        configuration = tmp_path / ".terraformrc"
        configuration.write_text('provider_installation {\n  network_mirror { url = "https://mirror.example/" }\n}\n')
        (found,) = registries.terraform(paths)
        assert found.found == f"as `{configuration}` says; not looked at"
        assert asked == []


class TestImages:
    def docker(self, **info) -> Once[Docker]:
        return Once(lambda: Docker("docker", {"IndexServerAddress": "https://images.example/v1/", **info}))

    def looked(self, docker: Once[Docker], bad: Status) -> Finding:
        (finding,) = registries.images(docker, bad, "drydock-0a1b2c3d")
        return finding

    def test_any_answer_will_do(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(registries, "has_containers", lambda *_: False)
        monkeypatch.setattr(registries, "_ask", lambda url: {"https://images.example/v1/": 404}[url])
        assert self.looked(self.docker(), Status.FAILURE).status is Status.OK

    @pytest.mark.parametrize(
        ("bad", "has_containers", "status", "consequence"),
        [
            (Status.WARNING, False, Status.WARNING, "Only RUNTIME=docker needs it."),
            (Status.FAILURE, False, Status.FAILURE, "Images are to be fetched from it."),
            (Status.FAILURE, True, Status.WARNING, "Nothing has to be fetched from it now."),
        ],
    )
    def test_none_is_as_bad_as_what_has_to_come_from_it(
        self, bad: Status, has_containers: bool, status: Status, consequence: str, monkeypatch: pytest.MonkeyPatch
    ):
        def fails(_: str) -> int:
            raise ConnectionRefusedError(111, "Connection refused")

        monkeypatch.setattr(registries, "_ask", fails)
        monkeypatch.setattr(registries, "has_containers", lambda *_: has_containers)
        found = self.looked(self.docker(), bad)
        assert (found.status, found.found) == (
            status,
            f"`https://images.example/v1/` cannot be reached (Connection refused). {consequence}",
        )

    def test_without_docker_nothing_is_asked(self, asked: list[str]):
        assert list(registries.images(Once(lambda: Docker(None, {}, "it is not installed")), Status.FAILURE, "")) == []
        assert asked == []
