"""`make aws-ui`: the pages of the Kestra that runs on its host in the account, at a port of this machine, until Ctrl-C.

Systems Manager forwards the port; nothing of the host is open to anybody. The AWS CLI holds the session.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from drydock import output, ports, settings
from drydock.errors import ServiceFailed, SetupError
from drydock.interrupts import Signals
from drydock.on_aws import account, kestra_host
from drydock.on_aws.kestra_host import Host
from drydock.ports import Listener
from drydock.site import Site

PLUGIN = "session-manager-plugin"
KESTRA_PORT = 8080  # on the host's own loopback, as compose/compose.yaml publishes it
OPEN_SECONDS = 60
END_SECONDS = 10
POLL_SECONDS = 0.3
SHOWN_LINES = 5


def aws_ui() -> None:
    """Show Kestra's pages, on its host in the AWS account that the environment leads to, until Ctrl-C."""
    found = account.opened(settings.Paths())
    where = found.site
    host = kestra_host.running(where, found.title)
    program = _cli(where.paths)
    port = settings.Ports().aws_ui
    ports.require_free([Listener(settings.LOOPBACK, port, "Kestra's pages on AWS")])
    with Signals().caught() as signals, _session(where, host, program, port) as (process, log):
        url = f"http://{settings.LOOPBACK}:{port}"
        with output.stage(f"Opening a session to {host.instance_id}"):
            _await_pages(url, process, log, signals)
        if signals.first is None:
            output.done(f"Kestra of {found.title}: {url}")
            output.say(f"  user       {settings.KESTRA_USERNAME}")
            output.say(f"  password   {kestra_host.how_to_log_in(where)}")
            output.say("  Ctrl-C ends it.")
        while signals.first is None:
            _require_alive(process, log)
            time.sleep(POLL_SECONDS)
    output.done("The session is over.")


def _cli(paths: settings.Paths) -> Path:
    """The AWS CLI, with its plug-in there to be found. Raises SetupError."""
    program = paths.environment("workspace") / "bin" / "aws"
    if not program.exists():
        raise SetupError(f"The AWS CLI, `{program}`, is not there.", "`make setup` makes it.")
    if shutil.which(PLUGIN) is None:
        raise SetupError(
            f"`{PLUGIN}`, AWS's own program, by which the AWS CLI opens sessions, is not on the PATH.",
            "AWS's documentation, «Install the Session Manager plugin for the AWS CLI», has a package for each system.",
        )
    return program


@contextmanager
def _session(where: Site, host: Host, program: Path, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The session's process and what it says, for as long as the context lasts."""
    log = where.directory / "aws-ui.log"
    command = [
        *(str(program), "ssm", "start-session", "--target", host.instance_id),
        *("--document-name", "AWS-StartPortForwardingSession"),
        *("--parameters", f"portNumber={KESTRA_PORT},localPortNumber={port}"),
    ]
    with where.account.environment(where.directory) as variables, log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},  # the caller's own program, with the caller's own credentials
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it, and its plug-in, from here alone
        )
        try:
            yield process, log
        finally:
            _end(process)


def _await_pages(url: str, process: "subprocess.Popen[bytes]", log: Path, signals: Signals) -> None:
    """Until Kestra answers, or somebody has had enough. Raises ServiceFailed."""
    deadline = time.monotonic() + OPEN_SECONDS
    with httpx.Client(trust_env=False, timeout=POLL_SECONDS * 10) as http:
        while signals.first is None:
            _require_alive(process, log)
            try:
                if http.get(f"{url}/ping").is_success:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline:
                raise ServiceFailed(
                    f"Kestra does not answer through the session within {OPEN_SECONDS} s.{_last_lines(log)}",
                    "`make aws-status` says what its host runs.",
                )
            time.sleep(POLL_SECONDS)


def _require_alive(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.poll() is not None:
        raise ServiceFailed(f"The session has ended ({process.returncode}).{_last_lines(log)}")


def _last_lines(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-SHOWN_LINES:]
    return "".join(["\nIt said last:", *(f"\n    {line}" for line in lines), "\n"]) if lines else ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    """As Ctrl-C ends a session: the plug-in tells Systems Manager of it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
