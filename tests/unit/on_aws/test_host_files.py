"""What Kestra's host runs, with programs that are faked: what it fetches and starts, and what it says."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from drydock import settings
from drydock.on_aws import bundles

MODULE = settings.REPOSITORY / "terraform" / "modules" / "kestra_host"
FILES = MODULE / "files"
COMPOSE = settings.REPOSITORY / "compose"
PASSWORD = "K1-not-a-secret"

# The AWS CLI, as far as it is asked: objects are files of a folder, and so is the parameter.
AWS = """
echo "aws $*" >> "$CALLS"
case "$1 $2" in
  's3 cp')
    if [ "$4" = - ]; then cat > "$BUCKET/${5#s3://acme/}"; exit; fi
    file="$BUCKET/${4#s3://acme/}"
    [ -f "$file" ] || { echo "An error occurred (403)" >&2; exit 1; }
    if [ "$5" = - ]; then cat "$file"; else cp "$file" "$5"; fi;;
  'ssm get-parameter') echo '@PASSWORD@';;
esac
""".replace("@PASSWORD@", PASSWORD)


class Host:
    """The host's disk, the bucket it looks into, and what it was seen to call."""

    def __init__(self, folder: Path) -> None:
        self.home, self.bucket, self.calls_file = folder / "host", folder / "bucket", folder / "calls"
        self.programs = folder / "programs"
        for each in (self.home, self.bucket / "kestra", self.programs):
            each.mkdir(parents=True)
        self.calls_file.touch()
        self.program("aws", AWS)
        self.program("cloud-init", "echo i-0123")
        self.program("drydock-install-docker", '[ ! -e "$BUCKET/no-docker" ] || { echo "no docker" >&2; exit 1; }')

    def program(self, name: str, shell: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{shell}\n")
        file.chmod(0o755)

    def put(self, revision: str, bundle: bundles.Bundle) -> None:
        """Deploy a bundle."""
        (self.bucket / "kestra" / revision).mkdir(exist_ok=True)
        (self.bucket / "kestra" / revision / f"{bundle.sha256}.tar").write_bytes(bundle.content)
        (self.bucket / "kestra" / "current").write_text(f"{revision}/{bundle.sha256}\n")

    def run(self, file: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{self.programs}:{os.defpath}",
            "CALLS": str(self.calls_file),
            "BUCKET": str(self.bucket),
            "DRYDOCK_HOST_HOME": str(self.home),
            "BUNDLES_URI": "s3://acme/kestra",
            "PASSWORD_PARAMETER": "/acme/kestra-password",
            **variables,
        }
        return subprocess.run([file], env=environment, capture_output=True, text=True, check=False, umask=0o022)

    def take_up(self) -> "subprocess.CompletedProcess[str]":
        return self.run(FILES / "take-up")

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines()

    @property
    def says(self) -> dict[str, object]:
        document: dict[str, object] = json.loads((self.bucket / "kestra" / "host.json").read_text())
        return document


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def bundle_with(tmp_path: Path) -> Callable[[str], bundles.Bundle]:
    """Make a bundle whose start is this."""

    def make(start: str) -> bundles.Bundle:
        repository = tmp_path / "checkout"
        shutil.rmtree(repository, ignore_errors=True)
        for name in bundles.CONTENTS:
            source, copy = settings.REPOSITORY / name, repository / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
        (repository / "compose" / "kestra-host" / "start").write_text(f"#!/bin/sh\n{start}\n")
        return bundles.of_checkout(repository)

    return make


class TestTakeUp:
    def test_what_is_pointed_to_is_fetched_started_and_told(
        self, host: Host, bundle_with: Callable[[str], bundles.Bundle]
    ) -> None:
        bundle = bundle_with('pwd; echo started in "$(dirname "$0")" >> "$CALLS"; echo all is well')
        host.put("0a1b2c", bundle)
        ended = host.take_up()
        assert ended.returncode == 0, ended.stderr
        folder = host.home / "bundles" / bundle.sha256
        assert f"started in {folder}/compose/kestra-host" in host.calls
        assert (folder / "compose" / "with-network.sh").stat().st_mode & 0o777 == 0o755
        assert (folder / "compose" / "compose.yaml").stat().st_mode & 0o777 == 0o644
        assert folder.stat().st_mode & 0o777 == 0o755
        says = host.says
        assert (says["instance_id"], says["bundle"], says["state"]) == ("i-0123", f"0a1b2c/{bundle.sha256}", "runs")
        assert says["said"][-1] == "all is well"  # type: ignore[index]

    @pytest.mark.parametrize("lacks", ["docker", "bundle", "its content"])
    def test_whatever_goes_wrong_before_the_start_is_told(
        self, host: Host, bundle_with: Callable[[str], bundles.Bundle], lacks: str
    ) -> None:
        bundle = bundle_with("true")
        host.put("0a1b2c", bundle)
        archive = host.bucket / "kestra" / "0a1b2c" / f"{bundle.sha256}.tar"
        if lacks == "docker":
            (host.bucket / "no-docker").touch()
        elif lacks == "bundle":
            archive.unlink()
        else:
            archive.write_bytes(b"something else")
        assert host.take_up().returncode != 0
        assert host.says["state"] == "failed"
        assert host.says["said"] != []

    def test_what_runs_already_is_left_alone(self, host: Host, bundle_with: Callable[[str], bundles.Bundle]) -> None:
        host.put("0a1b2c", bundle_with('echo started >> "$CALLS"'))
        assert [host.take_up().returncode for _ in range(3)] == [0, 0, 0]
        assert host.calls.count("started") == 1
        assert sum("host.json" in call for call in host.calls) == 1

    def test_the_next_one_takes_its_place(self, host: Host, bundle_with: Callable[[str], bundles.Bundle]) -> None:
        for number in (1, 2, 1):
            bundle = bundle_with(f'echo start {number} >> "$CALLS"')
            host.put("0a1b2c", bundle)
            assert host.take_up().returncode == 0
        assert [call for call in host.calls if call.startswith("start")] == ["start 1", "start 2", "start 1"]
        assert [each.name for each in (host.home / "bundles").iterdir()] == [bundle.sha256]

    def test_one_that_does_not_start_is_told_and_tried_again(
        self, host: Host, bundle_with: Callable[[str], bundles.Bundle]
    ) -> None:
        host.put("0a1b2c", bundle_with('[ -e "$BUCKET/mended" ] || { echo "no space \\"left\\"" >&2; exit 3; }'))
        ended = host.take_up()
        assert (ended.returncode, ended.stderr) == (3, 'no space "left"\n')
        assert (host.says["state"], host.says["said"]) == ("failed", ['no space "left"'])
        (host.bucket / "mended").touch()
        assert host.take_up().returncode == 0
        assert host.says["state"] == "runs"

    def test_one_that_was_tampered_with_is_not_started(
        self, host: Host, bundle_with: Callable[[str], bundles.Bundle]
    ) -> None:
        bundle = bundle_with('echo started >> "$CALLS"')
        host.put("0a1b2c", bundle)
        file = host.bucket / "kestra" / "0a1b2c" / f"{bundle.sha256}.tar"
        file.write_bytes(bundle.content.replace(b"started", b"harmful"))
        ended = host.take_up()
        assert ended.returncode == 1
        assert "FAILED" in ended.stdout + ended.stderr
        assert list((host.home / "bundles").iterdir()) == []
        assert "harmful" not in host.calls

    @pytest.mark.parametrize("told", ["", "latest", "../../etc", "0a1b2c/$(touch pwned)", "0a1b2c/" + "a" * 63])
    def test_a_name_that_is_none_is_refused(self, host: Host, told: str) -> None:
        (host.bucket / "kestra" / "current").write_text(told)
        ended = host.take_up()
        assert ended.returncode == 1
        assert "expected <revision>/<SHA-256>" in ended.stderr

    def test_before_the_first_deployment_it_looks_again_later(self, host: Host) -> None:
        assert host.take_up().returncode == 1
        assert not (host.home / "running").exists()


class TestStart:
    @pytest.fixture
    def started(self, host: Host) -> Host:
        host.program(
            "docker",
            'echo "docker $*" >> "$CALLS"; env | grep ^DRYDOCK_ >> "$BUCKET/told"\n'
            '[ -z "$FAILS" ] || [ "$FAILS" != "$8" ]',
        )
        return host

    def test_it_builds_starts_and_then_brings_the_flows(self, started: Host) -> None:
        assert started.run(COMPOSE / "kestra-host" / "start").returncode == 0
        files = "--file compose/compose.yaml --file compose/kestra-host.yaml"
        compose = f"docker compose --ansi=never --progress=plain {files}"
        assert [call for call in started.calls if call.startswith("docker")] == [
            f"{compose} build kestra",
            f"{compose} up --detach --wait --wait-timeout 600 --remove-orphans postgres kestra",
            f"{compose} run --rm flows",
            "docker image prune --force --filter label=com.docker.compose.project=drydock",
        ]

    def test_passwords_are_made_once_for_root_alone_and_are_in_no_argument(self, started: Host) -> None:
        told = []
        for _ in range(2):
            assert started.run(COMPOSE / "kestra-host" / "start").returncode == 0
            told.append(
                dict(
                    line.split("=", 1)
                    for line in (started.bucket / "told").read_text().splitlines()
                    if "SECRET" in line
                )
            )
        assert told[0] == told[1]
        assert told[0]["DRYDOCK_SECRET_KESTRA_PASSWORD"] == PASSWORD
        own = {told[0]["DRYDOCK_SECRET_POSTGRES_PASSWORD"], told[0]["DRYDOCK_SECRET_KESTRA_DATABASE_PASSWORD"]}
        assert len(own) == 2
        assert all(re.fullmatch(r"[\w-]{32}", each) for each in own)
        assert not [call for call in started.calls if any(secret in call for secret in (PASSWORD, *own))]
        secrets = started.home / "secrets"
        assert secrets.stat().st_mode & 0o777 == 0o700
        assert {each.name: each.stat().st_mode & 0o777 for each in secrets.iterdir()} == {
            "postgres": 0o600,
            "kestra-database": 0o600,
        }

    def test_what_fails_ends_it(self, started: Host) -> None:
        """`$8` of the call is what Compose is asked to do."""
        assert started.run(COMPOSE / "kestra-host" / "start", FAILS="build").returncode != 0
        assert not any(" up " in call for call in started.calls)


class TestDocker:
    PROGRAM = b"the program"

    @pytest.fixture
    def install(self, host: Host, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
        """Run it with its folder of plug-ins under `tmp_path`."""
        script = tmp_path / "install-docker"
        script.write_text((FILES / "install-docker").read_text().replace("/usr/local/lib", str(tmp_path)))
        script.chmod(0o755)
        for name in ("dnf", "systemctl", "docker"):
            host.program(name, f'echo "{name} $*" >> "$CALLS"')
        host.program("rpm", "printf 25.0.13")
        host.program(
            "curl", 'while [ "$1" != --output ]; do shift; done; printf "the program" > "$2"; echo curl >> "$CALLS"'
        )

        def run(
            sha256: str = hashlib.sha256(self.PROGRAM).hexdigest(), minimum: str = "25.0"
        ) -> "subprocess.CompletedProcess[str]":
            return host.run(script, COMPOSE_SHA256=sha256, COMPOSE_VERSION="2.32.4", DOCKER_MINIMUM=minimum)

        return run

    def test_compose_is_fetched_once_and_held_against_its_checksum(
        self, host: Host, install: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
    ) -> None:
        for _ in range(2):
            ended = install()
            assert ended.returncode == 0, ended.stderr
        plugin = tmp_path / "docker" / "cli-plugins" / "docker-compose"
        assert plugin.read_bytes() == self.PROGRAM
        assert plugin.stat().st_mode & 0o777 == 0o755
        assert host.calls.count("curl") == 1

    def test_another_program_is_not_installed(
        self, install: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
    ) -> None:
        assert install("0" * 64).returncode != 0
        assert list((tmp_path / "docker" / "cli-plugins").iterdir()) == []

    def test_a_docker_that_is_too_old_is_a_sentence(
        self, install: Callable[..., "subprocess.CompletedProcess[str]"]
    ) -> None:
        ended = install(minimum="27.0")
        assert ended.returncode == 1
        assert "has Docker 25.0.13, Drydock needs 27.0 or newer" in ended.stderr


class TestUnits:
    def test_they_start_what_cloud_init_writes(self) -> None:
        service = (FILES / "drydock-kestra.service").read_text()
        assert re.findall(r"^Exec\w+=(.+)$", service, re.MULTILINE) == ["/usr/local/sbin/drydock-take-up"]
        assert re.search(r"^Environment=PATH=/usr/local/sbin:", service, re.MULTILINE)
        called = re.findall(r"^drydock-(\S+)$", (FILES / "take-up").read_text(), re.MULTILINE)
        units = {"drydock-kestra.service", "drydock-kestra.timer"}
        assert {file.name for file in FILES.iterdir()} == {"take-up", *called, *units}
        assert "EnvironmentFile=/etc/drydock/host.env" in service

    def test_its_programs_are_told_all_that_they_ask_for(self) -> None:
        told = set(re.findall(r"^    ([A-Z_0-9]+) +=", (MODULE / "main.tf").read_text(), re.MULTILINE))
        programs = [FILES / "install-docker", FILES / "take-up", COMPOSE / "kestra-host" / "start"]
        asked = {name for file in programs for name in re.findall(r"\$\{?([A-Z_0-9]{3,})", file.read_text())}
        asked |= set(re.findall(r"\$\{([A-Z_]+):\?\}", (COMPOSE / "kestra-host.yaml").read_text()))
        assert asked - {"BASH_SOURCE", "COMPOSE_PROJECT_NAME", "DRYDOCK_HOST_HOME", "DRYDOCK_SECRET_MIRRORS"} == told

    def test_nobody_is_let_in(self) -> None:
        sources = "".join(file.read_text() for file in MODULE.glob("*.tf"))
        assert "ingress" not in sources
        assert "key_name" not in sources


def test_the_compose_file_is_one_that_compose_takes() -> None:
    """It has what compose.yaml has, without what AWS has in its place, and publishes Kestra on loopback alone."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker on this machine")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "AWS_REGION": "eu-central-1",
        "DRYDOCK_PLATFORM_CONFIG": "s3://acme/config/platform.json",
        "DRYDOCK_ROLE_ARN": "arn:aws:iam::123456789012:role/acme-kestra-role",
    }
    files = ("--file", COMPOSE / "compose.yaml", "--file", COMPOSE / "kestra-host.yaml")
    command = ["docker", "compose", *files, "--profile", "flows", "config"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "is not a docker command" in told.stderr:
        pytest.skip("there is no Compose on this machine")
    assert told.returncode == 0, told.stderr
    services = yaml.safe_load(told.stdout)["services"]
    kestra, postgres, flows = (services[name] for name in ("kestra", "postgres", "flows"))
    assert [(each["host_ip"], each["published"]) for each in kestra["ports"]] == [("127.0.0.1", "8080")]
    assert not any("ports" in each for each in (postgres, flows))
    assert sorted(kestra["environment"]) == [
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "DRYDOCK_KESTRA_PASSWORD_FILE",
        "DRYDOCK_KESTRA_URL",
        "DRYDOCK_KESTRA_USERNAME",
        "DRYDOCK_PLATFORM_CONFIG",
        "DRYDOCK_ROLE_ARN",
    ]
    assert kestra["environment"]["DRYDOCK_KESTRA_USERNAME"] == settings.KESTRA_USERNAME
    assert list(kestra["depends_on"]) == ["postgres"]
    assert {each["source"] for each in kestra["secrets"]} == {"kestra_password", "kestra_database_password"}
    assert {each["source"] for each in postgres["secrets"]} == {"postgres_password", "kestra_database_password"}
    assert postgres["environment"]["DRYDOCK_DATABASES"] == "kestra"
    assert [each["source"] for each in flows["volumes"] if each["type"] == "bind"] == [str(settings.REPOSITORY)]
    assert flows["volumes"][0]["read_only"] is True
    local = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    for name, of_host in (("kestra", kestra), ("postgres", postgres)):
        assert of_host["image"] in local[name]["image"]
        assert of_host["security_opt"] == ["no-new-privileges:true"]
        assert of_host["cap_drop"] == ["ALL"]
