"""A DRYDOCK_HOME for each test, and the certainty that nothing of it runs afterwards."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drydock import processes, settings, teardown

sys.path.insert(0, str(Path(__file__).parent))  # tiny_platform is also run as a program


@pytest.fixture
def paths(tmp_path) -> Iterator[settings.Paths]:
    """A home with a blank and characters in it that configuration files take for something else."""
    paths = settings.Paths(tmp_path / "dry dock; 100% #1")
    paths.home.mkdir()
    yield paths
    teardown.end_all(paths)
    assert processes.running(paths) == {}


@pytest.fixture
def free_ports() -> list[int]:
    """Four ports that nobody listens on."""
    probes = [socket.socket() for _ in range(4)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
