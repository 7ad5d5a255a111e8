"""Are the platform's ports free, and if not: who holds them?"""

import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from drydock import processes
from drydock.errors import PortTaken, SetupError

WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, never bound
MAPPED = "::ffff:"  # Java listens on IPv4 addresses by sockets of IPv6, where the system has that


@dataclass(frozen=True)
class Listener:
    """A port that a service will listen on."""

    host: str
    port: int
    purpose: str


@dataclass(frozen=True)
class Holder:
    """Who listens on a port: pid, where the system lets us see it, and in words."""

    pid: int | None
    description: str


def require_free(listeners: Iterable[Listener]) -> None:
    """Raises PortTaken, with a line for each port that is held: by which process, with which command; SetupError when
    an address is none of this machine's."""
    holders = taken(listeners)
    if not holders:
        return
    lines = [sentence(listener, holder) for listener, holder in holders.items()]
    advice = "Stop what holds it" if len(holders) == 1 else "Stop what holds them"
    lines.append(f"{advice}, or move all of Drydock's ports: `DRYDOCK_PORT_OFFSET=1000 make local-up`.")
    raise PortTaken("\n".join(lines))


def taken(listeners: Iterable[Listener]) -> dict[Listener, Holder]:
    """Those of the listeners whose port is held, and by whom. Raises SetupError when an address is none of this
    machine's."""
    held = [listener for listener in listeners if not _is_free(listener)]
    if not held:
        return {}
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows other processes' sockets to root alone
        seen_by = "a process that only root can see (`sudo lsof -nP -iTCP:{} -sTCP:LISTEN` names it)"
        return {listener: Holder(None, seen_by.format(listener.port)) for listener in held}
    return {listener: _holder(listener, connections) for listener in held}


def sentence(listener: Listener, holder: Holder) -> str:
    """That a port is held, for people."""
    return f"Port {listener.port} on {listener.host} ({listener.purpose}) is held by {holder.description}."


def _holder(listener: Listener, connections: Sequence[Any]) -> Holder:
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        address = connection.laddr.ip.removeprefix(MAPPED)
        if connection.laddr.port != listener.port or address not in {listener.host, *WILDCARDS}:
            continue
        if connection.pid is None:
            break
        return Holder(connection.pid, _describe(connection.pid))
    return Holder(None, f"another user's process (`sudo ss -ltnp 'sport = :{listener.port}'` names it)")


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"pid {pid}, {process.username()}'s `{processes.describe(process)}`"
    except psutil.NoSuchProcess:
        return f"pid {pid}, which has just ended"


def _is_free(listener: Listener) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT hold nothing
        try:
            probe.bind((listener.host, listener.port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EADDRNOTAVAIL:
                raise SetupError(
                    f"{listener.host} ({listener.purpose}) is no address of this machine.",
                    "Linux answers on all of 127.0.0.0/8; on macOS add it: "
                    f"`sudo ifconfig lo0 alias {listener.host} up`.",
                ) from error
            raise SetupError(f"Port {listener.port} on {listener.host} cannot be used: {error.strerror}.") from error
    return True
