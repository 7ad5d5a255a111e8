"""What can be known of our Kestra image without its base: the driver runs in its Python, its settings are Kestra's."""

import json
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


def test_its_password_is_read_from_the_environment_that_its_start_makes() -> None:
    start = (COMPOSE / "kestra" / "start-kestra").read_text()
    composed = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["kestra"]["environment"]
    for name in ("drydock.database.password", "drydock.kestra.username", "drydock.kestra.password"):
        variable = name.upper().replace(".", "_")  # Micronaut's rule
        assert f"${{{name}}}" in (COMPOSE / "kestra" / "configuration.yaml").read_text()
        assert variable in composed or f"\n{variable}=$(" in start


def test_its_health_is_asked_by_what_kestra_s_own_image_has() -> None:
    """Kestra's own Compose files ask by curl as well."""
    health = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["kestra"]["healthcheck"]
    assert health["test"][:2] == ["CMD", "curl"]


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
