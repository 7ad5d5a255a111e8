"""The flows on a platform, whatever goes wrong: the right state; within a minute no cluster and no step's process."""

import gzip
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml

from drydock import executions
from drydock.day import NAMESPACE
from drydock.executions import ENDED
from drydock.kestra import Kestra, KestraRefused, KestraUnreachable
from drydock.settings import Paths
from drydock.supervision import Supervisor
from tests.platform.platform_rig import Platform, until
from tests.running import wait_for
from tests.spark import oracle

DAY = date(2026, 3, 10)
MINUTE = 60
RUNS_UNTIL_TOLD = """
import json, os, time
while not os.path.exists(os.environ["HOME"] + "/go"):
    time.sleep(0.1)
print(json.dumps({"rows": 7}))
"""


@pytest.fixture
def engine(platform: Platform) -> Iterator[Kestra]:
    with executions.client(platform.paths, platform.ports) as engine:
        yield engine
    _nothing_is_left(platform)


def _start(engine: Kestra, flow: str, run_id: str, **inputs: str) -> str:
    labels = {executions.CORRELATION: run_id}
    return str(engine.start(NAMESPACE, flow, {"date": DAY.isoformat(), **inputs}, labels)["id"])


def _await_end(engine: Kestra, execution_id: str) -> dict[str, Any]:
    return until(
        lambda: found if (found := engine.execution(execution_id))["state"]["current"] in ENDED else None, "end"
    )


def _state(document: dict[str, Any]) -> str:
    return str(document["state"]["current"])


def _cluster_run(engine: Kestra, execution_id: str) -> dict[str, Any]:
    """The execution of emr_cluster that the execution started."""
    return until(
        lambda: next(iter(engine.executions(triggerExecutionId=execution_id)), None), "its cluster's execution"
    )


def _tasks(document: dict[str, Any]) -> dict[str, str]:
    return {task["taskId"]: _state(task) for task in document["taskRunList"]}


def _tell(platform: Platform) -> None:
    """Let the program that waits to be told go on."""
    for node in platform.paths.nodes():
        (node.scratch / "tenancy" / "home" / "go").touch()


def _nothing_is_left(platform: Platform) -> None:
    until(lambda: not platform.clusters() and not platform.step_processes(), "all of it to be gone", seconds=MINUTE)


def test_a_generation_tells_what_it_did_and_what_it_cost(platform: Platform, engine: Kestra) -> None:
    ended = _await_end(engine, _start(engine, "data_generation", "happy", rows="700"))
    assert _state(ended) == "SUCCESS"
    assert {"key": "date", "value": DAY.isoformat()} in ended["labels"]
    told = engine.outputs(ended["id"])
    assert told["date"] == DAY.isoformat()
    cluster_id = told["cluster"]["cluster_id"]
    (step,) = told["cluster"]["steps"]
    assert platform.cluster_state(cluster_id) == "TERMINATED"
    assert platform.step(cluster_id, step["step_id"])["Status"]["State"] == step["state"] == "COMPLETED"
    assert told["cluster"]["rows"] == step["told"]["rows"] == 700
    assert told["cluster"]["log_uri"].endswith(f"/{cluster_id}/steps/{step['step_id']}/")
    assert 0 < told["cluster"]["cost_estimate_usd"] < 1
    of_cluster = _tasks(_cluster_run(engine, ended["id"]))
    well = dict.fromkeys(("name_the_job", "create", "submit", "wait", "terminate"), "SUCCESS")
    assert of_cluster == {**well, "terminate_anyway": "SKIPPED"}


def test_the_flows_are_registered_as_they_are_written(engine: Kestra) -> None:
    """Kestra's parser leaves out, or takes for text, what it does not understand."""
    registered = {found["id"]: found for found in engine.flows()}
    for file in Paths().flows.glob("*.yaml"):
        written = yaml.safe_load(file.read_text())
        assert _differences(written, registered[file.stem], file.stem) == []


