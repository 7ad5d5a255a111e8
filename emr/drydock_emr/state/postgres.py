"""Postgres as the control plane's database: how it is connected to, and what a transaction asks for there.

Everything the control plane does waits for the database in its one event loop, so nothing here waits without end: a
server that is away, locked, slow or silent is an error within seconds, and the next request tries again.
"""

import time
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Dialect, Engine, bindparam, create_engine, event, func, select, text
from sqlalchemy.orm import Session

from drydock_emr.errors import ConfigurationError

CONNECT_SECONDS = 3
LOCK_SECONDS = 5  # as long as SQLite's busy_timeout in `store`
STATEMENT_SECONDS = 10
ANSWER_SECONDS = 12.0
"""How long a server may say nothing: longer than it may take to say that it took too long."""

RUINED_TRANSACTION_SECONDS = 30
"""The server ends the session of a control plane that has stood still within a transaction for so long."""

ENCODING = "UTF8"

RV = TypeVar("RV")

_SERVER_SETTINGS = {
    # What a caller was told is on disk, whatever the server's default is.
    "synchronous_commit": "on",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{RUINED_TRANSACTION_SECONDS}s",
}
_CONNECTION = {
    "application_name": "drydock-emr",
    "client_encoding": "utf8",
    "connect_timeout": CONNECT_SECONDS,
    "gssencmode": "disable",
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items()),
    # A machine that has vanished closes no connection: without these its silence is noticed after hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}

_WRITERS = 0x64727964  # "dryd": any number, the same in every version
_lock_writers = select(func.pg_advisory_xact_lock(bindparam("key", _WRITERS)))


def engine(url: URL, password: str | None) -> Engine:
    """The database's engine. Connections that died are replaced before they are used."""
    made = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    event.listen(made, "do_connect", _Connector(password))
    return made


def begin(session: Session, *, read_only: bool) -> None:
    """Make a transaction one that sees and leaves a whole state. To be called before anything else in it.

    There is one control plane, and its transactions never overlap. What may overlap is a transaction of a process
    that is being replaced, or one that the server still commits while its connection is already given up for lost.
    The state machine reads clusters, decides, and writes what changed; with a commit of another's between, its
    decision would rest on what is no longer so. Writers therefore exclude each other by a lock that ends with the
    transaction, as a writer has SQLite to itself. It is the first thing any of them takes, so none waits for another
    in a circle, and with READ COMMITTED all that follows sees what the one before has left (a snapshot of REPEATABLE
    READ would be taken before the lock is, and be stale after it). A reader waits for nobody: one snapshot for all
    its queries, and Postgres itself refuses a write.
    """
    if read_only:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
    else:
        session.execute(_lock_writers)


def prepare(connection: Connection) -> None:
    """Have the schema looked at and made by one process at a time. Raises ConfigurationError for another encoding."""
    connection.execute(_lock_writers)
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != ENCODING:
        raise ConfigurationError(
            f"The encoding of the EMR database is {encoding}, expected {ENCODING}: "
            "create the database with ENCODING 'UTF8' TEMPLATE template0."
        )


class _Connector:
    """Opens connections; the password is in no URL, and so in no log.

    An attempt that failed is not repeated for as long as it took: while a host that does not answer is waited for,
    the whole control plane stands still.
    """

    def __init__(self, password: str | None) -> None:
        self._parameters: dict[str, Any] = _CONNECTION | ({"password": password} if password else {})
        self._next_attempt_at = 0.0
        self._failure = ""

    def __call__(
        self, _dialect: Dialect, _record: Any, arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> "psycopg.Connection[Any]":
        began = time.monotonic()
        if began < self._next_attempt_at:
            raise psycopg.OperationalError(self._failure)
        try:
            return _Connection.connect(*arguments, **(self._parameters | parameters))
        except psycopg.Error as error:
            ended = time.monotonic()
            self._failure, self._next_attempt_at = str(error), ended + (ended - began)
            raise


class _Connection(psycopg.Connection[Any]):
    """Given up when the server is silent for too long, as one is that was stopped and not ended."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # its answer is still to come
                self._give_up(error)
            raise

    def _give_up(self, error: psycopg.OperationalError) -> NoReturn:
        self.pgconn.finish()
        raise psycopg.OperationalError(f"the server has not answered within {ANSWER_SECONDS:.0f} s") from error
