"""What Kestra's host on AWS starts, started here: the bundle's own files, in containers of their own, AWS made up.

Where Kestra's image is not to be had its engine has its place.
"""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drydock import compose, kestra, settings
from drydock.compose import Compose
from drydock.on_aws import bundles
from tests.e2e.conftest import KESTRA
from tests.e2e.containers import docker
from tests.platform.platform_rig import Platform
from tests.running import free_port

STAND_IN = Path(__file__).parent / "kestra_stand_in"
STAND_IN_IMAGE = "drydock-test/kestra-stand-in"
PASSWORD = "K1-not-a-secret"
START_SECONDS = 900
WAYS_OUT = (*compose.PROXIES, "EXTRA_CA_FILE", "DRYDOCK_SECRET_MIRRORS", "BUILDX_NO_DEFAULT_ATTESTATIONS")


@dataclass(frozen=True)
class Host:
    """A folder as the host's disk, and the environment of what starts there."""

    home: Path
    environment: dict[str, str]
    port: int

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    def start(self, bundle: bundles.Bundle, without: str = "") -> str:
        """Unpack and start it, as the host does; what it said. `without` is a flow that it is to lack."""
        folder = self.home / "bundles" / f"{bundle.sha256}{without}"
        with tarfile.open(fileobj=io.BytesIO(bundle.content)) as archive:
            archive.extractall(folder, filter="tar")
        if without:
            (folder / "kestra" / "flows" / without).unlink()
        ended = subprocess.run(
            [folder / "compose" / "kestra-host" / "start"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def flows(self) -> list[str]:
        password = self.home / "password"
        password.write_text(PASSWORD)
        with kestra.client(f"http://{settings.LOOPBACK}:{self.port}", password) as running:
            return sorted(flow["id"] for flow in running.flows())

    def container(self, service: str, template: str) -> str:
        return docker("inspect", "--format", template, f"{self.project}-{service}-1")


@pytest.fixture(scope="module")
def host(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o755)  # containers see the bundle in it
    programs = folder / "programs"
    programs.mkdir()
    (programs / "aws").write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    (programs / "aws").chmod(0o755)
    image, port = _base_image(), free_port()
    # Images are made with this machine's network settings, of which a host on AWS has none.
    of_this_machine = Compose(platform.paths, platform.ports, KESTRA).environment()
    environment = {
        **{name: value for name, value in of_this_machine.items() if name in (*compose.INHERITED, *WAYS_OUT)},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "COMPOSE_PROJECT_NAME": f"drydock-host-{os.getpid()}",
        "DRYDOCK_HOST_HOME": str(folder),
        "DRYDOCK_KESTRA_PORT": str(port),
        "AWS_REGION": "eu-central-1",
        "DRYDOCK_PLATFORM_CONFIG": "s3://acme/config/platform.json",
        "DRYDOCK_ROLE_ARN": "arn:aws:iam::123456789012:role/acme-kestra-role",
        "PASSWORD_PARAMETER": "/drydock/acme-kestra-password",
        **({"KESTRA_IMAGE": image} if image else {}),
    }
    host = Host(folder, environment, port)
    try:
        yield host
    finally:
        _remove(host.project)


def _base_image() -> str:
    """What Kestra's image is made from: the stand-in, or what compose.yaml names (empty)."""
    if KESTRA == "image":
        return os.environ.get("KESTRA_IMAGE", "")
    docker("build", "--quiet", "--tag", STAND_IN_IMAGE, str(STAND_IN))
    return STAND_IN_IMAGE


def _remove(project: str) -> None:
    """All that is Docker's of it, but images."""
    of_project = ("--filter", f"label=com.docker.compose.project={project}")
    for container in docker("ps", "--all", "--quiet", *of_project).split():
        docker("rm", "--force", "--volumes", container)
    for kind in ("volume", "network"):
        for name in docker(kind, "ls", "--quiet", *of_project).split():
            docker(kind, "rm", name)


def test_kestra_comes_up_with_its_database_and_the_bundles_flows(host: Host) -> None:
    host.start(bundles.of_checkout())
    assert host.flows() == sorted(file.stem for file in settings.Paths().flows.glob("*.yaml"))


def test_its_port_is_published_on_loopback_alone_and_its_passwords_are_in_no_environment(host: Host) -> None:
    assert host.container("kestra", "{{json .HostConfig.PortBindings}}") == (
        f'{{"8080/tcp":[{{"HostIp":"127.0.0.1","HostPort":"{host.port}"}}]}}'
    )
    own = [(host.home / "secrets" / name).read_text().strip() for name in ("postgres", "kestra-database")]
    for service in ("kestra", "postgres"):
        told = host.container(service, "{{json .Config}}")
        assert not [secret for secret in (PASSWORD, *own) if secret in told]
    assert "AWS_ENDPOINT_URL" not in host.container("kestra", "{{json .Config.Env}}")


def test_a_flow_that_is_gone_is_removed_and_nothing_is_interrupted(host: Host) -> None:
    before = host.container("kestra", "{{.State.StartedAt}}")
    said = host.start(bundles.of_checkout(), without="sweep.yaml")
    assert "0 were new or different; 1 removed." in said
    assert "sweep" not in host.flows()
    assert host.container("kestra", "{{.State.StartedAt}}") == before
