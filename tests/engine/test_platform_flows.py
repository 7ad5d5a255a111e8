"""The platform's own flows: valid by Kestra's model, nothing in them that its image lacks, the day that each means."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from drydock import settings, terraform
from drydock.kestra import Kestra
from drydock_driver.cli import app
from tests.engine.engine_rig import NAMESPACE, Engine, await_end
from tests.running import wait_for

FILES = sorted(settings.Paths().flows.glob("*.yaml"))
NAMES = [file.stem for file in FILES]
# Of the image's plug-ins; the others are Kestra's core, which `kestra/engine` has whole.
OF_THE_IMAGE = {"io.kestra.plugin.scripts.shell.Commands"}
DAYS = ("data_generation", "data_processing")
ONE_AT_A_TIME = ("data_processing", "sweep", "ship_logs")

TELL_THE_DAY = """
tasks:
  - id: nothing
    type: io.kestra.plugin.core.log.Log
    message: nothing
outputs:
  - id: day
    type: STRING
    value: "{{ render(vars.day) }}"
"""


def flow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((settings.Paths().flows / f"{name}.yaml").read_text())
    return found


def tasks(of: dict[str, Any]) -> list[dict[str, Any]]:
    return [*of["tasks"], *of.get("finally", [])]


def types(value: Any) -> Iterator[str]:
    """Every `type` that names a class, however deep."""
    if isinstance(value, dict):
        if "." in str(value.get("type", "")):
            yield value["type"]
        for each in value.values():
            yield from types(each)
    elif isinstance(value, list):
        for each in value:
            yield from types(each)


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_is_valid(client: Kestra, name: str) -> None:
    assert client.validate((settings.Paths().flows / f"{name}.yaml").read_text()) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_has_no_alias(name: str) -> None:
    """Kestra's parser takes `*name` for the text `name`, and says nothing."""
    tokens = yaml.scan((settings.Paths().flows / f"{name}.yaml").read_text())
    assert [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_has_nothing_that_the_image_lacks(name: str) -> None:
    foreign = [kind for kind in types(flow(name)) if not kind.startswith("io.kestra.plugin.core.")]
    assert set(foreign) <= OF_THE_IMAGE


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_says_what_it_is_and_knows_no_bucket_and_no_profile(name: str) -> None:
    found = flow(name)
    assert (found["id"], found["namespace"]) == (name, "drydock")
    assert found["description"]
    assert found["labels"]
    text = (settings.Paths().flows / f"{name}.yaml").read_text()
    buckets = re.findall(r'"([a-z0-9-]+)"', (terraform.CONFIGURATION / "main.tf").read_text())
    assert not [bucket for bucket in buckets if len(bucket) > 12 and bucket in text]
    assert "s3://" not in text.replace("s3://…", "")
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("name", NAMES)
def test_every_task_that_waits_for_aws_has_a_time_out_and_none_is_retried(name: str) -> None:
    """Kestra would hang in KILLING when an execution is killed whose task is to be retried; the driver retries."""
    for task in tasks(flow(name)):
        if task["type"] in OF_THE_IMAGE:
            assert re.fullmatch(r"PT(\d+H)?(\d+M)?", task["timeout"])
            assert task["taskRunner"] == {"type": "io.kestra.plugin.core.runner.Process"}
        assert "retry" not in task


@pytest.mark.parametrize("name", NAMES)
def test_schedules_are_utc_and_missed_ones_stay_missed(name: str) -> None:
    for trigger in flow(name).get("triggers", []):
        if trigger["type"].endswith(".Schedule"):
            assert (trigger["timezone"], trigger["recoverMissedSchedules"]) == ("UTC", "NONE")


@pytest.mark.parametrize("name", ONE_AT_A_TIME)
def test_what_writes_tables_or_ends_clusters_runs_once_at_a_time(name: str) -> None:
    assert flow(name)["concurrency"] == {"limit": 1, "behavior": "QUEUE"}


@pytest.mark.parametrize("name", NAMES)
def test_the_driver_knows_every_verb_and_option_that_a_flow_gives_it(name: str) -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for task in tasks(flow(name)):
        for command in task.get("commands", []):
            words = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", command).split()
            assert words[:2] == ["exec", "drydock-driver"]  # so that a kill reaches it, and no shell in between
            known = {option for parameter in verbs[words[2]].params for option in parameter.opts}
            assert {word for word in words[3:] if word.startswith("--")} <= known


@pytest.fixture(scope="module")
def calendar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kestra]:
    """An engine whose flows tell the day that a flow of the platform would mean."""
    engine = Engine(tmp_path_factory.mktemp("calendar") / "engine")
    (day,) = {flow(name)["variables"]["day"] for name in DAYS}
    inputs = [{"id": "date", "type": "DATE", "required": False}]
    by_hand = {"inputs": inputs, "variables": {"day": day}}
    engine.flow("by_hand", yaml.safe_dump(by_hand) + TELL_THE_DAY)
    at = day.replace("trigger.date is defined", "true").replace("trigger.date", "inputs.at")
    by_schedule = {"inputs": [*inputs, {"id": "at", "type": "DATETIME"}], "variables": {"day": at}}
    engine.flow("by_schedule", yaml.safe_dump(by_schedule) + TELL_THE_DAY)
    tick = {
        "id": "tick",
        "type": "io.kestra.plugin.core.trigger.Schedule",
        "cron": "* * * * * *",
        "withSeconds": True,
        "timezone": "UTC",
        "recoverMissedSchedules": "NONE",
    }
    engine.flow("ticking", yaml.safe_dump({**by_hand, "triggers": [tick]}) + TELL_THE_DAY)
    engine.start()
    with engine.client() as client:
        yield client
    engine.stop()


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-03-01T09:00:00Z", "2026-03-01"),  # the generation's hour, and the processing's: one day
        ("2026-03-01T18:00:00Z", "2026-03-01"),
        ("2026-03-01T00:00:00Z", "2026-02-28"),  # midnight is of the day that ends
        ("2024-03-01T00:30:00Z", "2024-02-29"),
        ("2026-01-01T05:59:59Z", "2025-12-31"),
        ("2026-01-01T06:00:00Z", "2026-01-01"),
        ("2026-03-29T01:30:00+01:00", "2026-03-28"),  # where clocks change: the day is UTC's, whoever writes the hour
        ("2026-03-29T08:00:00+02:00", "2026-03-29"),
        ("2026-10-25T07:30:00+02:00", "2026-10-24"),
        ("2026-10-25T07:30:00+01:00", "2026-10-25"),
        ("2026-11-01T01:30:00-05:00", "2026-11-01"),
    ],
)
def test_the_day_of_a_schedule(calendar: Kestra, at: str, day: str) -> None:
    ended = calendar.run(NAMESPACE, "by_schedule", {"at": at})
    assert calendar.outputs(ended["id"]) == {"day": day}


