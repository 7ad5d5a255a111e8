"""A Postgres of the tests' own, from the programs that the machine has: on 127.0.0.1 alone, its data in a temporary
folder, and without fsync, which a killed process does not need."""

import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from drydock import settings
from tests.running import free_port, wait_for

REQUIRED = "DRYDOCK_TEST_REQUIRE_POSTGRES"
"""Set to 1, a machine without Postgres fails the tests that need one; they are skipped otherwise."""

ROLE = "emr"
PASSWORD = "a-password-of-the-tests-0123456789"
UNPRIVILEGED = ("postgres", "nobody")  # Postgres refuses to run as root
INSTALLED = Path("/usr/lib/postgresql")  # where Debian puts it, off the PATH
FIRST_WITH_ICU = 15  # in which a database's default collation may be ICU's


@dataclass
class PostgresServer:
    """`role`'s databases are its own, and it may do nothing else, as an operator would have it."""

    programs: Path
    folder: Path
    user: str | None  # None: the caller's
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def initialise(self) -> None:
        """Make the data folder. Its language sorts otherwise than code points do, as an operator's may."""
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        icu = ("--locale-provider=icu", "--icu-locale=en-US") if self._has_icu() else ()
        command = ("--no-sync", "--no-locale", "--encoding=UTF8", *icu, "--auth=scram-sha-256", "--username=admin")
        arguments = (*command, f"--pwfile={password_file}", f"--pgdata={self.data}")
        made = subprocess.run(
            [self.programs / "initdb", *arguments],
            user=self.user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, f"initdb failed:\n{made.stdout}\n{made.stderr}"

    def start(self) -> None:
        """Returns when it takes connections."""
        options = {
            "listen_addresses": settings.LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
        }
        arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *arguments],
                user=self.user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        wait_for(self._answers, "Postgres to take connections", 60)

    def kill(self) -> None:
        """As the kernel would: all of it at once, nothing is written down."""
        assert self.process is not None
        processes = self._processes()
        for process in processes:
            process.kill()
        self.process.wait()
        wait_for(lambda: not any(map(_is_alive, processes)), "the end of all that has the data folder open")

    def stop(self) -> None:
        """End it and who is connected. No harm when it has ended."""
        if self.process is None or not self.is_running:
            return
        self.process.send_signal(signal.SIGINT)  # Postgres's «fast shutdown»
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def suspend(self) -> None:
        """It answers nobody, and closes no connection."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        for process in self._processes():
            process.resume()

    def new_database(self, encoding: str = "UTF8") -> str:
        """The URL of an empty one, which the role owns; without the password."""
        name = f"emr_{next(self._names)}"
        # ICU knows UTF-8 alone of these.
        plain = "" if encoding == "UTF8" else "LOCALE 'C'" + (" LOCALE_PROVIDER libc" if self._has_icu() else "")
        self.execute(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE template0 ENCODING '{encoding}' {plain}")
        return self.url(name)

    def empty(self, url: str) -> None:
        """Leave the tables and take the rows: to make a database takes many times as long."""
        name = url.rpartition("/")[2]
        tables = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name)
        # Without looking for what refers to a row, so in any order.
        deletions = "".join(f"; DELETE FROM {table}" for (table,) in tables)
        self.execute(f"SET session_replication_role = replica{deletions}", name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{ROLE}@{settings.LOOPBACK}:{self.port}/{name}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; its rows."""
        connection = psycopg.connect(
            host=settings.LOOPBACK, port=self.port, user="admin", password=PASSWORD, dbname=database, autocommit=True
        )
        with connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _has_icu(self) -> bool:
        shown = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        return int(re.findall(r"\d+", shown.stdout)[0]) >= FIRST_WITH_ICU

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"Postgres ended:\n{self.log[-3000:]}"
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _processes(self) -> list[psutil.Process]:
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


@contextmanager
def server() -> Iterator[PostgresServer]:
    """A running one. Where there are no programs for it, the test is skipped or fails: see REQUIRED."""
    programs = _programs()
    if programs is None:
        reason = f"Postgres is neither on the PATH nor below {INSTALLED}"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason}, and {REQUIRED}=1 asks for it.")
        pytest.skip(reason)
    # Not pytest's own folder, which is for nobody but its user.
    folder = Path(tempfile.mkdtemp(prefix="drydock-postgres-"))
    user = _other_user() if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    server = PostgresServer(programs, folder, user)
    try:
        server.initialise()
        server.start()
        server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _programs() -> Path | None:
    """The folder that `initdb` and `postgres` are in; the newest, where there are several."""
    found = shutil.which("initdb")
    if found is not None and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    folders = [folder for folder in INSTALLED.glob("*/bin") if (folder / "initdb").exists()]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def _other_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in UNPRIVILEGED if name in known), None)
    if user is None:
        pytest.skip(f"Postgres refuses to run as root, and there is no user {' or '.join(UNPRIVILEGED)}")
    return user


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
