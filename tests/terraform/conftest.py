"""A gateway of the tests' own, and the platform applied to it once, with an interrupt in the midst of it."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from drydock import aws, deployment, jobs, settings, site, terraform, terraform_process
from tests import running


@dataclass(frozen=True)
class Platform:
    """A gateway that the platform was deployed to, and what it was deployed from."""

    paths: settings.Paths
    ports: settings.Ports
    jobs_dir: Path
    outputs: dict[str, Any]

    @property
    def target(self) -> site.Site:
        return site.local(self.paths, self.ports)

    @property
    def revision(self) -> jobs.Revision:
        """Of the jobs as they are now."""
        return jobs.revision(self.paths, self.target.directory, self.jobs_dir)

    def client(self, service: str) -> Any:
        return aws.operator_client(service, self.paths, self.ports)

    def deploy(self, *, replace: Iterable[str] = ()) -> dict[str, Any]:
        target, revision = self.target, self.revision
        return deployment.deploy(target, revision, lambda: terraform.apply(target, revision, replace=replace))

    def planned(self) -> list[tuple[str, str]]:
        """What an apply would change now: action (`create`, `update`, ...) and address of each resource."""
        changes: list[tuple[str, str]] = []

        def note(event: terraform_process.Event) -> None:
            if event["type"] == "planned_change":
                changes.append((event["change"]["action"], event["change"]["resource"]["addr"]))

        with terraform.opened(self.target, self.revision) as process:
            process.run("plan", *terraform.profile_arguments(self.target), on_event=note)
        return changes


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[settings.Paths, settings.Ports]]:
    with running.gateway(tmp_path_factory.mktemp("home")) as paths_and_ports:
        yield paths_and_ports


@pytest.fixture(scope="session")
def paths(gateway: tuple[settings.Paths, settings.Ports]) -> settings.Paths:
    """A DRYDOCK_HOME with secrets and with stand-ins for what the jobs need: Terraform only carries it."""
    paths, _ = gateway
    paths.wheels.mkdir()
    (paths.wheels / "example-1.0-py3-none-any.whl").write_bytes(b"a wheel")
    (paths.wheels / "requirements.txt").write_text("example==1.0\n")
    paths.log_store.parent.mkdir()
    paths.log_store.write_bytes(b"a jar")
    return paths


@pytest.fixture(scope="session")
def ports(gateway: tuple[settings.Paths, settings.Ports]) -> settings.Ports:
    """Where a gateway runs, and nothing else."""
    _, ports = gateway
    return ports


@pytest.fixture(scope="session")
def jobs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs to upload, which tests may change."""
    folder = tmp_path_factory.mktemp("spark")
    for name in ("data_generator.py", "data_processor.py", "cluster_check.py", "bootstrap.sh"):
        (folder / name).write_text(f"# {name}\n")
    (folder / "shipments").mkdir()
    (folder / "shipments" / "__init__.py").write_text('"""The jobs\' package."""\n')
    return folder


@dataclass(frozen=True)
class Interrupted:
    """How an apply ended that got Ctrl-C while Terraform was making the VPC."""

    exit_code: int
    errors: str
    keys: list[str]  # what the state's bucket held afterwards


@pytest.fixture(scope="session")
def interrupted(paths: settings.Paths, ports: settings.Ports, jobs_dir: Path) -> Interrupted:
    """The first apply, in a process of its own. The VPC takes ten seconds, so the signal comes in time."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from drydock import jobs, settings, site, terraform
        show = terraform._Progress.show
        def announce(self, event):
            show(self, event)
            if event["type"] == "apply_start":
                print("begun:", event["hook"]["resource"]["addr"], flush=True)
        terraform._Progress.show = announce
        home, offset, jobs_dir = sys.argv[1:]
        paths = settings.Paths(Path(home))
        target = site.local(paths, settings.Ports(int(offset)))
        terraform.apply(target, jobs.revision(paths, target.directory, Path(jobs_dir)))
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(paths.home), str(ports.offset), str(jobs_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("begun: module.network.aws_vpc.this"):
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=120)
    s3 = aws.operator_client("s3", paths, ports)
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=site.STATE_BUCKET).get("Contents", ())]
    return Interrupted(process.returncode, errors, keys)


@pytest.fixture(scope="session")
def platform(paths: settings.Paths, ports: settings.Ports, jobs_dir: Path, interrupted: Interrupted) -> Platform:
    return replace(new := Platform(paths, ports, jobs_dir, {}), outputs=new.deploy())
