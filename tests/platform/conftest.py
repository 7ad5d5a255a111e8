"""Platforms with processes, data and ports of their own, and the toolchain of the checkout; one for the session."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drydock.second_home import free_ports, second_home
from tests.platform.platform_rig import Platform


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
    with second_home() as paths:
        platform = Platform(paths, free_ports())
        try:
            yield platform
        finally:
            down = platform.drydock("local-down")
            left = platform.everything_running()
    assert down.returncode == 0, down.stdout
    assert left == []
