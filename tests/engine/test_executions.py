"""Executions: run, refused, failed, killed, scheduled, and there again after a restart."""

import datetime as dt

import psutil
import pytest

from drydock.kestra import Kestra, KestraRefused
from tests.engine.conftest import SAY, TICK
from tests.engine.engine_rig import NAMESPACE, Engine, await_end, await_task
from tests.running import wait_for


def test_a_flow_runs_its_command_and_gives_its_outputs(client: Kestra):
    ended = client.run(NAMESPACE, "say", {"word": "ahoy"})
    assert ended["state"]["current"] == "SUCCESS"
    assert client.outputs(ended["id"]) == {"word": "ahoy"}
    logs = wait_for(lambda: client.logs(ended["id"], "say"), "what the task said, which comes some moments later")
    assert [line["message"] for line in logs] == ["ahoy there"]


def test_labels_and_filters_find_an_execution_again(client: Kestra):
    started = client.start(NAMESPACE, "say", {}, {"occasion": "a test"})
    await_end(client, started["id"])
    assert {"key": "occasion", "value": "a test"} in client.execution(started["id"])["labels"]
    assert started["id"] in {found["id"] for found in client.executions(flowId="say")}
    assert started["id"] not in {found["id"] for found in client.executions(flowId="fail")}


@pytest.mark.parametrize(
    ("flow", "inputs", "status", "reason"),
    [
        ("say", {"word": "UPPER"}, 422, "word"),
        ("say", {"day": "2026-02-30"}, 422, "day"),
        ("nothing", {}, 404, "not found"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    client: Kestra, flow: str, inputs: dict[str, str], status: int, reason: str
):
    before = {found["id"] for found in client.executions()}
    with pytest.raises(KestraRefused, match=reason) as refused:
        client.start(NAMESPACE, flow, inputs, {})
    assert refused.value.status == status
    assert {found["id"] for found in client.executions()} == before


def test_a_command_that_fails_fails_the_execution_and_finally_runs(client: Kestra):
    ended = client.run(NAMESPACE, "fail", {})
    assert ended["state"]["current"] == "FAILED"
    assert {run["taskId"]: run["state"]["current"] for run in ended["taskRunList"]} == {
        "breaks": "FAILED",
        "afterwards": "SUCCESS",
    }
    said = wait_for(
        lambda: [line["message"] for line in client.logs(ended["id"]) if "it is broken" in line["message"]], "its log"
    )
    assert said == ["it is broken"]


def test_a_kill_ends_the_command_and_the_execution(engine: Engine, client: Kestra):
    started = client.start(NAMESPACE, "hang", {}, {})
    await_task(client, started["id"], "hangs", "RUNNING")
    assert engine.process is not None

    def sleeping() -> list[psutil.Process]:
        children = psutil.Process(engine.process.pid).children(recursive=True)
        return [child for child in children if child.cmdline()[:1] == ["sleep"]]

    wait_for(sleeping, "the command to run")
    client.kill(started["id"])
    assert await_end(client, started["id"])["state"]["current"] == "KILLED"
    wait_for(lambda: not sleeping(), "the command to end")


def test_executions_outlive_a_restart(new_engine: Engine):
    new_engine.flow("say", SAY)
    new_engine.start()
    with new_engine.client() as client:
        ended = client.run(NAMESPACE, "say", {"word": "before"})
        new_engine.stop()
        new_engine.start()
        again = client.execution(ended["id"])
        assert again["state"] == ended["state"]
        assert client.outputs(ended["id"]) == {"word": "before"}
        assert client.run(NAMESPACE, "say", {})["state"]["current"] == "SUCCESS"
    new_engine.stop()


def test_a_schedule_fires_and_tells_when(new_engine: Engine):
    new_engine.flow("tick", TICK)
    new_engine.flow("quiet", TICK.replace("Schedule\n", "Schedule\n    disabled: true\n"))
    new_engine.start()
    with new_engine.client() as client:
        ended = wait_for(
            lambda: [found for found in client.executions(flowId="tick") if found["state"]["current"] == "SUCCESS"],
            "the schedule to have fired",
        )
        fired_at = dt.datetime.fromisoformat(ended[0]["trigger"]["variables"]["date"])
        assert abs((dt.datetime.now(dt.UTC) - fired_at).total_seconds()) < 60
        enabled = [trigger for trigger in client.triggers() if not trigger.get("disabled")]
        assert [(trigger["flowId"], trigger["triggerId"]) for trigger in enabled] == [("tick", "ticks")]
        assert client.executions(flowId="quiet") == []
    new_engine.stop()