def _differences(written: Any, found: Any, where: str) -> list[str]:
    """What was written and is not found so. Kestra adds to it, leaves out a word that is its default anyway,
    and tells labels as a list of pairs."""
    if found is None and not isinstance(written, dict | list):
        return []
    if isinstance(written, dict | list) and isinstance(found, str):  # what may hold expressions is kept as JSON
        with suppress(ValueError):
            found = json.loads(found)
    if isinstance(written, dict) and isinstance(found, list):
        found = {pair["key"]: pair["value"] for pair in found}
    if isinstance(written, dict) and isinstance(found, dict):
        both = [_differences(value, found.get(name), f"{where}.{name}") for name, value in written.items()]
    elif isinstance(written, list) and isinstance(found, list) and len(written) == len(found):
        pairs = enumerate(zip(written, found, strict=True))
        both = [_differences(value, other, f"{where}.{number}") for number, (value, other) in pairs]
    else:
        return [] if str(written) == str(found) else [f"{where}: {written!r} is {found!r}"]
    return [difference for each in both for difference in each]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [({"date": "2026-02-30"}, "date"), ({"rows": "0"}, "rows"), ({"rows": "many"}, "rows")],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    platform: Platform, engine: Kestra, inputs: dict[str, str], reason: str
) -> None:
    before = len(engine.executions())
    with pytest.raises(KestraRefused, match=reason) as refused:
        _start(engine, "data_generation", "refused", **inputs)
    assert refused.value.status == 422
    assert len(engine.executions()) == before


def test_a_kill_while_the_step_runs(platform: Platform, engine: Kestra) -> None:
    execution_id = _start(engine, "data_generation", "killed", rows="1000")
    platform.running_step()
    engine.kill(execution_id)
    assert _state(_await_end(engine, execution_id)) == "KILLED"
    _nothing_is_left(platform)


def test_a_step_that_fails_has_its_cluster_ended_by_its_flow(platform: Platform, engine: Kestra) -> None:
    """And the sweep that follows at once finds nothing left."""
    with platform.job_replaced("data_generator", "raise SystemExit('the sea is rough')"):
        execution_id = _start(engine, "data_generation", "failed", rows="1000")
        assert _state(_await_end(engine, execution_id)) == "FAILED"
    of_cluster = _tasks(engine.execution(_cluster_run(engine, execution_id)["id"]))
    assert (of_cluster["wait"], of_cluster["terminate_anyway"]) == ("FAILED", "SUCCESS")
    (step,) = engine.outputs(_cluster_run(engine, execution_id)["id"])["steps"]
    assert step["state"] == "FAILED"
    assert not platform.clusters()
    swept = _sweep_after(engine, execution_id)
    assert _state(_await_end(engine, swept["id"])) == "SUCCESS"


def _sweep_after(engine: Kestra, execution_id: str) -> dict[str, Any]:
    """The sweep that the end of the execution's cluster has set off."""
    cluster_run = _cluster_run(engine, execution_id)["id"]

    def set_off() -> dict[str, Any] | None:
        sweeps = engine.executions(flowId="sweep")
        triggers = ((each, (each.get("trigger") or {}).get("variables", {})) for each in sweeps)
        return next((each for each, told in triggers if told.get("executionId") == cluster_run), None)

    return until(set_off, "a sweep")


@pytest.mark.full
def test_a_kill_that_no_driver_heard_is_seen_to_by_the_sweep(platform: Platform, engine: Kestra) -> None:
    """Nobody else knows of the cluster: its driver has gone without a word, and no last task runs after a kill."""
    execution_id = _start(engine, "data_generation", "swept", rows="1000")
    (cluster_id,) = until(platform.clusters, "a cluster")
    (driver,) = until(lambda: platform.drivers("create"), "the driver")
    driver.suspend()  # so that the kill's SIGTERM is not heard
    engine.kill(execution_id)
    until(lambda: _state(engine.execution(execution_id)) in {"KILLING", "KILLED"}, "the kill")
    driver.kill()
    assert _state(_await_end(engine, execution_id)) == "KILLED"
    swept = _sweep_after(engine, execution_id)
    assert _state(_await_end(engine, swept["id"])) == "SUCCESS"
    assert platform.cluster_state(cluster_id) == "TERMINATED"


