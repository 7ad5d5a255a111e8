"""Docker, faked by a program that says what Docker says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drydock.preflight import docker
from drydock.preflight.finding import Finding, Once, Status

# Of `docker info --format '{{json .}}'` (28.2), what is looked at and some more.
CLIENT = {
    "Debug": False,
    "Version": "28.2.2",
    "Context": "default",
    "Plugins": [
        {"Vendor": "Docker Inc.", "Version": "v0.24.0", "Name": "buildx", "Path": "/usr/libexec/docker/cli-plugins"},
        {"Vendor": "Docker Inc.", "Version": "v2.36.2", "Name": "compose", "Path": "/usr/libexec/docker/cli-plugins"},
    ],
}
INFO = {
    "ID": "7deba7a6-7b07-49d3-917f-f4d64be0a806",
    "Containers": 0,
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "IndexServerAddress": "https://registry.example/v1/",
    "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "Mirrors": None},
    "NCPU": 8,
    "MemTotal": 25276510208,
    "ServerVersion": "28.2.2",
    "ClientInfo": CLIENT,
}
NO_DAEMON = {"ServerVersion": "", "NCPU": 0, "MemTotal": 0, "RegistryConfig": None, "ClientInfo": CLIENT}
NOT_RUNNING = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
FORBIDDEN = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/info": dial unix /var/run/docker.sock: connect: permission denied'
)
CONTAINER = {
    "ID": "f2b5b0c1d0a3",
    "Image": "drydock-gateway",
    "Labels": "com.docker.compose.project=drydock-0a1b2c3d",
    "Names": "drydock-gateway-1",
    "State": "running",
    "Status": "Up 2 minutes (healthy)",
}
NETWORK = {"Driver": "bridge", "ID": "2edb4ecdd8d7", "Name": "drydock_default", "Scope": "local"}
VOLUME = {
    "Driver": "local",
    "Labels": "com.docker.compose.project=drydock-0a1b2c3d",
    "Name": "drydock_data",
    "Scope": "local",
}
PROJECT = "drydock-0a1b2c3d"

Said = Callable[..., Once[docker.Docker]]


@pytest.fixture
def said(programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """A Docker that says this of itself, lists these, complains of that."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.release", lambda: "6.1.0-28-amd64")

    def fake(
        info=INFO, complaint="", exit_code=0, containers=(), networks=(), volumes=(), others=(), builds="4.2GB"
    ) -> Once[docker.Docker]:
        (tmp_path / "info").write_text(json.dumps(info) if info else "")
        (tmp_path / "complaint").write_text(complaint)
        for name, rows in {
            "ps": containers,
            "network": networks,
            "volume": volumes,
            "others": [*volumes, *others],
        }.items():
            (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        used = [{"Type": "Images", "Size": "90GB"}, {"Type": "Build Cache", "Size": builds}]
        (tmp_path / "system").write_text("".join(json.dumps(row) + "\n" for row in used))
        programs(
            "docker",
            f'case "$1" in info) /bin/cat {tmp_path}/complaint >&2; /bin/cat {tmp_path}/info; exit {exit_code};; esac\n'
            f'case "$*" in "system df "*) /bin/cat "{tmp_path}/system";;\n'
            f'*"--filter label=com.docker.compose.project={PROJECT} "*) /bin/cat "{tmp_path}/$1";;\n'
            f'*"--filter label=com.docker.compose.project "*) /bin/cat "{tmp_path}/others";; esac',
        )
        return Once(docker.ask)

    return fake


def looked(found: Once[docker.Docker], bad: Status = Status.FAILURE) -> dict[str, Finding]:
    return {finding.subject: finding for finding in docker.look(found, bad)}


def test_all_is_well(said: Said):
    found = looked(said())
    assert {subject: finding.found for subject, finding in found.items()} == {
        "Docker": "engine 28.2.2, Debian GNU/Linux 12 (bookworm)",
        "Compose": "2.36.2",
        "Buildx": "0.24.0",
        "Docker's memory": "25.3 GB",
        "Docker's processors": "8",
    }
    assert {finding.status for finding in found.values()} == {Status.OK}


@pytest.mark.usefixtures("programs")
def test_none_is_as_bad_as_it_was_asked_for():
    asked = looked(Once(docker.ask))
    assert list(asked) == ["Docker"]
    assert (asked["Docker"].status, asked["Docker"].found) == (Status.FAILURE, "It is not installed.")
    not_asked = looked(Once(docker.ask), Status.WARNING)["Docker"]
    assert not_asked.status is Status.WARNING
    assert not_asked.fix.endswith("Or do without: `make demo` needs none.")


def test_a_daemon_that_does_not_run_is_started(said: Said):
    found = looked(said(NO_DAEMON, NOT_RUNNING, exit_code=1))
    assert found["Docker"].status is Status.FAILURE
    assert found["Docker"].found == f"Its daemon does not answer: {NOT_RUNNING}"
    assert found["Docker"].fix.startswith("`sudo systemctl start docker`")
    assert found["Compose"].status is Status.OK  # the client's own, so it is known all the same
    assert set(found) == {"Docker", "Compose", "Buildx"}


def test_so_it_is_where_the_client_says_so_in_its_answer_only(said: Said):
    found = looked(said({**NO_DAEMON, "ServerErrors": [NOT_RUNNING]}, exit_code=0))
    assert found["Docker"].found == f"Its daemon does not answer: {NOT_RUNNING}"


@pytest.mark.parametrize(("system", "release"), [("Darwin", "24.1.0"), ("Linux", "5.15.1-microsoft-standard-WSL2")])
def test_where_docker_desktop_is_usual_that_is_started(
    said: Said, monkeypatch: pytest.MonkeyPatch, system: str, release: str
):
    found = said(NO_DAEMON, NOT_RUNNING, exit_code=1)
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.release", lambda: release)
    assert looked(found)["Docker"].fix == "Start Docker Desktop."


def test_a_daemon_of_another_host_is_asked_for_there(said: Said, monkeypatch: pytest.MonkeyPatch):
    found = said(NO_DAEMON, NOT_RUNNING, exit_code=1)
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "unset DOCKER_HOST" in looked(found)["Docker"].fix


def test_a_socket_that_is_closed_to_the_user_is_told_from_that(said: Said):
    found = looked(said(NO_DAEMON, FORBIDDEN, exit_code=1))["Docker"]
    assert found.status is Status.FAILURE
    assert found.found == (
        "You may not speak to its daemon: permission denied while trying to connect to the Docker daemon socket at "
        "unix:///var/run/docker.sock."
    )
    assert found.fix == '`sudo usermod -aG docker "$USER"`, then log in again.'


def test_one_that_hangs_is_not_waited_for(programs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(docker, "SECONDS", 0.6)
    programs("docker", "exec /bin/sleep 30")
    assert looked(Once(docker.ask))["Docker"].found == "Its daemon does not answer: no answer within 1 s."


def test_one_that_is_another_program_is_not_taken_for_docker(said: Said):
    podman = {"host": {"arch": "amd64", "cpus": 8}, "version": {"APIVersion": "5.4.0", "Version": "5.4.0"}}
    found = looked(said(podman))
    assert "is `docker` another program, such as Podman?" in found["Docker"].found
    assert found["Docker"].status is Status.FAILURE


@pytest.mark.parametrize("version", ["20.10.24", "22.06.0-beta.0", "1.13.1"])
def test_an_old_engine_is_named_with_what_is_needed(said: Said, version: str):
    found = looked(said({**INFO, "ServerVersion": version}))["Docker"]
    assert (found.status, found.found) == (Status.FAILURE, f"The engine is {version}; 25.0 or newer is needed.")


@pytest.mark.parametrize("version", ["25.0.0", "26.1.5+dfsg1", "100.0.0"])
def test_a_new_one_is_ok(said: Said, version: str):
    assert looked(said({**INFO, "ServerVersion": version}))["Docker"].status is Status.OK


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("v2.23.3", Status.FAILURE),
        ("2.24.3", Status.FAILURE),
        ("2.24.4", Status.OK),
        ("v2.29.7-desktop.1", Status.OK),
        ("5.0.1", Status.OK),
    ],
)
def test_compose_has_a_least_version(said: Said, version: str, status: Status):
    plugins = [{"Name": "compose", "Version": version}, {"Name": "buildx", "Version": "v0.24.0"}]
    found = looked(said({**INFO, "ClientInfo": {"Plugins": plugins}}))
    assert found["Compose"].status is status
    assert found["Buildx"].status is Status.OK


