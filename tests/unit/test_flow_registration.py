"""A deployment's flows, brought to a Kestra that knows others: all of them or none."""

import json
from pathlib import Path

import httpx
import pytest

from drydock import flow_registration
from drydock.errors import DrydockError
from drydock.kestra import Kestra

API = "/api/v1/main/flows"


class Server:
    """Kestra's `/flows`: what it knows, by namespace and id."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.refuses: dict[str, str] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        path, source = request.url.path.removeprefix(API).strip("/"), request.content.decode()
        if path == "validate":
            return httpx.Response(200, json=[{"constraints": self.refuses.get(source)}])
        if request.method == "POST":
            namespace, flow = flow_registration.kestra.name_of(source)
            self.known[f"{namespace}/{flow}"] = source
        elif path not in self.known:
            return httpx.Response(404, json={"message": "Not Found"})
        elif request.method == "PUT":
            self.known[path] = source
        elif request.method == "DELETE":
            del self.known[path]
            return httpx.Response(204)
        return httpx.Response(200, json={"source": self.known.get(path, source)})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "flows.json"


def bring(server: Server, note: Path, **flows: str) -> tuple[list[str], list[str]]:
    with httpx.Client(base_url="http://kestra", transport=httpx.MockTransport(server.answer)) as http:
        return flow_registration.bring(Kestra(http), {f"{name}.yaml": source for name, source in flows.items()}, note)


def flow(name: str, description: str = "It.") -> str:
    return f"id: {name}\nnamespace: acme\ndescription: {description}\n"


def test_what_is_new_or_different_is_registered(server: Server, note: Path) -> None:
    assert bring(server, note, one=flow("one"), two=flow("two")) == (["one.yaml", "two.yaml"], [])
    assert bring(server, note, one=flow("one"), two=flow("two")) == ([], [])
    assert bring(server, note, one=flow("one", "Another."), two=flow("two")) == (["one.yaml"], [])
    assert server.known == {"acme/one": flow("one", "Another."), "acme/two": flow("two")}


def test_what_an_earlier_deployment_brought_goes_and_what_somebody_made_stays(server: Server, note: Path) -> None:
    server.known["acme/theirs"] = flow("theirs")
    bring(server, note, one=flow("one"), two=flow("two"))
    assert bring(server, note, one=flow("one")) == ([], ["two"])
    assert sorted(server.known) == ["acme/one", "acme/theirs"]
    assert json.loads(note.read_text()) == [["acme", "one"]]


def test_one_that_is_refused_keeps_all_as_they_are(server: Server, note: Path) -> None:
    bring(server, note, one=flow("one"))
    server.refuses[flow("two")] = "no such task"
    with pytest.raises(DrydockError, match=r"Kestra refuses flows:\n    two\.yaml: no such task"):
        bring(server, note, three=flow("three"), two=flow("two"))
    assert sorted(server.known) == ["acme/one"]


def test_an_interrupted_one_is_gone_on_from(server: Server, note: Path) -> None:
    """What it had brought is removed by the next one, which has it not."""
    bring(server, note, one=flow("one"))
    note.write_text(json.dumps([["acme", "one"], ["acme", "two"], ["acme", "three"]]))  # noted, and only one arrived
    server.known["acme/two"] = flow("two")
    assert bring(server, note, one=flow("one")) == ([], ["two"])
    assert sorted(server.known) == ["acme/one"]


def test_a_file_that_would_be_passed_over_is_said(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(flow("one"))
    (tmp_path / "two.yml").write_text(flow("two"))
    with pytest.raises(DrydockError, match=r"has two\.yml: flows are files whose names end with \.yaml"):
        flow_registration.sources(tmp_path)
