"""What tests of running processes share: a port, patience, and the gateway as the platform runs it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from drydock import health, secrets, services, settings

INSTALLED = settings.Paths()  # where the environments are
GATEWAY_SECONDS = 90

T = TypeVar("T")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((settings.LOOPBACK, 0))
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], T], what: str, seconds: float = 30, pause: float = 0.05) -> T:
    """Wait until `condition` finds something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return found


@contextmanager
def gateway(home: Path, *besides: str) -> Iterator[tuple[settings.Paths, settings.Ports]]:
    """A healthy gateway at a free port, with the secrets of `home`; nothing else of the platform runs.

    `besides` are services of AWS's that the platform's own does not serve.
    """
    paths, ports = settings.Paths(home), settings.Ports(offset=free_port() - settings.Ports(offset=0).gateway)
    secrets.ensure(paths)
    paths.environment("gateway").parent.symlink_to(INSTALLED.environment("gateway").parent)
    service = services.gateway(paths, ports)
    service.directory.mkdir(parents=True)
    environment = {**service.environment, "SERVICES": ",".join([service.environment["SERVICES"], *besides])}
    log = home / "gateway.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            service.command, env=environment, cwd=service.directory, stdout=stream, stderr=subprocess.STDOUT
        )

    def is_healthy() -> bool:
        assert process.poll() is None, f"the gateway ended:\n{log.read_text()[-3000:]}"
        try:
            health.gateway(paths, ports)
        except health.Unhealthy:
            return False
        return True

    try:
        wait_for(is_healthy, "the gateway to be healthy", GATEWAY_SECONDS)
        yield paths, ports
    finally:
        process.terminate()
        try:
            process.wait(service.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def small_file_system(folder: Path) -> Iterator[None]:
    """Make `folder` a file system of its own, of 48 MiB, so that it can be filled; skips where nobody may."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root on Linux")
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "drydock-test", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
