"""Flows from files, as a Kestra that runs is told of them. (For real: tests/engine and tests/platform.)"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from drydock import flow_files, settings
from drydock.errors import DrydockError
from drydock.kestra import Kestra

FLOW = """# A comment.
id: "monthly"   # and another
namespace: 'acme.data'
triggers:
  - id: daily
    type: io.kestra.plugin.core.trigger.Schedule
  - type: "io.kestra.plugin.core.trigger.Schedule"
    id: hourly
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
"""


class Server:
    """Kestra's API, as far as flows go."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.refuses = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, source = request.url.path.removeprefix("/api/v1/main/flows"), request.content.decode()
        if path == "/validate":
            told = {"constraints": "it has no tasks"} if self.refuses and self.refuses in source else {}
            return httpx.Response(200, json=[told])
        if request.method == "DELETE":
            return httpx.Response(204 if self.known.pop(path, None) else 404, json={"message": "?"})
        if request.method == "GET":
            known = self.known.get(path)
            return httpx.Response(200, json={"source": known}) if known else httpx.Response(404, json={"message": "?"})
        self.known["/acme.data/monthly"] = source
        return httpx.Response(200, json={})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()

    @contextmanager
    def client(*_: object) -> Iterator[Kestra]:
        with httpx.Client(base_url="http://kestra", transport=httpx.MockTransport(server)) as http:
            yield Kestra(http)

    monkeypatch.setattr(flow_files.executions, "client", client)
    return server


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings.Paths, "flows", tmp_path)
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    (tmp_path / "monthly.yaml").write_text(FLOW)
    return tmp_path / "monthly.yaml"


def register(runtime: str = settings.PROCESS) -> bool:
    return flow_files.register(settings.Paths(), settings.Ports(0), runtime)


def test_what_is_new_or_changed_is_registered_and_named(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [register(), register()] == [True, False]
    assert server.known == {"/acme.data/monthly": FLOW}
    file.write_text(FLOW + "description: another\n")
    with flow_files.executions.client() as kestra:  # type: ignore[call-arg]
        assert flow_files.unregistered(kestra, settings.Paths(), settings.PROCESS) == ["monthly.yaml"]
    assert register()
    assert server.known["/acme.data/monthly"].endswith("another\n")
    assert capsys.readouterr().out.count("✓ Flows: 1 of 1 registered anew (monthly.yaml)\n") == 2


def test_one_whose_file_is_gone_is_removed_and_one_of_another_runtime_stays(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register()
    file.unlink()
    assert not register(settings.DOCKER)
    assert register()
    assert server.known == {}
    assert "✓ Flows: 1 removed, whose files are gone (monthly)\n" in capsys.readouterr().out


def test_none_is_registered_when_one_is_refused(server: Server, file: Path) -> None:
    server.refuses = "broken"
    (file.parent / "broken.yaml").write_text("id: broken\nnamespace: acme.data\n")
    with pytest.raises(DrydockError, match=r"Kestra refuses flows:\n    broken\.yaml: it has no tasks"):
        register()
    assert server.known == {}


def test_a_flow_that_does_not_name_itself_is_said(server: Server, file: Path) -> None:
    file.write_text("{id: monthly, namespace: acme.data}\n")
    with pytest.raises(DrydockError, match=r"begins with '\{id: monthly.* does not name itself"):
        register()


def test_schedules_are_disabled_however_they_are_written(
    server: Server, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_SCHEDULES", "off")
    register()
    assert server.known["/acme.data/monthly"] == FLOW  # the engine of local processes is told itself
    register(settings.DOCKER)
    assert server.known["/acme.data/monthly"].splitlines()[4:] == [
        "  - id: daily",
        "    type: io.kestra.plugin.core.trigger.Schedule",
        "    disabled: true",
        '  - type: "io.kestra.plugin.core.trigger.Schedule"',
        "    disabled: true",
        "    id: hourly",
        "  - id: after",
        "    type: io.kestra.plugin.core.trigger.Flow",
    ]
