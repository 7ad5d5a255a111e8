"""The program between the node and everything long-lived that it runs: `python -I -m drydock_emr.node.runner FOLDER`.

It outlives the node. It reads `FOLDER/spec.json`, starts the command in a process group of its own, and writes down
what a node that comes back needs to know, each file whole or not there:

- `FOLDER/runner.json` {"pid", "create_time"} of itself, before the command is started; when there is no room left for
  it, a node has given the command up meanwhile, and it is not started;
- `FOLDER/process.json` {"runner": {"pid", "create_time"}, "child": {"pid", "create_time"}, "started_at"};
- `FOLDER/exit.json` {"exit_code", "ended_at"}: negative codes are signals, as Python's subprocess counts;
- `<processes>/<pid>.json` {"pid", "create_time", "what"} of itself, as long as it lives: who has to clean up after a
  killed node ends this process with all its descendants.

On Linux it is the subreaper of all that comes from the command: what calls `setsid`, clears its environment and is
orphaned is still its descendant and can be found. Therefore it stays after the command's end while any of that lives,
as EMR leaves a step's or bootstrap action's daemons running. SIGTERM and SIGINT are passed on to the command.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import psutil

from drydock_emr.node.files import write_json, write_reserved

CANNOT_RUN = 1
"""The exit code when the command cannot be started: the Java program in this place on EMR ends with 1 as well."""

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    folder = Path(sys.argv[1])
    spec = json.loads((folder / "spec.json").read_text())
    registration = Path(spec["processes"]) / f"{os.getpid()}.json"
    runner = identity(os.getpid())
    with contextlib.suppress(OSError):  # no room: then it is found by the environment it has
        write_json(registration, {**runner, "what": spec["what"]})
    _become_subreaper()
    try:
        try:
            write_reserved(folder / "runner.json", runner)
        except FileNotFoundError:
            sys.exit(f"The {spec['what']} was given up before its runner came to life; it is not started.")
        exit_code = _run(folder, spec, runner)
        write_reserved(folder / "exit.json", {"exit_code": exit_code, "ended_at": time.time()})
        _outlive_descendants()
    finally:
        registration.unlink(missing_ok=True)


def identity(pid: int) -> dict[str, float | int]:
    """What tells a process from a later one with its pid."""
    return {"pid": pid, "create_time": psutil.Process(pid).create_time()}


def _run(folder: Path, spec: dict[str, Any], runner: dict[str, float | int]) -> int:
    with Path(spec["stdout"]).open("ab") as stdout, Path(spec["stderr"]).open("ab", buffering=0) as stderr:
        started_at = time.time()
        # A signal that arrives before there is a command to pass it on to waits until there is one.
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        try:
            child = subprocess.Popen(
                spec["argv"],
                cwd=spec["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
                preexec_fn=_unblock,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL byte, or text that has no bytes
            reason = f"error={error.errno}, {error.strerror}" if isinstance(error, OSError) else str(error)
            sentence = f'Cannot run program "{spec["argv"][0]}" (in directory "{spec["cwd"]}"): {reason}\n'
            _say(stderr, sentence)
            exit_code = CANNOT_RUN
            write_reserved(folder / "process.json", {"runner": runner, "child": None, "started_at": started_at})
        else:
            _pass_signals_on(child.pid)
            write_reserved(
                folder / "process.json", {"runner": runner, "child": identity(child.pid), "started_at": started_at}
            )
            exit_code = _wait(child.pid)
        if spec["epitaph"]:
            shown = exit_code if exit_code >= 0 else 128 - exit_code  # as a shell, and so EMR's runner, counts
            _say(stderr, spec["epitaph"].format(shown))
    return exit_code


def _say(stderr: BinaryIO, text: str) -> None:
    """A full disk may swallow a word, but not the exit code that comes after it."""
    with contextlib.suppress(OSError):
        stderr.write(text.encode("utf-8", "backslashreplace"))


PASSED_ON = (signal.SIGTERM, signal.SIGINT)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def _pass_signals_on(child_pid: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        try:
            os.killpg(child_pid, number)
        except ProcessLookupError:
            return

    for number in PASSED_ON:
        signal.signal(number, forward)
    _unblock()


def _wait(child_pid: int) -> int:
    """Reap until the command itself has ended; as a subreaper this process also gets orphans to bury."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child_pid:
            return os.waitstatus_to_exitcode(status)


def _outlive_descendants() -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    for number in PASSED_ON:
        signal.signal(number, forward)
    _unblock()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _become_subreaper() -> None:
    """Linux only; elsewhere orphans are found by the environment they inherited."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
