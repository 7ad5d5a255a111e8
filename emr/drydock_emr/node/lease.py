"""A command that is run once, and what is on disk about it: steps, bootstrap actions and daemons all run like this.

The folder tells the whole story, so a node that was killed and comes back reads it on:

    nothing                  not started
    spec.json                meant to be started: from here on it is never started again
    runner.json              about to be started, with the runner's pid and creation time (written by `runner`)
    process.json             started, with the pids and their creation times (written by `runner`)
    exit.json                ended, with its exit code (written by `runner`)

spec.json without a living process and without exit.json: VANISHED. Who finds that the runner does not come withdraws
the room reserved for runner.json; a runner that comes all the same cannot write it, and starts nothing.
"""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from drydock_emr.node import processes
from drydock_emr.node.files import read_json, reserve, withdraw, write_json
from drydock_emr.node_protocol import LeaseState

START_GRACE_SECONDS = 10.0
"""How long after spec.json was written a runner that is not this process's child may take to write runner.json."""

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Status:
    """What became of the command, by its folder. Times are epoch seconds."""

    state: LeaseState
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    pid: int | None = None


class Lease:
    """One command in one folder. Several Lease objects of one folder see the same: the truth is on disk."""

    def __init__(self, folder: Path, processes_folder: Path) -> None:
        self.folder = folder
        self._processes_folder = processes_folder
        self._runner: subprocess.Popen[bytes] | None = None

    @property
    def was_started(self) -> bool:
        return (self.folder / "spec.json").exists()

    def start(
        self,
        argv: Sequence[str],
        *,
        what: str,
        environment: Mapping[str, str],
        cwd: Path,
        stdout: Path,
        stderr: Path,
        epitaph: str | None = None,
    ) -> None:
        """Start the command, detached from this process. `epitaph`, formatted with the exit code, ends its stderr.

        Raises FileExistsError when it was started before, by this node or the one before it; OSError when there is no
        room to write down what will become of it: then it was not started.
        """
        if self.was_started:
            raise FileExistsError(f"The command in {self.folder} was started before and is never run again.")
        self._processes_folder.mkdir(parents=True, exist_ok=True)
        for name in ("runner.json", "process.json", "exit.json"):
            reserve(self.folder / name)
        write_json(
            self.folder / "spec.json",
            {
                "argv": list(argv),
                "what": what,
                "cwd": str(cwd),
                "stdout": str(stdout),
                "stderr": str(stderr),
                "epitaph": epitaph,
                "processes": str(self._processes_folder),
                "spawned_at": time.time(),
            },
        )
        self._runner = subprocess.Popen(
            [sys.executable, "-I", "-m", "drydock_emr.node.runner", str(self.folder)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        # It may outlive the command and all that look after it here; a thread buries it whenever it ends.
        threading.Thread(target=self._runner.wait, name="runner", daemon=True).start()

    def status(self) -> Status:
        """What the folder and the process table say now. Once VANISHED, the command is not started any more."""
        if (ended := self._ended()) is not None:
            return ended
        spec, process = read_json(self.folder / "spec.json"), read_json(self.folder / "process.json")
        if spec is None:
            return Status(LeaseState.STARTING)
        if process is None:
            gone = self._will_not_start(float(spec["spawned_at"]))
            return self._ended() or Status(LeaseState.VANISHED if gone else LeaseState.STARTING)
        started_at = float(process["started_at"])
        if self.runner() is not None:  # also while the command is gone and its exit code about to be written
            return Status(LeaseState.RUNNING, started_at, pid=process["child"] and process["child"]["pid"])
        if process["child"] and (orphan := processes.find(process["child"]["pid"], process["child"]["create_time"])):
            return Status(LeaseState.RUNNING, started_at, pid=orphan.pid)  # somebody killed the runner
        return self._ended() or Status(LeaseState.VANISHED, started_at)

    async def wait(self) -> Status:
        """Until it has ended, or vanished."""
        while True:
            status = self.status()
            if status.state in {LeaseState.EXITED, LeaseState.VANISHED}:
                return status
            await asyncio.sleep(POLL_SECONDS)

    async def ends_by(self, timeout_seconds: float) -> bool:
        """Whether it ends within so many seconds of its start. Returns as soon as either is so."""
        while (status := self.status()).state not in {LeaseState.EXITED, LeaseState.VANISHED}:
            if status.started_at is not None and time.time() - status.started_at > timeout_seconds:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    def runner(self) -> psutil.Process | None:
        """The runner's process; it outlives the command while what that left behind lives."""
        process = read_json(self.folder / "process.json")
        return processes.find(process["runner"]["pid"], process["runner"]["create_time"]) if process else None

    def tree(self, marker: Mapping[str, str] | None = None) -> set[psutil.Process]:
        """All that comes from the command: its runner's descendants, and whoever carries `marker`; not the runner."""
        runner = self.runner()
        found = processes.with_descendants([runner] if runner else [])
        if marker:
            found |= processes.carrying(dict(marker))
        return found - {runner}

    def interrupt(self) -> None:
        """SIGTERM to every process of the tree, once."""
        processes.send(self.tree(), signal.SIGTERM)

    def kill(self, marker: Mapping[str, str] | None = None) -> None:
        """SIGKILL to every process of the tree until none is left. Blocks; the runner writes the exit code."""
        processes.end(lambda: self.tree(marker), grace_seconds=0)

    def _will_not_start(self, spawned_at: float) -> bool:
        """Of a command without process.json; makes sure of it where it says so.

        A machine that is overloaded or was asleep keeps a runner waiting for any time, so lateness says something only
        of a runner that cannot be looked at: a former node's that has not written runner.json.
        """
        if (runner := read_json(self.folder / "runner.json")) is not None:
            return processes.find(runner["pid"], runner["create_time"]) is None
        if self._runner is not None:
            return self._runner.returncode is not None
        if time.time() - spawned_at <= START_GRACE_SECONDS:
            return False
        withdraw(self.folder / "runner.json")
        return not (self.folder / "runner.json").exists()  # written at the last moment: it was faster

    def _ended(self) -> Status | None:
        ended, process = read_json(self.folder / "exit.json"), read_json(self.folder / "process.json")
        if ended is None:
            return None
        started_at = float(process["started_at"]) if process else None
        return Status(LeaseState.EXITED, started_at, float(ended["ended_at"]), int(ended["exit_code"]))
