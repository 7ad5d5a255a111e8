"""The supervisor of the local services: one supervisord per `DRYDOCK_HOME`, spoken to over a unix socket.

It starts nothing by itself: who brings the platform up starts each service and waits for its health. From then on the
supervisor restarts a service that ends; one that ends again and again is given up and shown as FATAL.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from drydock import launch, log_files, processes, settings
from drydock.errors import ServiceFailed, SetupError
from drydock.services import Service, base_environment

SOCKET_PATH_LIMIT = 90  # a unix socket's path has 104 (macOS) or 108 bytes; supervisor binds `<path>.<pid>` first
RPC_TIMEOUT_SECONDS = 10.0
LAUNCH_SECONDS = 15.0
POLL_SECONDS = 0.1
READ_BYTES = 1 << 16
RESTARTS_AT_MOST = 5
WITHIN_SECONDS = 600

# Everything that differs from one install to the next comes by environment variable or relative to the folder that
# supervisord runs in: no path needs quoting here.
_HEAD = """\
[supervisord]
nodaemon=true
silent=true
logfile=../logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=supervisord.pid
identifier=drydock

[unix_http_server]
file=%(ENV_DRYDOCK_SUPERVISOR_SOCKET)s
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command="%(ENV_DRYDOCK_PYTHON)s" -I "%(ENV_DRYDOCK_LAUNCHER)s" services/{name}.json
autostart=false
autorestart=true
startsecs=10
startretries=3
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile=../logs/{name}.log
stdout_logfile_maxbytes={log_bytes}
stdout_logfile_backups={log_backups}
"""


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor says of a service.

    `state` is supervisor's: STOPPED, STARTING, RUNNING, BACKOFF (ended soon after its start, will be tried again),
    STOPPING, EXITED, FATAL (given up) or UNKNOWN. `started_at` is in epoch seconds, None while it does not run.
    `restarts`: how often the supervisor has started it again by itself since `local-up`.
    """

    state: str
    pid: int | None
    started_at: float | None
    complaint: str
    restarts: int = 0

    @property
    def is_up(self) -> bool:
        return self.state in {"RUNNING", "STARTING"}


