"""The driver as a child of `make`: what it is told, and what becomes of the lines that it writes."""

import os
import sys
from pathlib import Path

import pytest

from drydock import driver_process, secrets, settings
from drydock.driver_process import ChildSignals, Event, Job

JOB = Job("a-job", "Doing it", "Did it", ("true",))
WRITES = """#!{python}
import os, sys
print("a library has something to say")
print('["no", "event"]')
print('{{"event": "cluster", "cluster_id": "j-1", "state": "RUNNING"}}')
print('{{"event": "news", "text": "as ' + os.environ["DRYDOCK_ROLE_ARN"] + '"}}')
print('{{"event": "failu')
sys.exit(3)
"""


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    paths = settings.Paths(tmp_path)
    secrets.ensure(paths)
    paths.logs.mkdir()
    driver = paths.environment("workspace") / "bin" / "drydock-driver"
    driver.parent.mkdir(parents=True)
    driver.write_text(WRITES.format(python=sys.executable))
    driver.chmod(0o700)
    return paths


def test_a_line_that_is_no_event_is_shown_as_news_and_ends_nothing(
    paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "DRYDOCK_ROLE_ARN", "arn:aws:iam::111122223333:role/another")
    heard: list[Event] = []
    exit_code, progress = driver_process.run(
        paths, settings.Ports(offset=0), JOB, "2026-03-01", "r1", ChildSignals(), listener=heard.append
    )
    assert exit_code == 3
    assert progress.cluster_id == "j-1"
    assert [event["text"] for event in heard if event["event"] == "news"] == [
        "a library has something to say",
        '["no", "event"]',
        "as arn:aws:iam::000000000000:role/kestra-role",
        '{"event": "failu',
    ]
    [failure] = progress.failures
    assert "exit code 3" in failure
