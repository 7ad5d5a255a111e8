"""A platform beside the user's own, for tests, benchmarks and rehearsals: all of its own but for the toolchain."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drydock import ports, services, settings
from drydock.errors import PortTaken

TOOLCHAIN = ("cache", "cds", "engine", "envs", "log-store", "spark", "tools", "wheels")
OFFSETS = range(6000, 14000, 200)


@contextmanager
def second_home() -> Iterator[settings.Paths]:
    """An empty DRYDOCK_HOME that borrows the toolchain of the present one; removed at the end, whatever is in it."""
    # Short: the supervisor's socket lies in it, and a socket's path has a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="platform-") as folder:
        borrow_toolchain(Path(folder))
        yield settings.Paths(Path(folder))


def borrow_toolchain(home: Path) -> None:
    """Link what `make setup` has made in the present DRYDOCK_HOME into `home`."""
    for name in TOOLCHAIN:
        if (settings.home() / name).exists():
            (home / name).symlink_to(settings.home() / name)


def free_ports() -> settings.Ports:
    """The ports of the first offset at which every one that a service will listen on is free."""
    for offset in OFFSETS:
        declared = services.declare(settings.Paths(), settings.Ports(offset))
        with suppress(PortTaken):
            ports.require_free(listener for service in declared for listener in service.listeners)
            return settings.Ports(offset)
    raise PortTaken(f"No offset of {OFFSETS} has all ports free.")
