"""Which revisions `aws-status` tells of, and which it calls going back."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drydock import aws_status, jobs

from .scripted_s3 import site

NEWEST_FIRST = ["c3", "b2", "a1"]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    where = site(s3=None)
    where.paths = where.directory = tmp_path
    monkeypatch.setattr(jobs, "names", lambda *_: NEWEST_FIRST)
    monkeypatch.setattr(jobs, "revision", lambda *_: SimpleNamespace(name="c3"))
    return SimpleNamespace(site=where)


@pytest.mark.parametrize(
    ("deployed", "told"),
    [
        ("c3", "  others: b2, a1; `make deploy-aws REVISION=b2` goes back"),
        ("b2", "  others: c3, a1; `make deploy-aws REVISION=a1` goes back"),
        ("a1", "  others: c3, b2"),
    ],
)
def test_back_is_to_what_is_older_than_what_is_deployed(
    found: Any, deployed: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    aws_status._show_revisions(found, deployed)
    assert capsys.readouterr().out.splitlines()[-1] == told