@pytest.mark.full
def test_a_cluster_whose_driver_is_silent_is_swept(platform: Platform) -> None:
    """Two minutes: less than twice the time between two marks is no silence."""
    left = platform.driver("create", "--job=silent", f"--date={DAY}", "--run-id=silent")["cluster_id"]
    platform.await_cluster(left, "WAITING")
    tags = {tag["Key"]: tag["Value"] for tag in platform.cluster(left)["Tags"]}
    wait_for(lambda: platform.driver("sweep", "--silence-seconds=120")["ended"] == [left], "the sweep to end it", 180)
    assert datetime.now(UTC) - datetime.fromisoformat(tags["driver-seen-at"]) > timedelta(seconds=120)
    assert platform.cluster_state(left) == "TERMINATED"


@pytest.mark.full
def test_a_kill_while_the_cluster_is_made(platform: Platform, engine: Kestra) -> None:
    execution_id = _start(engine, "data_generation", "killed-early", rows="1000")
    (cluster_id,) = until(platform.clusters, "a cluster")
    engine.kill(execution_id)
    assert _state(_await_end(engine, execution_id)) == "KILLED"
    _nothing_is_left(platform)
    assert platform.cluster_state(cluster_id) == "TERMINATED"


@pytest.mark.full
@pytest.mark.parametrize("stage", ["create", "wait"])
def test_a_driver_that_is_killed(platform: Platform, engine: Kestra, stage: str) -> None:
    """The flow's last task ends the cluster, found by its name where its id was never told."""
    execution_id = _start(engine, "data_generation", f"driver-{stage}", rows="1000")
    until(platform.clusters, "a cluster")
    (driver,) = until(lambda: platform.drivers(stage), "the driver")
    driver.kill()
    assert _state(_await_end(engine, execution_id)) == "FAILED"
    cluster_run = engine.execution(_cluster_run(engine, execution_id)["id"])
    assert _tasks(cluster_run)[stage] == "FAILED"
    assert _tasks(cluster_run)["terminate_anyway"] == "SUCCESS"


@pytest.mark.full
def test_a_cluster_that_cannot_be_ended_fails_its_execution(platform: Platform, engine: Kestra) -> None:
    """Although all went well until then: it costs money."""
    with platform.job_replaced("data_generator", RUNS_UNTIL_TOLD):
        execution_id = _start(engine, "data_generation", "protected", rows="1000")
        cluster_id = platform.running_step()
        emr = platform.client("emr")
        emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=True)
        _tell(platform)
        assert _state(_await_end(engine, execution_id)) == "FAILED"
    of_cluster = _tasks(_cluster_run(engine, execution_id))
    assert (of_cluster["wait"], of_cluster["terminate"]) == ("SUCCESS", "FAILED")
    emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.mark.full