@pytest.mark.parametrize("plugins", [None, [], [{"Name": "compose", "Err": "exec format error"}]])
def test_plug_ins_that_are_missing_or_broken_are_named(said: Said, plugins):
    found = looked(said({**INFO, "ClientInfo": {"Plugins": plugins}}), Status.WARNING)
    assert (found["Compose"].status, found["Buildx"].status) == (Status.WARNING, Status.WARNING)
    assert "docker-compose-plugin" in found["Compose"].fix
    assert "docker-buildx-plugin" in found["Buildx"].fix


def test_too_little_memory_fails_and_too_few_processors_warn(said: Said):
    desktop = {**INFO, "OperatingSystem": "Docker Desktop", "MemTotal": 4109721600, "NCPU": 1}
    found = looked(said(desktop))
    memory, processors = found["Docker's memory"], found["Docker's processors"]
    assert (memory.status, memory.found) == (Status.FAILURE, "It has 4.1 GB; 6 GB are needed.")
    assert "Docker Desktop, Settings, Resources" in memory.fix
    assert processors.status is Status.WARNING
    assert "It has 1 processors; 2 are needed" in processors.found


def test_six_gibibytes_given_to_docker_desktop_are_enough(said: Said):
    assert looked(said({**INFO, "MemTotal": 6213939200}))["Docker's memory"].status is Status.OK


