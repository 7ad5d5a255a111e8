"""What can be known of our Kestra image without its base: the driver runs in its Python, its settings are Kestra's."""

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from drydock import settings

PATHS = settings.Paths()
COMPOSE = settings.REPOSITORY / "compose"
ENGINE_LOCK = settings.REPOSITORY / "requirements" / "jars" / "engine.lock"
UV = PATHS.tools / "uv" / "bin" / "uv"
# Settings of Kestra's web server and of its local storage: the one is not published as a library, and the other's jar
# does not describe them. By Kestra's documentation, which nothing here can hold them to.
UNDESCRIBED = {
    "kestra.server.basic-auth.username",
    "kestra.server.basic-auth.password",
    "kestra.storage.local.base-path",
    "kestra.tutorial-flows.enabled",
    "kestra.ui-anonymous-usage-report.enabled",
}


@pytest.mark.parametrize(
    "version", ["3.11", pytest.param("3.12", marks=pytest.mark.full), pytest.param("3.13", marks=pytest.mark.full)]
)
def test_the_driver_runs_in_a_python_that_has_nothing_else(version: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [UV, "python", "find", "--no-python-downloads", "--no-project", version],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode != 0:
        pytest.skip(f"there is no Python {version} on this machine")
    python, packages = found.stdout.strip(), tmp_path / "driver"
    lock = settings.REPOSITORY / "requirements" / "driver.txt"
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", python, "--target", packages, "--require-hashes",
         "--only-binary", ":all:", "--requirement", lock],
        check=True,
    )  # fmt: skip
    (packages / "drydock_driver").symlink_to(settings.REPOSITORY / "kestra" / "driver" / "drydock_driver")
    shown = subprocess.run(
        [python, "-S", "-m", "drydock_driver", "--help"],
        env={"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert all(verb in shown.stdout for verb in ("create", "submit", "wait", "terminate"))


def test_its_configuration_sets_what_kestra_reads() -> None:
    described = {name for jar in PATHS.jar_cache.glob("*.jar") for name in _described(jar)}
    configuration = yaml.safe_load((COMPOSE / "kestra" / "configuration.yaml").read_text())
    unknown = {
        name
        for name in _leaves(configuration)
        if not any(fnmatch(name, pattern) for pattern in described if "*" in pattern or pattern == name)
    }
    assert unknown == UNDESCRIBED


def test_its_start_makes_a_file_of_its_passwords_and_tells_no_program_of_them(tmp_path: Path) -> None:
    for name in ("kestra_database_password", "kestra.password"):
        (tmp_path / name).write_text(f"the {name}\n")
    (tmp_path / "docker-entrypoint.sh").write_text('#!/bin/sh\nenv\necho "arguments: $*"\n')
    (tmp_path / "docker-entrypoint.sh").chmod(0o755)
    start = (COMPOSE / "kestra" / "start-kestra").read_text()
    start = start.replace("/run/secrets", str(tmp_path)).replace("/tmp/passwords", f"{tmp_path}/passwords")
    environment = {
        "PATH": f"{tmp_path}:{os.defpath}",
        "DRYDOCK_KESTRA_PASSWORD_FILE": str(tmp_path / "kestra.password"),
    }
    command = ["sh", "-c", start, "start-kestra", "server", "standalone"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "arguments: server standalone\n" in told
    assert f"MICRONAUT_CONFIG_FILES=/etc/drydock/kestra.yaml,{tmp_path}/passwords.yaml\n" in told
    assert "the kestra" not in told
    passwords = tmp_path / "passwords.yaml"
    assert passwords.stat().st_mode & 0o777 == 0o600
    made = yaml.safe_load(passwords.read_text())["drydock"]
    assert made == {
        "database": {"password": "the kestra_database_password"},
        "kestra": {"password": "the kestra.password"},
    }


def test_what_its_configuration_refers_to_is_told_by_its_start_or_by_compose() -> None:
    """By Micronaut's rule DRYDOCK_KESTRA_USERNAME is `drydock.kestra.username`."""
    composed = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["kestra"]["environment"]
    told = {name.lower().replace("_", ".") for name in composed} | {
        "drydock.database.password",
        "drydock.kestra.password",
    }
    referred = re.findall(r"\$\{(.*?)\}", (COMPOSE / "kestra" / "configuration.yaml").read_text())
    assert sorted(referred) == ["drydock.database.password", "drydock.kestra.password", "drydock.kestra.username"]
    assert set(referred) <= told


def test_it_is_a_version_of_what_the_engine_is_made_of() -> None:
    """Of Kestra's libraries 2.0.0 is the newest that is published; its image has patches of the same minor version."""
    (tag,) = set(re.findall(r"kestra/kestra:v([\d.]+)", (COMPOSE / "compose.yaml").read_text()))
    dockerfile = (COMPOSE / "kestra" / "Dockerfile").read_text()
    assert f"KESTRA_IMAGE=kestra/kestra:v{tag}\n" in dockerfile
    locked = re.search(r"^io\.kestra:core:([\d.]+) ", ENGINE_LOCK.read_text(), re.MULTILINE)
    assert locked is not None
    assert tag.rsplit(".", 1)[0] == locked[1].rsplit(".", 1)[0]


def _described(jar: Path) -> Iterator[str]:
    """The names of the settings that a library of Micronaut's kind says it has."""
    with zipfile.ZipFile(jar) as archive:
        if "META-INF/spring-configuration-metadata.json" in archive.namelist():
            document = json.loads(archive.read("META-INF/spring-configuration-metadata.json"))
            yield from (each["name"] for each in document.get("properties", ()))


def _leaves(document: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{name}.")
        else:
            yield name
