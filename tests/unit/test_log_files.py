"""Logs of programs that verbs start: private, and bounded."""

import stat
from pathlib import Path

import pytest

from drydock import log_files


def append(file: Path, text: str) -> None:
    with log_files.open_to_append(file) as log:
        log.write(text)


def test_a_log_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "driver.log"
    append(file, "one\n")
    append(file, "two\n")
    assert file.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_log_that_others_could_read_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "driver.log"
    file.touch(mode=0o644)
    append(file, "one\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_of_full_logs_two_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "MAX_BYTES", 4)
    file = tmp_path / "driver.log"
    for text in ("one\n", "tw", "o\n", "three\n", "four\n"):
        append(file, text)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "driver.log": "four\n",
        "driver.log.1": "three\n",
        "driver.log.2": "two\n",
    }
