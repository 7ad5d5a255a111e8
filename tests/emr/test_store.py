"""The database's format version."""

import sqlite3
from pathlib import Path

import pytest

from drydock_emr.errors import DatabaseVersionError
from drydock_emr.state.store import FORMAT_VERSION, Store


def test_a_database_of_another_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "emr.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)")
        connection.execute("INSERT INTO meta VALUES ('format_version', ?)", (str(FORMAT_VERSION + 1),))
    connection.close()
    with pytest.raises(DatabaseVersionError, match=f"version {FORMAT_VERSION + 1}, this control plane reads"):
        Store(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert tables == [("meta",)]


def test_a_database_is_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(f"sqlite:///{tmp_path}/emr.db")
        store.check_writable()
        store.close()
