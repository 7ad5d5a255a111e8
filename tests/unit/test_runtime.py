"""Which runtime a verb is about: the one asked for, else what runs, else what ran last."""

import json
from pathlib import Path

import pytest

from drydock import local_up, runtime, settings
from drydock.errors import UsageError
from drydock.settings import DOCKER, PROCESS


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    monkeypatch.delenv("DRYDOCK_KESTRA", raising=False)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def brought_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `local-up` would bring up."""
    asked: list[str] = []
    monkeypatch.setattr(local_up, "bring_up", asked.append)
    return asked


def test_the_first_local_up_is_in_docker(notes: Path, brought_up: list[str]) -> None:
    local_up.local_up("")
    assert brought_up == [DOCKER]


def test_a_later_one_goes_on_with_what_was_up_last(notes: Path, brought_up: list[str]) -> None:
    (notes / settings.LAST_PLATFORM).write_text(json.dumps({"runtime": PROCESS}))
    local_up.local_up("")
    assert brought_up == [PROCESS]


def test_what_is_asked_for_counts_first_and_what_runs_next(notes: Path, brought_up: list[str]) -> None:
    (notes / settings.LAST_PLATFORM).write_text(json.dumps({"runtime": PROCESS}))
    (notes / "platform.json").write_text(json.dumps({"runtime": DOCKER}))
    for asked in (PROCESS, ""):
        local_up.local_up(asked)
    assert brought_up == [PROCESS, DOCKER]


def test_neither_is_refused(notes: Path, brought_up: list[str]) -> None:
    with pytest.raises(UsageError, match="RUNTIME is `podman`, expected `docker` or `process`"):
        local_up.local_up("podman")
    assert brought_up == []


def test_kestra_stays_what_it_was(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.kestra_of_compose() == "image"
    (notes / settings.LAST_PLATFORM).write_text(json.dumps({"runtime": DOCKER, "kestra": "engine"}))
    assert runtime.kestra_of_compose() == "engine"
    monkeypatch.setenv("DRYDOCK_KESTRA", "image")
    assert runtime.kestra_of_compose() == "image"
