"""One run of Terraform: its environment, its events as it tells them in JSON, its failures as sentences, its end."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from drydock import lock, log_files, output, processes, settings
from drydock.errors import SetupError
from drydock.toolchain import network
from drydock.toolchain.stamps import write_file

# Of the caller's environment: where things are, and what the way to a registry asks for.
INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_CONFIG_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"),
)

# In its folder: what it says; held by it as long as it lives; and since when a run has not been seen to end.
SAID, ALIVE, BEGAN = "drydock.said.jsonl", "drydock.alive", "drydock.began"
LOOK_SECONDS = 0.05
CLOCK_TOLERANCE = timedelta(seconds=1)  # Terraform's time of a lock is told here in whole seconds

Event = dict[str, Any]  # a line of `terraform -json`; its `type` says what else it has


@dataclass(frozen=True)
class Changes:
    """How many resources a run adds, changes and removes."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    @classmethod
    def of(cls, summary: Event) -> "Changes":
        """From an event of type `change_summary`."""
        return cls(*(summary["changes"][name] for name in ("add", "change", "remove")))

    @property
    def total(self) -> int:
        return self.added + self.changed + self.removed

    def __str__(self) -> str:
        return f"{self.added} added, {self.changed} changed, {self.removed} removed"


@dataclass
class Result:
    """What a run did."""

    changes: Changes = field(default_factory=Changes)
    outputs: dict[str, Any] = field(default_factory=dict)


def environment(paths: settings.Paths) -> dict[str, str]:
    """What Terraform sees of its caller's environment. A configuration file that is not there is left out.

    Terraform knows SSL_CERT_FILE alone: authorities that are named to others only are named to it as well.
    """
    callers = network.environment()
    inherited = {name: callers[name] for name in INHERITED if callers.get(name)}
    configuration = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if Path(configuration).is_file():
        inherited["TF_CLI_CONFIG_FILE"] = configuration
    return {
        **inherited,
        "CHECKPOINT_DISABLE": "1",  # asks nobody whether there is a newer Terraform
        "TF_IN_AUTOMATION": "1",
        processes.MARKER: processes.install_id(paths),
    }


class TerraformKilled(SetupError):
    """It was ended by a signal, so what it has made may be more than its state tells."""


class StateLocked(SetupError):
    """Terraform's state is locked: `who` by (`user@host`), and since when (None when it is not told)."""

    def __init__(self, message: str, who: str, since: datetime | None) -> None:
        super().__init__(message)
        self.who, self.since = who, since


@dataclass(frozen=True)
class KilledRun:
    """A run that nobody has seen the end of, and that is over."""

    began: datetime
    last_said: datetime

    def left(self, locked: StateLocked) -> bool:
        """Whether the lock is that run's: this user's on this machine, and taken while that run was alive. As long as
        it held the lock, nobody else could take one."""
        myself = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
        if locked.who != myself or locked.since is None:
            return False
        return self.began - CLOCK_TOLERANCE <= locked.since <= self.last_said


