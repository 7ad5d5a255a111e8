"""The documentation's picture and tables against the code they describe."""

import re

import pytest

from drydock import services, settings

ARCHITECTURE = (settings.REPOSITORY / "docs" / "architecture.md").read_text()
PICTURE = ARCHITECTURE.split("```mermaid")[1].split("```")[0]


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> settings.Ports:
    monkeypatch.setenv("DRYDOCK_PORT_OFFSET", "0")
    return settings.Ports()


def test_every_service_is_in_the_picture_and_in_the_table() -> None:
    drawn = set(re.findall(r'^\s+\w+\["([\w-]+)', PICTURE, re.MULTILINE))
    for name in services.names(settings.Paths()):
        assert name in drawn
        assert f"`{name}`" in ARCHITECTURE


def test_the_ports_in_the_picture_are_the_ports_in_use(ports: settings.Ports) -> None:
    drawn = {int(port) for port in re.findall(r":(\d{4,5})", PICTURE)}
    nodes = [ports.node_ui(i) for i in (1, 2, 3)]
    assert drawn == {ports.gateway, ports.emr, ports.history_server, *nodes}


def test_the_folders_and_modules_named_exist() -> None:
    for name in re.findall(
        r"`((?:scripts|gateway|emr|kestra|spark|terraform|tests|requirements)/[\w/.]*)`", ARCHITECTURE
    ):
        assert (settings.REPOSITORY / name).exists(), name
