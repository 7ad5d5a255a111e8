"""The `controller` log of a step or bootstrap action, in the words of EMR's.

After logs of the service that people have published: «INFO startExec …», «INFO Environment:»,
«INFO waitProcessCompletion ended with exit code 1», «INFO total process run time: 8 seconds»,
«WARN Step failed with exitCode 1 and took 8 seconds».
«Command exiting with ret '1'» is the last line of a step's stderr, there as here.
"""

import logging
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drydock_emr.node import environment

log = logging.getLogger(__name__)

EPITAPH = "Command exiting with ret '{}'\n"
"""What EMR's command-runner writes at the end of stderr."""


class ControllerLog:
    """Appends to one controller log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, text: str, level: str = "INFO") -> None:
        """A line with its time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(f"{now} {level} {text}\n")

    def started(self, argv: Sequence[str], variables: Mapping[str, str], cwd: Path, logs: Path) -> None:
        """Before the command is run. Arguments are quoted as a shell would need them, so that blanks can be seen."""
        lines = "".join(f"  {line}\n" for line in environment.shown(variables))
        self.note(f"startExec {shlex.join(argv)}")
        self._write(
            f"INFO Environment:\n{lines}INFO redirectOutput to {logs / 'stdout'}\n"
            f"INFO redirectError to {logs / 'stderr'}\nINFO Working dir {cwd}\n"
        )

    def running(self, pid: int) -> None:
        self.note(f"ProcessRunner started child process {pid}")

    def ended(self, exit_code: int | None, seconds: float) -> None:
        """After the command has ended. `exit_code` is negative for a signal, None when it vanished without one."""
        if exit_code is None:
            self.note("The process is gone and left no exit code; it is not run again.", "ERROR")
            return
        shown = f"{exit_code}" if exit_code >= 0 else f"{128 - exit_code} (signal {-exit_code})"
        self._write(
            f"INFO waitProcessCompletion ended with exit code {shown}\n"
            f"INFO total process run time: {seconds:.0f} seconds\n"
        )

    def _write(self, text: str) -> None:
        """What cannot be written (the disk is full, say) is in the node's own log; a log decides nothing."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)  # a step may have removed it
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            log.warning("%s cannot be written: %s. It lacks: %s", self._path, error, text.rstrip())