def test_a_day_that_is_given_wins(calendar: Kestra) -> None:
    given = {"date": "2020-02-29", "at": "2026-03-01T09:00:00Z"}
    for name, inputs in (("by_schedule", given), ("by_hand", {"date": "2020-02-29"})):
        ended = calendar.run(NAMESPACE, name, inputs)
        assert calendar.outputs(ended["id"]) == {"day": "2020-02-29"}


def test_the_day_of_who_starts_a_flow_by_hand_is_yesterday(calendar: Kestra) -> None:
    before = dt.datetime.now(dt.UTC).date()
    ended = calendar.run(NAMESPACE, "by_hand", {})
    days = {str(day - dt.timedelta(days=1)) for day in (before, dt.datetime.now(dt.UTC).date())}
    assert calendar.outputs(ended["id"])["day"] in days


def test_the_day_of_a_schedule_that_fired(calendar: Kestra) -> None:
    fired = wait_for(lambda: calendar.executions(flowId="ticking"), "the schedule to have fired")
    ended = await_end(calendar, fired[0]["id"])
    at = dt.datetime.fromisoformat(ended["trigger"]["variables"]["date"])
    day = (at.astimezone(dt.UTC) - dt.timedelta(hours=6)).date()
    assert calendar.outputs(ended["id"]) == {"day": day.isoformat()}
