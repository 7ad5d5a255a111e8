"""The control plane's configuration: environment variables, read once at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drydock_emr.errors import ConfigurationError
from drydock_emr.state.reconciliation import PROVISIONING_TIMEOUT_SECONDS


@dataclass(frozen=True)
class Config:
    """Secrets are given as files, so that no value shows in a process list, and are not part of `repr`."""

    host: str
    port: int
    database_url: str
    gateway_url: str
    gateway_secret_file: Path
    node_secret_file: Path
    console_token_file: Path
    log_push_seconds: float
    provisioning_timeout_seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Config":
        """Raises ConfigurationError, naming the variable."""
        host, _, port = _required(environment, "EMR_LISTEN").rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigurationError(f"EMR_LISTEN is {environment['EMR_LISTEN']!r}, expected HOST:PORT.")
        return cls(
            host=host,
            port=int(port),
            database_url=_required(environment, "EMR_DATABASE_URL"),
            gateway_url=_required(environment, "DRYDOCK_GATEWAY_URL"),
            gateway_secret_file=Path(_required(environment, "DRYDOCK_GATEWAY_SECRET_FILE")),
            node_secret_file=Path(_required(environment, "DRYDOCK_NODE_SECRET_FILE")),
            console_token_file=Path(_required(environment, "EMR_CONSOLE_TOKEN_FILE")),
            log_push_seconds=_seconds(environment, "EMR_LOG_PUSH_SECONDS", 300),
            provisioning_timeout_seconds=_seconds(
                environment, "EMR_PROVISIONING_TIMEOUT_SECONDS", PROVISIONING_TIMEOUT_SECONDS
            ),
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
