"""Are the platform's ports free, and if not: who holds them?"""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from drydock import processes
from drydock.errors import PortTaken, SetupError

WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, never bound


@dataclass(frozen=True)
class Listener:
    """A port that a service will listen on."""

    host: str
    port: int
    purpose: str


def require_free(listeners: Iterable[Listener]) -> None:
    """Raises PortTaken, with a line for each port that is held: by which process, with which command; SetupError when
    an address is none of this machine's."""
    taken = [listener for listener in listeners if not _is_free(listener)]
    if not taken:
        return
    lines = [f"Port {it.port} on {it.host} ({it.purpose}) is held by {holder(it)}." for it in taken]
    advice = "Stop what holds it" if len(taken) == 1 else "Stop what holds them"
    lines.append(f"{advice}, or move all of Drydock's ports: `DRYDOCK_PORT_OFFSET=1000 make local-up`.")
    raise PortTaken("\n".join(lines))


def holder(listener: Listener) -> str:
    """Who listens on a port, in words: pid and command where the system lets us see them."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows other processes' sockets to root alone
        return f"a process that only root can see (`sudo lsof -nP -iTCP:{listener.port} -sTCP:LISTEN` names it)"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port != listener.port or connection.laddr.ip not in {listener.host, *WILDCARDS}:
            continue
        if connection.pid is None:
            break
        return _describe(connection.pid)
    return f"another user's process (`sudo ss -ltnp 'sport = :{listener.port}'` names it)"


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
                    f"{listener.host} ({listener.purpose}) is no address of this machine. Linux answers on all of "
                    f"127.0.0.0/8; on macOS add it: `sudo ifconfig lo0 alias {listener.host} up`."
                ) from error
            raise SetupError(f"Port {listener.port} on {listener.host} cannot be used: {error.strerror}.") from error
    return True
