"""Flows from files: all of them are registered, or the engine says which is not and why."""

import pytest

from drydock.kestra import Kestra
from tests.engine.conftest import HANG, SAY
from tests.engine.engine_rig import NAMESPACE, Engine

END_SECONDS = 60


def test_every_file_is_a_flow(client: Kestra):
    assert {(flow["namespace"], flow["id"]) for flow in client.flows()} >= {
        (NAMESPACE, name) for name in ("say", "fail", "hang")
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("no-such-task", "tasks: [{id: t, type: io.kestra.plugin.aws.Nothing}]", "io.kestra.plugin.aws.Nothing"),
        ("no-tasks", "description: nothing is done", "tasks"),
        ("no-yaml", "tasks: [", "YAML"),
    ],
)
def test_a_file_that_is_no_flow_ends_the_engine_with_its_reason(new_engine: Engine, name: str, text: str, reason: str):
    """Kestra itself leaves it out, with a warning."""
    new_engine.flow("good", SAY)
    new_engine.flow(name, text)
    new_engine.launch()
    assert new_engine.process is not None
    assert new_engine.process.wait(END_SECONDS) == 1
    line = next(line for line in new_engine.log.splitlines() if f"{name}.yaml" in line)
    assert reason in new_engine.log[new_engine.log.index(line) :]
    assert "good.yaml" not in new_engine.log
    assert " INFO " not in new_engine.log[new_engine.log.index(line) :]


def test_a_changed_file_is_a_new_revision_and_an_unchanged_one_is_not(new_engine: Engine):
    new_engine.flow("same", SAY)
    new_engine.flow("changed", SAY)
    new_engine.start()
    new_engine.stop()
    new_engine.flow("changed", HANG)
    new_engine.start()
    with new_engine.client() as client:
        assert {flow["id"]: flow["revision"] for flow in client.flows()} == {"same": 1, "changed": 2}
    new_engine.stop()


def test_validation_says_what_the_engine_would(client: Kestra):
    assert client.validate(f"id: say\nnamespace: {NAMESPACE}\n{SAY}") is None
    refused = client.validate(f"id: bad\nnamespace: {NAMESPACE}\ntasks: [{{id: t, type: io.kestra.Nothing}}]")
    assert refused is not None
    assert "io.kestra.Nothing" in refused


def test_a_flow_that_is_deleted_is_known_no_longer_and_what_it_ran_stays(client: Kestra):
    task = "{id: t, type: io.kestra.plugin.core.log.Log, message: hello}"
    client.register(f"id: passing\nnamespace: {NAMESPACE}\ntasks: [{task}]")
    ran = client.run(NAMESPACE, "passing", {})
    assert client.delete(NAMESPACE, "passing")
    assert not client.delete(NAMESPACE, "passing")
    assert "passing" not in {flow["id"] for flow in client.flows()}
    assert client.execution(ran["id"])["state"]["current"] == "SUCCESS"
    assert client.outputs(ran["id"]) == {}  # of a flow that declares none