@dataclass(frozen=True)
class Terraform:
    """Terraform on one configuration. `log` gets all that it says in the last run of each command and before.

    It writes to a file and holds a lock for as long as it lives: when its caller is killed it goes on to its end, saves
    what it has made, and the next run waits for that.
    """

    directory: Path
    environment: dict[str, str]
    log: Path
    unlock: str
    """The command that releases a lock that was left on its state."""
    release: Callable[[], None]
    """Does the same."""

    def run(self, command: str, *arguments: str, on_event: Callable[[Event], None] = lambda event: None) -> Result:
        """Run a command that knows `-json`. Raises SetupError with Terraform's own words when it fails.

        A lock on the state that a Terraform of this folder left, because it was killed, is released.
        """
        program = shutil.which("terraform", path=self.environment.get("PATH"))
        if program is None:
            raise SetupError(
                "`terraform` is not on the PATH. `make setup` says which version is needed, and where from."
            )
        whole = [program, f"-chdir={self.directory}", command, "-json", "-input=false", *arguments]
        with lock.held(self.directory / ALIVE, "A verb", _await_end_of) as alive:
            killed = self._killed_run()
            with self._noted():
                try:
                    return self._run(whole, alive, on_event)
                except StateLocked as locked:
                    if killed is None or not killed.left(locked):
                        raise
                    output.warn("A Terraform that was killed here has left a lock on its state: released.")
                    self.release()
                    return self._run(whole, alive, on_event)

    def _killed_run(self) -> "KilledRun | None":
        """The run that was begun here and has not been seen to end by itself, if there is one."""
        note, said = self.directory / BEGAN, self.directory / SAID
        if not (note.is_file() and said.is_file()):
            return None
        return KilledRun(
            began=datetime.fromisoformat(note.read_text()),
            last_said=datetime.fromtimestamp(said.stat().st_mtime, UTC),
        )

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Keep a note of when a run began until it is seen to end by itself."""
        note = self.directory / BEGAN
        if not note.is_file():
            write_file(note, datetime.now(UTC).isoformat())
        try:
            yield
        except TerraformKilled:
            raise
        except BaseException:
            note.unlink()
            raise
        note.unlink()

    def _run(self, command: list[str], alive: int, on_event: Callable[[Event], None]) -> Result:
        result, errors, other, is_making = Result(), [], [], False
        with (
            log_files.open_to_append(self.log) as log,
            (self.directory / SAID).open("wb") as said,
            (self.directory / SAID).open("rb") as saying,
            subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=(alive,),
                start_new_session=True,  # Ctrl-C reaches it from here alone, see _stop
            ) as process,
        ):
            lock.note_holder(alive, "Terraform", process.pid)
            try:
                for line in _lines(saying, process):
                    log.write(line)
                    event = _event(line)
                    if event is None:
                        other.append(line.strip())
                        continue
                    is_making |= event["type"] == "apply_start" and event["hook"]["action"] != "read"
                    if event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
                        errors.append(event["diagnostic"])
                    elif event["type"] == "change_summary":
                        result.changes = Changes.of(event)
                    elif event["type"] == "outputs":
                        result.outputs = {name: value.get("value") for name, value in event["outputs"].items()}
                    on_event(event)
            except BaseException:
                _stop(process, is_making)
                raise
        if process.returncode < 0:
            told = signal.Signals(-process.returncode).name
            raise TerraformKilled(f"Terraform was ended by {told}. The same command goes on from what it had noted.")
        if process.returncode != 0:
            raise self._failure(command[2], process.returncode, errors, other)
        return result

    def show(self, plan: Path) -> dict[str, Any]:
        """A plan that was written down, as Terraform tells it (`terraform show -json`). Raises SetupError."""
        command = ["terraform", f"-chdir={self.directory}", "show", "-json", plan.name]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise SetupError(f"`terraform show` failed: {ended.stderr.strip()}")
        told: dict[str, Any] = json.loads(ended.stdout)
        return told

    def _failure(self, command: str, code: int, errors: list[dict[str, Any]], other: list[str]) -> SetupError:
        for error in errors:
            if "state lock" in error["summary"]:
                return self._locked(error["detail"])
        told = [_sentence(error) for error in errors] or other[-3:] or [f"it ended with code {code} and said nothing"]
        more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
        return SetupError(
            f"`terraform {command}` failed: {' '.join(told[:3])}{more}\n"
            f"All that it said is in `{self.log}`. What it made stays, and the same command goes on from there."
        )

    def _locked(self, detail: str) -> StateLocked:
        known = dict(re.findall(r"^\s*(Who|Created|Operation):\s+(.+)$", detail, re.MULTILINE))
        return StateLocked(
            f"Terraform's state is locked by {known.get('Who', 'somebody')} since {known.get('Created', 'some time')} "
            f"({known.get('Operation', 'unknown operation')}). If another Terraform is at work, wait for it; if it was "
            f"killed, release its lock: `{self.unlock}`",
            known.get("Who", ""),
            _moment(known.get("Created", "")),
        )


def _await_end_of(holder: str) -> None:
    """Wait for a Terraform whose caller was killed. If it was killed as well it has left its providers, which hold what
    it held and are of no use any more."""
    output.warn(f"{holder}, whose caller was killed, is still at work here: waiting until it has finished.")
    if (found := re.fullmatch(r"Terraform \(pid (\d+)\)", holder)) is None:
        return
    terraform = int(found[1])
    while not _has_ended(terraform):
        time.sleep(LOOK_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(terraform, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _moment(text: str) -> datetime | None:
    """`2026-01-31 10:00:00.123456789 +0000 UTC`, as Terraform tells it."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)", text)
    return datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00") if found else None


def _lines(stream: BinaryIO, process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What it writes, a line as soon as it is there, until it has ended."""
    unfinished = b""
    has_ended = False
    while not has_ended:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            has_ended = True
        *lines, unfinished = (unfinished + stream.read()).split(b"\n")
        yield from (f"{line.decode(errors='replace')}\n" for line in lines)
    if unfinished:
        yield unfinished.decode(errors="replace")


def _event(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "type" in event else None


def _sentence(diagnostic: dict[str, Any]) -> str:
    detail = " ".join(diagnostic.get("detail", "").split())
    where = f" ({diagnostic['address']})" if diagnostic.get("address") else ""
    return f"{diagnostic['summary']}{where}{': ' + detail if detail else '.'}"


def _stop(process: "subprocess.Popen[bytes]", is_making: bool) -> None:
    """Wait until Terraform has ended, after an interrupt.

    While it only looks, it is asked to stop at once. While it makes something, it is let finish, which takes less than
    half a minute: when it is asked to stop, the AWS provider drops the requests that are under way, so something may be
    made that no state knows of, and the next apply fails because it exists. A second interrupt asks it all the same.
    """
    if not is_making:
        process.send_signal(signal.SIGINT)
    elif process.poll() is None:
        output.warn("Terraform is let finish what it has begun, so that its state is true. Ctrl-C again stops it now.")
    while True:
        try:
            process.wait()
        except KeyboardInterrupt:
            # Only once: at the second signal Terraform ends without saving its state.
            if not is_making:
                output.warn("Terraform has been asked to stop, and is saving its state.")
                continue
            is_making = False
            process.send_signal(signal.SIGINT)
        else:
            return
