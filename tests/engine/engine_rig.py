"""Kestra's engine as a process of the tests' own: its folder, its port, its client."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drydock import kestra
from drydock.executions import ENDED
from drydock.kestra import Kestra
from drydock.settings import LOOPBACK
from drydock.toolchain import engine
from tests.running import INSTALLED, free_port, wait_for

NAMESPACE = "drydock.test"
STOP_SECONDS = 60


class Engine:
    """An engine whose flows are in `flows`. What it wrote is in `log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flows = folder / "flows"
        self.password_file = folder / "password"
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.flows.mkdir(parents=True)
        self.password_file.write_text("Tested-by-1-person\n")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def flow(self, name: str, text: str) -> None:
        """A flow's file: its id is `name`."""
        (self.flows / f"{name}.yaml").write_text(f"id: {name}\nnamespace: {NAMESPACE}\n{text}")

    def launch(self) -> None:
        """Start it, without waiting for anything."""
        variables = engine.environment(self.folder / "data", self.flows, self.port, self.password_file)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                engine.command(INSTALLED),
                env={"PATH": os.defpath, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        self.launch()
        with self.client() as client:
            client.await_up(self.lives)

    def lives(self) -> bool:
        assert self.process is not None
        return self.process.poll() is None

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @contextmanager
    def client(self) -> Iterator[Kestra]:
        with kestra.client(self.url, self.password_file) as client:
            yield client


def await_end(client: Kestra, execution_id: str, seconds: float = 30) -> dict[str, Any]:
    """The execution, when it has ended."""

    def ended() -> dict[str, Any] | None:
        found = client.execution(execution_id)
        return found if found["state"]["current"] in ENDED else None

    found = wait_for(ended, f"the end of execution {execution_id}", seconds)
    assert found is not None
    return found


def await_task(client: Kestra, execution_id: str, task: str, state: str) -> None:
    """Until a task of the execution is in this state."""

    def reached() -> bool:
        runs = client.execution(execution_id).get("taskRunList") or []
        return any(run["taskId"] == task and run["state"]["current"] == state for run in runs)

    wait_for(reached, f"task {task} to be {state}")
