"""Kestra's own Python client finds the engine's answers as it finds the server's."""

import warnings

import pytest

from drydock import settings
from tests.engine.conftest import SAY
from tests.engine.engine_rig import NAMESPACE, Engine
from tests.running import wait_for

with warnings.catch_warnings():  # a model of its has a field that pydantic has a method of
    warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
    from kestrapy.exceptions import ApiException
    from kestrapy.kestra_client import KestraClient
    from kestrapy.models.query_filter_field import QueryFilterField
    from kestrapy.query import eq, gte, where

TENANT = "main"


def client_of(engine: Engine, password: str) -> KestraClient:
    client = KestraClient(host=engine.url, username=settings.KESTRA_USERNAME, password=password, timeout=30)
    client._session.trust_env = False  # the engine is on loopback
    return client


@pytest.fixture(scope="module")
def kestrapy(engine: Engine) -> KestraClient:
    return client_of(engine, engine.password_file.read_text().strip())


def test_flows(kestrapy: KestraClient) -> None:
    found = kestrapy.flows.search_flows(TENANT, page=1, size=2)
    assert len(found.results) == 2
    assert found.total >= 3
    one = kestrapy.flows.flow(NAMESPACE, "say", TENANT, source=True)
    assert (one.id, one.namespace) == ("say", NAMESPACE)
    assert "io.kestra.plugin.scripts.shell.Commands" in one.source


def test_a_flow_is_made_and_changed(kestrapy: KestraClient) -> None:
    text = f"id: of_kestrapy\nnamespace: {NAMESPACE}\n{SAY}"
    made = kestrapy.flows.create_flow(TENANT, text)
    changed = kestrapy.flows.update_flow(NAMESPACE, "of_kestrapy", TENANT, f"{text}\ndescription: changed\n")
    assert changed.revision == made.revision + 1


def test_an_execution(kestrapy: KestraClient) -> None:
    created = kestrapy.executions.create_execution(
        TENANT, NAMESPACE, "say", wait=True, labels=["occasion:conformance"], inputs={"word": "ahoy"}
    )
    assert created.state.current == "SUCCESS"
    assert kestrapy.executions.execution(created.id, TENANT).id == created.id
    wanted = where(eq(QueryFilterField.FLOW_ID, "say"))
    found = kestrapy.executions.search_executions(TENANT, size=100, sort=["state.startDate:desc"], filters=wanted)
    assert created.id in [each["id"] for each in found["results"]]
    assert kestrapy.outputs.execution_outputs(created.id, TENANT) == {"word": "ahoy"}


def test_an_execution_s_logs(kestrapy: KestraClient) -> None:
    created = kestrapy.executions.create_execution(TENANT, NAMESPACE, "say", wait=True, inputs={"word": "logged"})

    def listed() -> bool:
        lines = kestrapy.logs.list_logs_from_execution(created.id, TENANT, min_level="INFO", task_id="say")
        return [line.message for line in lines] == ["logged there"]

    wait_for(listed, "its log")
    of_execution = [eq(QueryFilterField.EXECUTION_ID, created.id), gte(QueryFilterField.LEVEL, "INFO")]
    found = kestrapy.logs.search_logs(TENANT, size=5, sort=["timestamp:desc"], filters=of_execution)
    assert [line.message for line in found.results] == ["logged there"]
    assert (found.total, found.type) == (1, "OFFSET")


def test_a_kill(kestrapy: KestraClient) -> None:
    created = kestrapy.executions.create_execution(TENANT, NAMESPACE, "hang")
    wait_for(lambda: kestrapy.executions.execution(created.id, TENANT).state.current == "RUNNING", "it to run")
    kestrapy.executions.kill_execution(created.id, TENANT)
    wait_for(lambda: kestrapy.executions.execution(created.id, TENANT).state.current == "KILLED", "its end")


@pytest.mark.parametrize(
    ("flow", "labels", "inputs", "status"),
    [
        ("nothing", [], {}, 404),
        ("say", [], {"word": "UPPER"}, 422),
        ("say", ["system.username:somebody"], {}, 422),
        ("say", ["no label"], {}, 422),
    ],
)
def test_refusals(kestrapy: KestraClient, flow: str, labels: list[str], inputs: dict[str, str], status: int) -> None:
    with pytest.raises(ApiException) as refused:
        kestrapy.executions.create_execution(TENANT, NAMESPACE, flow, labels=labels, inputs=inputs)
    assert refused.value.status == status


def test_a_run_s_id_can_be_given(kestrapy: KestraClient) -> None:
    label = "system.correlationId"
    created = kestrapy.executions.create_execution(TENANT, NAMESPACE, "say", wait=True, labels=[f"{label}:of-a-run"])
    assert {each.key: each.value for each in created.labels or []}[label] == "of-a-run"


def test_who_does_not_know_the_password_is_refused(engine: Engine) -> None:
    stranger = client_of(engine, "Guess-1")
    with pytest.raises(ApiException) as refused:
        stranger.flows.search_flows(TENANT)
    assert refused.value.status == 401
