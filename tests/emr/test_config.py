"""The control plane's configuration: what is refused, and that no password is repeated."""

import re
from pathlib import Path

import pytest

from drydock_emr.config import Config
from drydock_emr.errors import ConfigurationError

PASSWORD = "hunter2-hunter2-hunter2"
VARIABLES = {
    "EMR_LISTEN": "127.0.0.1:8088",
    "EMR_DATABASE_URL": "postgresql+psycopg://emr@postgres:5432/emr",
    "DRYDOCK_GATEWAY_URL": "http://127.0.0.1:4566",
    "DRYDOCK_GATEWAY_SECRET_FILE": "gateway",
    "DRYDOCK_NODE_SECRET_FILE": "node",
    "EMR_CONSOLE_TOKEN_FILE": "console",
}


def test_a_database_may_have_a_password_file_or_none() -> None:
    assert Config.from_environment(VARIABLES).database_password_file is None
    variables = VARIABLES | {"EMR_DATABASE_PASSWORD_FILE": "/run/secrets/emr"}
    assert Config.from_environment(variables).database_password_file == Path("/run/secrets/emr")
    assert Config.from_environment(VARIABLES | {"EMR_DATABASE_PASSWORD_FILE": ""}).database_password_file is None


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://emr:{PASSWORD}@postgres:5432/emr",
        f"postgresql+psycopg://emr@postgres:5432/emr?password={PASSWORD}",
        f"postgresql+psycopg://emr@postgres:5432/emr?sslpassword={PASSWORD}",
        f"mysql://emr:{PASSWORD}@mysql/emr",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="EMR_DATABASE_PASSWORD_FILE") as refusal:
        Config.from_environment(VARIABLES | {"EMR_DATABASE_URL": url})
    assert PASSWORD not in repr(refusal.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"emr {PASSWORD}", "EMR_DATABASE_URL is no URL of a database, expected sqlite:////PATH or postgresql+psycopg"),
        (f"postgresql+psycopg://emr@postgres:{PASSWORD}/emr", "EMR_DATABASE_URL is no URL of a database"),
        ("postgresql://emr@postgres/emr", "EMR_DATABASE_URL begins with 'postgresql', expected sqlite:////PATH or"),
        ("postgresql+psycopg2://emr@postgres/emr", "EMR_DATABASE_URL begins with 'postgresql+psycopg2'"),
        ("", "The environment variable EMR_DATABASE_URL is not set"),
    ],
)
def test_what_is_no_url_of_a_database_that_can_be_used(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)) as refusal:
        Config.from_environment(VARIABLES | {"EMR_DATABASE_URL": url})
    assert PASSWORD not in repr(refusal.value)


def test_sqlite_has_no_password() -> None:
    variables = VARIABLES | {"EMR_DATABASE_URL": "sqlite:////x.db", "EMR_DATABASE_PASSWORD_FILE": "p"}
    with pytest.raises(ConfigurationError, match="SQLite, which has no passwords"):
        Config.from_environment(variables)
