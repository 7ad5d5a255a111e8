"""Locks between processes: one refuses a second holder, the other has it wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drydock import lock, settings
from drydock.errors import DrydockError


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(tmp_path)


def test_a_second_verb_is_refused_and_told_of_the_first(paths: settings.Paths) -> None:
    with (
        lock.exclusive(paths, "local-up"),
        pytest.raises(DrydockError) as refused,
        lock.exclusive(paths, "local-down"),
    ):
        pytest.fail("the lock was given twice")
    assert str(refused.value) == (
        f"`make local-up` (pid {os.getpid()}) is at work on this platform just now. "
        "Wait until it has ended, then try again."
    )
    with lock.exclusive(paths, "local-down"):
        pass  # it was released


def test_a_second_set_up_waits_for_the_first(paths: settings.Paths) -> None:
    program = """
import sys
from pathlib import Path
from drydock import lock, settings
with lock.setting_up(settings.Paths(Path(sys.argv[1])), print):
    print("held", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", program, str(paths.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "held\n"
        warnings = []

        def warn(warning: str) -> None:
            warnings.append(warning)
            holder.stdin.close()  # waiting is what ends the holder

        with lock.setting_up(paths, warn):
            assert holder.wait(10) == 0
        assert warnings == [f"Set-up (pid {holder.pid}) is at work; waiting for it."]


def test_a_holder_that_was_killed_holds_nothing(paths: settings.Paths) -> None:
    program = "import os, sys; from pathlib import Path; from drydock import lock, settings\n"
    program += "with lock.exclusive(settings.Paths(Path(sys.argv[1])), 'local-up'): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program, str(paths.home)], check=False)
    with lock.exclusive(paths, "local-down"):
        assert (paths.run / "lock").read_text() == f"`make local-down` (pid {os.getpid()})"