class Supervisor:
    """The supervisord of one install, running or not."""

    def __init__(self, paths: settings.Paths) -> None:
        self._paths = paths
        self._socket = socket_path(paths)

    def is_running(self) -> bool:
        """It answers. One that was killed, or hangs, does not."""
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException):
            return False

    def launch(self, services: Sequence[Service]) -> None:
        """Start supervisord, and no service yet. Raises ServiceFailed when it does not answer in time."""
        run, logs = self._paths.run, self._paths.logs
        _private_directory(self._socket.parent)
        for directory in (run, run / "services", logs):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for service in services:
            write_specification(run, service)
        configuration = run / "supervisord.conf"
        configuration.write_text(render_configuration(services))
        self._socket.unlink(missing_ok=True)
        with (logs / "supervisord.out").open("wb") as out:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--configuration", configuration.name],
                cwd=run,
                env=_environment(self._paths, self._socket),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in this terminal is not for it
            )
        processes.record(self._paths, {"supervisord": daemon.pid})
        deadline = time.monotonic() + LAUNCH_SECONDS
        while not self.is_running():
            if daemon.poll() is not None or time.monotonic() > deadline:
                if daemon.poll() is None:
                    daemon.kill()
                    daemon.wait()
                reason = f"ended with code {daemon.returncode}" if daemon.returncode > 0 else "does not answer"
                raise ServiceFailed(
                    f"The supervisor {reason}. Its last lines:\n"
                    + last_lines(logs / "supervisord.out", 10)
                    + f"\nThe whole log: `{logs / 'supervisord.log'}`."
                )
            time.sleep(POLL_SECONDS)
        daemon.returncode = 0  # it lives on when this process ends, and is nobody's child to be waited for

    def start(self, service: Service) -> None:
        """Start a service, without waiting for it. One that is starting or running is left alone."""
        write_specification(self._paths.run, service)
        try:
            self._call("supervisor.startProcess", service.name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise ServiceFailed(f"The supervisor does not start {service.name}: {fault.faultString}.") from fault

    def stop(self, names: Iterable[str], seconds: float) -> list[str]:
        """Stop services together and wait until they have ended. Returns the names of those that ran.

        After a service's own `stop_seconds` the supervisor kills it; ServiceFailed is raised when one is still there
        after `seconds`.
        """
        before = self.states()
        chosen = [name for name in names if name in before and before[name].state not in {"STOPPED", "FATAL", "EXITED"}]
        for name in chosen:
            try:
                self._call("supervisor.stopProcess", name, False)
            except xmlrpc.client.Fault as fault:
                if "NOT_RUNNING" not in fault.faultString:
                    raise ServiceFailed(f"The supervisor does not stop {name}: {fault.faultString}.") from fault
        deadline = time.monotonic() + seconds
        while remaining := [name for name in chosen if self.states()[name].pid is not None]:
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{', '.join(remaining)} did not end within {seconds:.0f} s.")
            time.sleep(POLL_SECONDS)
        return chosen

    def states(self) -> dict[str, ProcessState]:
        """Service name → what the supervisor says of it."""
        return {
            info["name"]: ProcessState(
                state=info["statename"],
                pid=info["pid"] or None,
                started_at=float(info["start"]) if info["pid"] else None,
                complaint=info["spawnerr"],
                restarts=self._restarts(info["name"]),
            )
            for info in self._call("supervisor.getAllProcessInfo")
        }

    def record_processes(self) -> None:
        """Write down the pids of the supervisor and of all services that run now."""
        processes.record(self._paths, {"supervisord": self.pid(), **self.service_pids()})

    def forget_restarts(self) -> None:
        """From now on they are counted anew."""
        for file in (self._paths.run / "services").glob("*.restarts"):
            file.write_text("")

    def pid(self) -> int:
        """supervisord's own."""
        return int(self._call("supervisor.getPID"))

    def service_pids(self) -> dict[str, int]:
        """Service name → pid, of those that have a process now."""
        return {name: state.pid for name, state in self.states().items() if state.pid is not None}

    def shut_down(self, seconds: float = 60.0) -> None:
        """End supervisord, and with it every service that still runs; wait until it is gone."""
        try:
            daemon = psutil.Process(self.pid())
            self._call("supervisor.shutdown")
        except (OSError, http.client.HTTPException, psutil.NoSuchProcess):
            return
        try:
            daemon.wait(timeout=seconds)
        except psutil.TimeoutExpired:
            daemon.send_signal(signal.SIGKILL)

    def _restarts(self, name: str) -> int:
        try:
            return len((self._paths.run / "services" / f"{name}.restarts").read_text().splitlines())
        except FileNotFoundError:
            return 0

    def _call(self, method: str, *arguments: str | bool) -> Any:
        """Call supervisor's XML-RPC. Raises OSError or HTTPException when it does not answer, Fault when it refuses."""
        connection = _UnixConnection(self._socket)
        try:
            body = xmlrpc.client.dumps(arguments, method)
            connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise http.client.HTTPException(f"{method} was answered with {answer.status} {answer.reason}")
        return xmlrpc.client.loads(content)[0][0]


def socket_path(paths: settings.Paths) -> Path:
    """The supervisor's socket: in `DRYDOCK_HOME/run`, or in a private folder under /tmp where that path is too long."""
    inside = paths.run / "supervisor.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    # Not the caller's TMPDIR: every command has to find the same socket.
    return Path("/tmp") / f"drydock-{os.getuid()}-{processes.install_id(paths)}" / "supervisor.sock"  # noqa: S108


def render_configuration(services: Iterable[Service]) -> str:
    """supervisord.conf. It holds names and times only: commands and environments are in the services' own files."""
    bounds = {"log_bytes": log_files.MAX_BYTES, "log_backups": log_files.BACKUPS}
    programs = (_PROGRAM.format(name=it.name, stop_seconds=it.stop_seconds, **bounds) for it in services)
    return _HEAD + "".join(programs)


def write_specification(run: Path, service: Service) -> None:
    """What `launch` reads when the supervisor starts the service, and `waves` when it is time to stop.

    Its next start is no restart.
    """
    document = {
        "wave": service.wave,
        "directory": str(service.directory),
        "command": list(service.command),
        "environment": dict(service.environment),
        "restarts_at_most": RESTARTS_AT_MOST,
        "within_seconds": WITHIN_SECONDS,
    }
    service.directory.mkdir(parents=True, exist_ok=True)
    file = run / "services" / f"{service.name}.json"
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(document, indent=2) + "\n")
    draft.replace(file)
    file.with_suffix(".restarts").unlink(missing_ok=True)


def waves(paths: settings.Paths) -> dict[str, int]:
    """The wave of each service that was ever started here, by what was written when it was."""
    files = sorted((paths.run / "services").glob("*.json"))
    return {file.stem: int(json.loads(file.read_text())["wave"]) for file in files}


def last_lines(file: Path, count: int) -> str:
    """The last `count` lines of a log, read from its end; a sentence when there are none."""
    content = b""
    try:
        with file.open("rb") as stream:
            position = stream.seek(0, os.SEEK_END)
            while position > 0 and content.count(b"\n") <= count:
                size = min(position, READ_BYTES)
                position = stream.seek(position - size)
                content = stream.read(size) + content
    except FileNotFoundError:
        pass
    return "\n".join(content.decode(errors="replace").splitlines()[-count:]) or "(its log is empty)"


def _environment(paths: settings.Paths, socket_file: Path) -> dict[str, str]:
    named = {
        "DRYDOCK_SUPERVISOR_SOCKET": socket_file,
        "DRYDOCK_PYTHON": Path(sys.executable),
        "DRYDOCK_LAUNCHER": Path(launch.__file__),
    }
    for name, path in named.items():
        if any(character in str(path) for character in '"\\\n'):
            raise SetupError(
                f"`{path}` has a quote, a backslash or a line break in it: choose another folder ({name})."
            )
    return {**base_environment(paths), **{name: str(path) for name, path in named.items()}}


def _private_directory(directory: Path) -> None:
    """Only its owner may reach the socket: it can start and stop everything."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if directory.is_symlink() or status.st_uid != os.getuid():
        raise SetupError(f"`{directory}`, where the supervisor's socket should be, is not your own folder. Remove it.")
    directory.chmod(0o700)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, socket_file: Path) -> None:
        super().__init__("supervisor", timeout=RPC_TIMEOUT_SECONDS)
        self._socket_file = socket_file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(RPC_TIMEOUT_SECONDS)
        try:
            self.sock.connect(str(self._socket_file))
        except OSError:
            self.close()
            raise
