"""Making a Python environment, by a uv that is faked."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from drydock import settings
from drydock.toolchain import environments, programs


def test_one_that_is_reached_by_a_link_is_made_by_its_real_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its programs begin with that path; the link's may be gone before they are."""
    lent = tmp_path / "lender" / "envs"
    lent.mkdir(parents=True)
    (tmp_path / "borrower").mkdir()
    (tmp_path / "borrower" / "envs").symlink_to(lent)
    told: list[Sequence[str]] = []

    def run(command: Sequence[str], *_: object) -> None:
        told.append(command)
        if "venv" in command:
            (lent / "parity" / "bin").mkdir(parents=True)
            (lent / "parity" / "bin" / "python").touch()

    monkeypatch.setattr(programs, "run", run)
    paths = settings.Paths(tmp_path / "borrower")
    environments.create(paths, "parity", lambda _: None)
    made, filled = told
    assert made[-1] == str(lent / "parity")
    assert str(lent / "parity" / "bin" / "python") in filled
    assert environments.stamp(paths, "parity").matches
