"""Platforms with processes, data and ports of their own, and the toolchain of the checkout; one for the session."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drydock import settings
from tests.platform.platform_rig import Platform

TOOLCHAIN = ("cache", "cds", "envs", "java", "spark", "tools", "wheels")
OFFSETS = range(6000, 14000, 200)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """A platform that is up."""
    with _place() as platform:
        up = platform.drydock("local-up")
        assert up.returncode == 0, up.stdout
        yield platform


@pytest.fixture
def place() -> Iterator[Platform]:
    """Where a platform can be, and where nothing was ever started."""
    with _place() as platform:
        yield platform


@contextmanager
def _place() -> Iterator[Platform]:
    """A folder and ports for a platform. At the end it is brought down, and nothing of it may be left."""
    # Short: the supervisor's socket lies in it, and a socket's path has a hundred bytes.
    home = Path(tempfile.mkdtemp(prefix="platform-"))
    for name in TOOLCHAIN:
        if (settings.home() / name).exists():
            (home / name).symlink_to(settings.home() / name)
    platform = Platform(settings.Paths(home), settings.Ports(_free_offset()))
    try:
        yield platform
    finally:
        down = platform.drydock("local-down")
        left = platform.everything_running()
        shutil.rmtree(home)
    assert down.returncode == 0, down.stdout
    assert left == []


def _free_offset() -> int:
    for offset in OFFSETS:
        ports = settings.Ports(offset)
        if all(map(_is_free, (ports.gateway, ports.emr, ports.history_server, ports.node_ui(1), ports.node_rpc(1)))):
            return offset
    raise RuntimeError(f"No offset of {OFFSETS} has all ports free.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.LOOPBACK, port))
        except OSError:
            return False
    return True