def test_a_sweep_ends_the_clusters_of_a_run_and_spares_those_that_somebody_looks_after(
    platform: Platform, engine: Kestra
) -> None:
    left = platform.driver("create", "--job=left", f"--date={DAY}", "--run-id=left")["cluster_id"]
    alive = _start(engine, "data_generation", "alive", rows="1000")
    until(lambda: len(platform.clusters()) == 2, "a cluster that waits for the other's nodes")
    swept = _await_end(engine, str(engine.start(NAMESPACE, "sweep", {}, {})["id"]))
    assert _state(swept) == "SUCCESS"
    assert len(platform.clusters()) == 2  # both were looked after a moment ago
    swept = _await_end(engine, str(engine.start(NAMESPACE, "sweep", {"run_id": "left"}, {})["id"]))
    assert _state(swept) == "SUCCESS"
    assert platform.await_cluster(left, "TERMINATED")
    assert _state(_await_end(engine, alive)) == "SUCCESS"


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_that_is_restarted_in_the_middle_goes_on(
    platform: Platform, engine: Kestra, number: signal.Signals
) -> None:
    """With the same cluster, and the same step when nobody ended them; and nothing runs twice."""
    with platform.job_replaced("data_generator", RUNS_UNTIL_TOLD):
        execution_id = _start(engine, "data_generation", f"restarted-{number.name.lower()}", rows="1000")
        cluster_id = platform.running_step()
        before = platform.pid_of("kestra")
        os.kill(before, number)
        until(lambda: Supervisor(platform.paths).service_pids().get("kestra") not in (None, before), "a new engine")
        until(lambda: _answers(engine), "the engine to answer")
        assert _state(engine.execution(execution_id)) == "RUNNING"
        _tell(platform)
        ended = _await_end(engine, execution_id)
    steps = platform.client("emr").list_steps(ClusterId=cluster_id)["Steps"]
    assert len(steps) == 1
    if number == signal.SIGKILL:
        assert _state(ended) == "SUCCESS"
        told = engine.outputs(execution_id)["cluster"]
        assert (told["cluster_id"], told["rows"]) == (cluster_id, 7)
    else:  # who stops the engine stops its drivers, and each of them ends its cluster
        assert _state(ended) == "FAILED"
    assert platform.cluster_state(cluster_id) == "TERMINATED"


def _answers(engine: Kestra) -> bool:
    try:
        engine.ping()
    except KestraUnreachable:
        return False
    return True


@pytest.mark.full
def test_two_executions_of_one_day(platform: Platform, engine: Kestra, tmp_path: Any) -> None:
    """Tables are written by one after the other, and count the day once."""
    day = date(2026, 6, 10)  # which looks back at no day of another test
    generated = _start(engine, "data_generation", "twice", date=day.isoformat(), rows="900")
    assert _state(_await_end(engine, generated)) == "SUCCESS"
    first = _start(engine, "data_processing", "twice-1", date=day.isoformat())
    second = _start(engine, "data_processing", "twice-2", date=day.isoformat())
    until(lambda: _state(engine.execution(second)) == "QUEUED", "the second to wait")
    assert _state(engine.execution(first)) in {"CREATED", "RUNNING"}
    assert [_state(_await_end(engine, each)) for each in (first, second)] == ["SUCCESS", "SUCCESS"]
    expected = oracle.expected_tables({day: platform.raw_files(day, tmp_path)}, day)
    assert oracle.all_differences(expected, {table: platform.rows(table, day) for table in expected}) == []


def test_the_orchestrator_s_logs_are_copied_by_day(platform: Platform, engine: Kestra) -> None:
    today = datetime.now(UTC).date()
    swept = _await_end(engine, str(engine.start(NAMESPACE, "sweep", {}, {})["id"]))
    shipped = _await_end(engine, str(engine.start(NAMESPACE, "ship_logs", {"date": today.isoformat()}, {})["id"]))
    assert _state(shipped) == "SUCCESS"
    s3 = platform.client("s3")

    def copied(kind: str) -> list[dict[str, Any]]:
        prefix = f"kestra/{kind}/date={today}/from-"
        (found,) = s3.list_objects_v2(Bucket="builditall-logs", Prefix=prefix)["Contents"]
        body = s3.get_object(Bucket="builditall-logs", Key=found["Key"])["Body"].read()
        return [json.loads(line) for line in gzip.decompress(body).splitlines()]

    (execution,) = [each for each in copied("executions") if each["id"] == swept["id"]]
    assert execution == engine.execution(swept["id"])
    lines = [line for line in copied("logs") if line["executionId"] == swept["id"]]
    assert [line["message"] for line in lines if line["level"] == "DEBUG"]  # of which it says little else
    assert [line for line in lines if line["level"] not in ("DEBUG", "TRACE")] == engine.logs(swept["id"])
