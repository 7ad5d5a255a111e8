"""Each check against a server that answers as the service would, well and not."""

import http.server
import json
import threading

import pytest

from drydock import health, secrets, settings


class Server(http.server.ThreadingHTTPServer):
    """Answers `pages` (path → JSON or status) on loopback; a page may ask for a bearer token."""

    def __init__(self) -> None:
        self.pages: dict[str, object] = {}
        self.token: str | None = None
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        page = self.server.pages.get(self.path, 404)
        if self.path.startswith("/node/") and self.headers["Authorization"] != f"Bearer {self.server.token}":
            page = 401
        body = b"" if isinstance(page, int) else json.dumps(page).encode()
        self.send_response(page if isinstance(page, int) else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def paths(tmp_path, server):
    paths = settings.Paths(tmp_path)
    server.token = secrets.ensure(paths).node.read_text().strip()
    return paths


def report(**changes):
    return {"node": "node-1", "phase": "IDLE", "failure": None, "cluster_id": None, **changes}


def check_node(paths, server, expected_workers=2):
    health.node("node-1", server.server_port, expected_workers, paths, server.url)


@pytest.mark.parametrize("phase", ["IDLE", "BOOTSTRAPPING", "READY"])
def test_a_node_that_can_be_used_or_is_in_use_is_healthy(paths, server, phase):
    server.pages["/node/v1/nodes"] = [report(phase=phase)]
    server.pages["/json/"] = {"workers": [{"state": "ALIVE"}, {"state": "ALIVE"}, {"state": "DEAD"}]}
    check_node(paths, server)


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        ([], "it has not reported to the control plane yet"),
        ([report(node="node-2")], "it has not reported to the control plane yet"),
        ([report(phase="PREPARING")], "it is PREPARING: it wipes its scratch"),
        ([report(phase="FAILED", failure={"message": "port 7077 is taken"})], "it is FAILED: port 7077 is taken"),
        (503, "answered 503"),
    ],
)
def test_a_node_that_cannot_be_used_says_why(paths, server, reports, reason):
    server.pages["/node/v1/nodes"] = reports
    server.pages["/json/"] = {"workers": [{"state": "ALIVE"}] * 2}
    with pytest.raises(health.Unhealthy, match=reason):
        check_node(paths, server)


def test_a_master_waits_for_all_its_workers(paths, server):
    server.pages["/node/v1/nodes"] = [report()]
    server.pages["/json/"] = {"workers": [{"state": "ALIVE"}, {"state": "DEAD"}]}
    with pytest.raises(health.Unhealthy, match="1 of 2 Spark workers are ALIVE"):
        check_node(paths, server)


def test_a_cluster_of_fewer_nodes_is_no_fault_of_the_first(paths, server):
    server.pages["/node/v1/nodes"] = [report(phase="READY", cluster_id="j-1"), report(node="node-2")]
    server.pages["/json/"] = {"workers": [{"state": "ALIVE"}]}
    check_node(paths, server)


def test_a_worker_s_own_page_has_to_answer(paths, server):
    server.pages["/node/v1/nodes"] = [report()]
    with pytest.raises(health.Unhealthy, match="/json/ answered 404"):
        check_node(paths, server, expected_workers=None)
    server.pages["/json/"] = {}
    check_node(paths, server, expected_workers=None)


def test_the_control_plane_and_the_history_server(server):
    class Ports(settings.Ports):
        emr_url = history_server_url = server.url

    ports = Ports(offset=0)
    with pytest.raises(health.Unhealthy, match="answered 404"):
        health.emr(ports)
    server.pages["/health"] = {"status": "the database is read-only"}
    with pytest.raises(health.Unhealthy, match="the database is read-only"):
        health.emr(ports)
    server.pages["/health"] = {"status": "ok"}
    health.emr(ports)

    with pytest.raises(health.Unhealthy, match="answered 404"):
        health.history_server(ports)
    server.pages["/api/v1/applications?limit=1"] = []
    health.history_server(ports)


def test_a_gateway_that_listens_and_whose_s3_is_broken_is_not_healthy(paths, server):
    class Ports(settings.Ports):
        gateway_url = server.url

    with pytest.raises(health.Unhealthy, match=r"S3 does not answer as it should: .*404"):
        health.gateway(paths, Ports(offset=0))


def test_a_gateway_that_does_not_listen_is_not_healthy(paths):
    with pytest.raises(health.Unhealthy, match=r"nothing listens at http://127\.0\.0\.1:44566"):
        health.gateway(paths, settings.Ports(offset=40_000))


def test_proxies_are_not_for_loopback(server, monkeypatch):
    class Ports(settings.Ports):
        emr_url = server.url

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.pages["/health"] = {"status": "ok"}
    health.emr(Ports(offset=0))
