"""The control plane's configuration: environment variables, read once at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from drydock_emr.errors import ConfigurationError
from drydock_emr.state.reconciliation import PROVISIONING_TIMEOUT_SECONDS


@dataclass(frozen=True)
class Config:
    """Secrets are given as files, so that no value shows in a process list, and are not part of `repr`.

    `database_url` is SQLAlchemy's, `sqlite:////PATH` or `postgresql+psycopg://USER@HOST:PORT/DATABASE`. The file with
    Postgres's password may be left out where it asks for none.
    """

    host: str
    port: int
    database_url: str
    gateway_url: str
    gateway_secret_file: Path
    node_secret_file: Path
    console_token_file: Path
    log_push_seconds: float
    provisioning_timeout_seconds: float
    database_password_file: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Config":
        """Raises ConfigurationError, naming the variable."""
        host, _, port = _required(environment, "EMR_LISTEN").rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigurationError(f"EMR_LISTEN is {environment['EMR_LISTEN']!r}, expected HOST:PORT.")
        password_file = environment.get("EMR_DATABASE_PASSWORD_FILE")
        return cls(
            host=host,
            port=int(port),
            database_url=_database_url(environment),
            gateway_url=_required(environment, "DRYDOCK_GATEWAY_URL"),
            gateway_secret_file=Path(_required(environment, "DRYDOCK_GATEWAY_SECRET_FILE")),
            node_secret_file=Path(_required(environment, "DRYDOCK_NODE_SECRET_FILE")),
            console_token_file=Path(_required(environment, "EMR_CONSOLE_TOKEN_FILE")),
            log_push_seconds=_seconds(environment, "EMR_LOG_PUSH_SECONDS", 300),
            provisioning_timeout_seconds=_seconds(
                environment, "EMR_PROVISIONING_TIMEOUT_SECONDS", PROVISIONING_TIMEOUT_SECONDS
            ),
            database_password_file=Path(password_file) if password_file else None,
        )


def read_secret(path: Path) -> str:
    """The secret in a file, without surrounding white space. Raises ConfigurationError."""
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"The secret {path} cannot be read: {error.strerror}.") from error
    if len(secret) < 16:
        raise ConfigurationError(f"The secret {path} has {len(secret)} characters, expected at least 16.")
    return secret


def _database_url(environment: Mapping[str, str]) -> str:
    """No message repeats the URL: one that is refused may hold a password."""
    name, expected = "EMR_DATABASE_URL", "sqlite:////PATH or postgresql+psycopg://USER@HOST:PORT/DATABASE"
    value = _required(environment, name)
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):  # the latter: a port that is no number
        raise ConfigurationError(f"{name} is no URL of a database, expected {expected}.") from None
    if url.password is not None or any("password" in parameter for parameter in url.query):
        raise ConfigurationError(
            f"{name} holds a password, which everyone who sees the environment can read: "
            "put it into a file of mode 0600 and name that in EMR_DATABASE_PASSWORD_FILE."
        )
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigurationError(f"{name} begins with {url.drivername!r}, expected {expected}.")
    if url.drivername == "sqlite" and environment.get("EMR_DATABASE_PASSWORD_FILE"):
        raise ConfigurationError(f"EMR_DATABASE_PASSWORD_FILE is set, but {name} is of SQLite, which has no passwords.")
    return value


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    value = environment.get(name, str(default))
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise ConfigurationError(f"{name} is {value!r}, expected a number of seconds above 0.")
    return seconds


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ConfigurationError(f"The environment variable {name} is not set.")
    return value
