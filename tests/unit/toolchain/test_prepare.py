"""`scripts/prepare.py`: the first thing that runs, and usually finds nothing to do."""

import os
import resource
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import plan

SCRIPT = settings.REPOSITORY / "scripts" / "prepare.py"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DRYDOCK_HOME": str(settings.home()), **variables}
    return subprocess.run([sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True)


def test_with_nothing_to_do_it_says_so_in_one_line_at_once():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == f"✓ Nothing to set up: all is in place in {settings.home()}\n"
    # Of the processor's time: a busy machine must not decide.
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1


def test_for_another_verb_not_even_that():
    result = run("--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_home_with_a_space_in_it_is_refused_before_anything_is_made(tmp_path: Path):
    home = tmp_path / "my platform"
    result = run(DRYDOCK_HOME=str(home))
    assert result.returncode == 1
    assert result.stderr.startswith(f"✗ `{home}` has a space in it")
    assert not home.exists()


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    result = run(DRYDOCK_HOME=str(tmp_path / "file" / "home"))
    assert result.returncode == 1
    assert "cannot be made" in result.stderr
    assert "Traceback" not in result.stderr


GIGABYTE = 1_000_000_000
EVERYTHING = plan.FOUNDATION + plan.STEPS


def look(home: Path, todo: Iterable[plan.Step]) -> None:
    paths = settings.Paths(home)
    runpy.run_path(str(SCRIPT))["look_at_ground"](paths, plan.needed_megabytes(paths, todo))


def leave(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(gigabytes * GIGABYTE)))


def test_a_first_set_up_asks_for_what_a_first_up_needs_after_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    leave(monkeypatch, 6.4)
    with pytest.raises(SetupError, match=r"has 6\.40 GB left; 6\.5\d GB are needed"):
        look(tmp_path, EVERYTHING)
    leave(monkeypatch, 6.6)
    look(tmp_path, EVERYTHING)


def test_what_local_up_asks_for_is_left_by_a_set_up():
    made = sum(step.megabytes for step in EVERYTHING)
    assert plan.needed_megabytes(settings.Paths(Path("/nowhere")), EVERYTHING) - made >= settings.UP_MEGABYTES


def test_the_readme_says_what_is_asked_for():
    readme = " ".join((settings.REPOSITORY / "README.md").read_text().split())
    needed = plan.needed_megabytes(settings.Paths(Path("/nowhere")), EVERYTHING)
    assert f"{needed / 1000:.0f} GB of free disk" in readme


def test_what_is_there_already_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    settings.Paths(tmp_path).spark_home.mkdir()
    todo = [step for step in EVERYTHING if step.name == "wheels"]
    leave(monkeypatch, 0.2)
    look(tmp_path, todo)
    leave(monkeypatch, 0.05)
    with pytest.raises(SetupError, match=r"has 0\.05 GB left; 0\.10 GB are needed"):
        look(tmp_path, todo)


def test_another_python_is_told_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    main = runpy.run_path(str(SCRIPT))["main"]
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    assert main() == 1
    said = capsys.readouterr().err
    assert "Drydock runs on Python 3.11" in said
    assert f"`{sys.executable}` is 3.9" in said
    assert "make PYTHON=" in said
