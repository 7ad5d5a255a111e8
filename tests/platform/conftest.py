"""Platforms with processes, data and ports of their own, and the toolchain of the checkout; one for the session."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from drydock import ports, services, settings
from drydock.errors import PortTaken
from tests.platform.platform_rig import Platform

TOOLCHAIN = ("cache", "cds", "envs", "spark", "tools", "wheels")
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
    """The first offset at which every port that a service will listen on is free."""
    for offset in OFFSETS:
        declared = services.declare(settings.Paths(), settings.Ports(offset))
        with suppress(PortTaken):
            ports.require_free(listener for service in declared for listener in service.listeners)
            return offset
    raise RuntimeError(f"No offset of {OFFSETS} has all ports free.")