def test_images_come_from_a_mirror_where_there_is_one(said: Said):
    assert said()().registries == ["https://registry.example/v1/"]
    mirrored = {**INFO, "RegistryConfig": {"Mirrors": ["https://mirror.example/"]}}
    assert said(mirrored)().registries == ["https://mirror.example/", "https://registry.example/v1/"]


class TestLeft:
    def left(self, found: Once[docker.Docker]) -> Finding:
        (finding,) = docker.left(found, PROJECT)
        return finding

    def test_nothing(self, said: Said):
        assert self.left(said()) == Finding("containers", Status.OK, "none of an earlier run")

    def test_what_runs_is_no_leftover_nor_is_what_has_done_its_work_for_it(self, said: Said):
        done = {**CONTAINER, "Names": "drydock-terraform-1", "State": "exited", "Status": "Exited (0) 2 minutes ago"}
        found = self.left(said(containers=[CONTAINER, done], networks=[NETWORK], volumes=[VOLUME]))
        assert (found.status, found.found) == (Status.OK, "1 run; 1 volumes hold the platform's data")

    def test_what_has_failed_beside_what_runs_is_one(self, said: Said):
        dead = {**CONTAINER, "Names": "drydock-emr-1", "State": "exited", "Status": "Exited (137) 2 minutes ago"}
        found = self.left(said(containers=[CONTAINER, dead]))
        assert found.status is Status.WARNING
        assert found.found == "An earlier run has left `drydock-emr-1` (Exited (137) 2 minutes ago)."

    def test_when_nothing_runs_all_that_is_there_is_one(self, said: Said):
        stopped = {**CONTAINER, "State": "exited", "Status": "Exited (0) 2 days ago"}
        dead = {**CONTAINER, "Names": "drydock-emr-1", "State": "dead", "Status": "Dead"}
        found = self.left(said(containers=[stopped, dead], volumes=[VOLUME]))
        assert found.found == (
            "An earlier run has left `drydock-gateway-1` (Exited (0) 2 days ago), `drydock-emr-1` (Dead)."
        )
        assert "`RUNTIME=docker make local-down`" in found.fix

    def test_a_network_alone_is_one_and_a_volume_alone_is_data(self, said: Said):
        assert self.left(said(networks=[NETWORK])).found == "An earlier run has left the network `drydock_default`."
        found = self.left(said(volumes=[VOLUME]))
        assert (found.status, found.found) == (
            Status.OK,
            "none of an earlier run; 1 volumes hold the platform's data",
        )

    def test_the_data_of_an_install_elsewhere_is_told_and_how_it_is_removed(self, said: Said):
        def volume(project: str, name: str) -> dict[str, str]:
            labels = f"com.docker.compose.project={project},com.docker.compose.volume={name}"
            return {**VOLUME, "Labels": labels, "Name": f"{project}_{name}"}

        others = [volume("drydock-ffffffff", "postgres"), volume("drydock-ffffffff", "gateway"), volume("shop", "data")]
        _, found = docker.left(said(volumes=[VOLUME], others=others), PROJECT)
        assert (found.status, found.found) == (
            Status.WARNING,
            "2 volumes belong to an install in another DRYDOCK_HOME (`drydock-ffffffff`), which does not run.",
        )
        assert found.fix.endswith("`docker volume rm drydock-ffffffff_gateway drydock-ffffffff_postgres`.")

    @pytest.mark.parametrize("builds", ["0B", "812.5kB", "19.99GB"])
    def test_what_builds_have_left_is_not_worth_a_word(self, said: Said, builds: str):
        assert self.left(said(builds=builds)).subject == "containers"

    @pytest.mark.parametrize("builds", ["59.3GB", "1.2TB"])
    def test_until_it_fills_a_disk(self, said: Said, builds: str):
        _, found = docker.left(said(builds=builds), PROJECT)
        assert (found.subject, found.status) == ("builds", Status.WARNING)
        assert builds in found.found
        assert "`docker builder prune`" in found.fix

    def test_without_a_daemon_nothing_is_said(self, said: Said):
        assert list(docker.left(said(NO_DAEMON, NOT_RUNNING, exit_code=1), PROJECT)) == []
