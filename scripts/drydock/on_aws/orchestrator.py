"""Kestra for a deployment, on this machine: its engine runs the same flows, and the driver acts as kestra-role on AWS.

What it runs is a bundle that was deployed, as Kestra's host would, or the checkout's flows and driver.

It is there for as long as a verb needs it; no schedule fires. Executions are kept beside what else is known of the
deployment, and one that a crash has left running is killed when it is opened again.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from drydock import env, kestra, log_files, output, processes, secrets, settings
from drydock.errors import ServiceFailed
from drydock.executions import POLL_SECONDS
from drydock.kestra import Kestra, KestraRefused, KestraUnreachable
from drydock.on_aws import bundles
from drydock.on_aws.bundles import Bundle
from drydock.on_aws.role_credentials import Served, served
from drydock.services import base_environment, kestra_environment
from drydock.site import Site
from drydock.toolchain import engine
from drydock.toolchain.stamps import replacing

STOP_SECONDS = 60
SHOWN_LINES = 12
# AWS may be behind a proxy; what is on loopback is not.
PROXIES = (*env.PROXIES, "NO_PROXY", "no_proxy")


@contextmanager
def opened(where: Site, config: dict[str, Any], bundle: Bundle | None = None) -> Iterator[Kestra]:
    """Kestra with the flows and the driver of a bundle, by default this checkout's, for as long as the context lasts.
    `config` is the platform's.

    One at a time: the caller holds the deployment. Raises ServiceFailed when a flow is refused, or the role is.
    """
    folder = where.directory / "kestra"
    for each in (folder, folder / "data"):
        each.mkdir(mode=0o700, exist_ok=True)
    flows, driver = (where.paths.flows, {}) if bundle is None else _unpacked(where, bundle)
    with (
        served(where.account, config["roles"]["kestra_arn"], folder) as credentials,
        _engine(where, folder, flows, {**driver, **_drivers_aws(where, config, credentials)}) as engine_,
    ):
        yield engine_


@contextmanager
def validating(where: Site) -> Iterator[Kestra]:
    """Kestra with no flow and no way to AWS: for whoever only wants to know what it would say of flows.

    Raises ServiceFailed when it does not come up.
    """
    with TemporaryDirectory(prefix="validation-", dir=where.directory) as private:
        folder = Path(private)
        for each in ("data", "flows"):
            (folder / each).mkdir()
        with _engine(where, folder, folder / "flows", {}) as engine_:
            yield engine_


def _unpacked(where: Site, bundle: Bundle) -> tuple[Path, dict[str, str]]:
    """The folder of the bundle's flows, and the variable by which Python finds its driver before the checkout's."""
    folder = where.directory / "bundle"
    with replacing(folder) as draft:
        bundle.unpack(draft)
    return folder / bundles.FLOWS, {"PYTHONPATH": str(folder / bundles.DRIVER)}


@contextmanager
def _engine(where: Site, folder: Path, flows: Path, drivers: Mapping[str, str]) -> Iterator[Kestra]:
    """`drivers` are variables of the driver's alone."""
    password, log_file = folder / "password", folder / "engine.log"
    secrets.ensure_kestra_password(password)
    with socket.create_server((settings.LOOPBACK, 0)) as reserved:
        port = reserved.getsockname()[1]
    environment = {
        **_inherited(where.paths),
        **kestra_environment(where.paths, folder / "data", port, password),
        "ENGINE_FLOWS": str(flows),
        "ENGINE_SCHEDULES": "false",
        "ENGINE_ATTACHED": "true",
        **drivers,
    }
    with log_files.open_to_append(log_file) as log:
        began = log.tell()
        process = subprocess.Popen(
            engine.command(where.paths),
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,  # it ends when this process does, however that ends
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which ends executions before their engine
        )
        try:
            with kestra.client(environment["DRYDOCK_KESTRA_URL"], password) as running:
                with output.stage("Starting Kestra's engine on this machine"):
                    _await(running, process, log_file, began)
                _end_what_was_left(running, where.stopping_seconds)
                yield running
        finally:
            _end(process)


def _await(running: Kestra, process: "subprocess.Popen[bytes]", log_file: Path, began: int) -> None:
    """`began` is where its log begins. Raises ServiceFailed with what it called an error, or said last."""
    try:
        running.await_up(lambda: process.poll() is None)
    except KestraUnreachable as error:
        with log_file.open(errors="replace") as log:
            log.seek(began)
            lines = log.read().splitlines()
        errors = [line for line in lines if " ERROR " in line] or lines
        said = "\n".join(f"    {line}" for line in errors[-SHOWN_LINES:])
        raise ServiceFailed(f"Kestra's engine did not come up. From its log, `{log_file}`:\n{said}") from error


def _end_what_was_left(running: Kestra, stopping_seconds: int) -> None:
    """Executions of a verb that was killed: an engine goes on with them when it starts."""
    deadline = time.monotonic() + stopping_seconds
    while left := [each["id"] for each in running.live_executions()]:
        if time.monotonic() > deadline:
            raise ServiceFailed(f"Executions that an earlier command had left do not end: {', '.join(left)}.")
        for execution_id in left:
            with suppress(KestraRefused):  # it ends already
                running.kill(execution_id)
        time.sleep(POLL_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _inherited(paths: settings.Paths) -> dict[str, str]:
    """As the local platform's, and the way to AWS; without the mark by which `local-down` finds what it has to end."""
    return {
        **processes.unmarked(base_environment(paths)),
        **{name: os.environ[name] for name in PROXIES if os.environ.get(name)},
    }


def _drivers_aws(where: Site, config: dict[str, Any], credentials: Served) -> dict[str, str]:
    """Where the driver finds AWS, as whom, and the platform there."""
    account = where.account
    return {
        "AWS_REGION": account.region,
        "AWS_DEFAULT_REGION": account.region,
        **({"AWS_ENDPOINT_URL": account.endpoint_url} if account.endpoint_url else {}),
        **credentials.environment(),
        "DRYDOCK_PLATFORM_CONFIG": where.platform_config_uri,
        "DRYDOCK_ROLE_ARN": config["roles"]["kestra_arn"],
    }
