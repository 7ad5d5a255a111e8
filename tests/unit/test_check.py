"""What `drydock check` looks at."""

from pathlib import Path

import pytest

from drydock import check, settings


def test_shell_scripts_are_found_without_git_and_nothing_that_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REPOSITORY", tmp_path)
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path / "made"))
    for name, first in {
        "run": "#!/bin/sh",
        ".ci/run": "#!/usr/bin/env bash",
        "spark/bootstrap.sh": "#!/bin/bash",
        "spark/job.py": "#!/usr/bin/env python3",
        "README.md": "bash",
        "made/spark/bin/spark-class": "#!/usr/bin/env bash",
        ".drydock/tool": "#!/bin/sh",
        ".git/hooks/pre-commit": "#!/bin/sh",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(first + "\n")
    (tmp_path / "dangling").symlink_to("nothing")
    assert sorted(map(str, check._shell_scripts())) == [".ci/run", "run", "spark/bootstrap.sh"]
