"""Platforms with processes, data and ports of their own, and the toolchain of the checkout; one for the session."""

from collections.abc import Iterator

import pytest

from tests.platform.platform_rig import Platform, place_of_its_own


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """A platform that is up."""
    with place_of_its_own() as platform:
        up = platform.drydock("local-up")
        assert up.returncode == 0, up.stdout
        yield platform


@pytest.fixture
def place() -> Iterator[Platform]:
    """Where a platform can be, and where nothing was ever started."""
    with place_of_its_own() as platform:
        yield platform
