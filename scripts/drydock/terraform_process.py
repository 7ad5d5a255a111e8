"""One run of Terraform: its environment, its events as it tells them in JSON, its failures as sentences, its end."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drydock import log_files, output, processes, settings
from drydock.errors import SetupError
from drydock.toolchain import network

# Of the caller's environment: where things are, and what the way to a registry asks for.
INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_CONFIG_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"),
)

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


@dataclass(frozen=True)
class Terraform:
    """Terraform on one configuration. `log` gets all that it says in the last run of each command and before."""

    directory: Path
    environment: dict[str, str]
    log: Path
    unlock: str
    """The command that releases a lock that was left on its state."""

    def run(self, command: str, *arguments: str, on_event: Callable[[Event], None] = lambda event: None) -> Result:
        """Run a command that knows `-json`. Raises SetupError with Terraform's own words when it fails."""
        program = shutil.which("terraform", path=self.environment.get("PATH"))
        if program is None:
            raise SetupError(
                "`terraform` is not on the PATH. `make setup` says which version is needed, and where from."
            )
        result, errors, other, is_making = Result(), [], [], False
        with (
            log_files.open_to_append(self.log) as log,
            subprocess.Popen(
                [program, f"-chdir={self.directory}", command, "-json", "-input=false", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C reaches it from here alone, see _stop
            ) as process,
        ):
            assert process.stdout is not None
            try:
                for line in process.stdout:
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
                code = process.wait()
            except BaseException:
                _stop(process, is_making)
                raise
        if code != 0:
            raise SetupError(self._explain(command, code, errors, other))
        return result

    def show(self, plan: Path) -> dict[str, Any]:
        """A plan that was written down, as Terraform tells it (`terraform show -json`). Raises SetupError."""
        command = ["terraform", f"-chdir={self.directory}", "show", "-json", plan.name]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise SetupError(f"`terraform show` failed: {ended.stderr.strip()}")
        told: dict[str, Any] = json.loads(ended.stdout)
        return told

    def _explain(self, command: str, code: int, errors: list[dict[str, Any]], other: list[str]) -> str:
        for error in errors:
            if "state lock" in error["summary"]:
                return self._explain_lock(error["detail"])
        told = [_sentence(error) for error in errors] or other[-3:] or [f"it ended with code {code} and said nothing"]
        more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
        return (
            f"`terraform {command}` failed: {' '.join(told[:3])}{more}\n"
            f"All that it said is in `{self.log}`. What it made stays, and the same command goes on from there."
        )

    def _explain_lock(self, detail: str) -> str:
        known = dict(re.findall(r"^\s*(Who|Created|Operation):\s+(.+)$", detail, re.MULTILINE))
        return (
            f"Terraform's state is locked by {known.get('Who', 'somebody')} since {known.get('Created', 'some time')} "
            f"({known.get('Operation', 'unknown operation')}). If another Terraform is at work, wait for it; if it was "
            f"killed, release its lock: `{self.unlock}`"
        )


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


def _stop(process: "subprocess.Popen[str]", is_making: bool) -> None:
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
            process.communicate()
        except KeyboardInterrupt:
            # Only once: at the second signal Terraform ends without saving its state.
            if not is_making:
                output.warn("Terraform has been asked to stop, and is saving its state.")
                continue
            is_making = False
            process.send_signal(signal.SIGINT)
        else:
            return
