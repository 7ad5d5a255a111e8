"""Docker, for `RUNTIME=docker`: whether it answers, its versions, what it has been given, what is left in it.

All that `docker info` can tell is asked once, as JSON. Without a daemon it still tells of the client and its plug-ins.
Standard library only.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drydock import settings
from drydock.preflight import machine
from drydock.preflight.finding import Finding, Once, Status, ok

SECONDS = 15.0  # for each answer; `docker info` runs all the client's plug-ins, which takes some on a cold machine
LABEL = "com.docker.compose.project"
END_LEFTOVERS = "`RUNTIME=docker make local-down` ends and removes them; volumes, and so data, stay."
MUCH_BUILD_CACHE = 20e9  # bytes: the platform's images take 4 GB, and each state of the sources up to 2 GB
_UNITS = {
    **{"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40},
}


@dataclass(frozen=True)
class Docker:
    """What became of asking Docker. `info` is what it said; `complaint` why its daemon did not answer, else empty."""

    program: str | None
    info: Mapping[str, Any]
    complaint: str = ""

    @property
    def answers(self) -> bool:
        return self.program is not None and not self.complaint

    @property
    def registries(self) -> list[str]:
        """The URLs that images come from, best first: mirrors that the daemon was told of, then Docker's own."""
        mirrors = (self.info.get("RegistryConfig") or {}).get("Mirrors") or []
        return [url for url in (*mirrors, self.info.get("IndexServerAddress")) if url]


def ask() -> Docker:
    """Ask Docker, if there is one."""
    program = shutil.which("docker")
    if program is None:
        return Docker(None, {}, "it is not installed")
    try:
        result = _run(program, "info", "--format", "{{json .}}")
    except subprocess.TimeoutExpired:
        return Docker(program, {}, f"no answer within {SECONDS:.0f} s")
    try:
        info = dict(json.loads(result.stdout))
    except ValueError:
        info = {}
    # The client exits with 0 in some versions although the daemon did not answer.
    errors = info.get("ServerErrors") or []
    if result.returncode == 0 and info and not errors:
        return Docker(program, info)
    said = " ".join(errors) or result.stderr.strip() or result.stdout.strip() or f"exit code {result.returncode}"
    said = re.sub(r': Get ".*', "", said, flags=re.DOTALL)  # the request, and all that was said before once more
    return Docker(program, info, " ".join(said.removeprefix("ERROR: ").split()))


def look(docker: Once[Docker], bad: Status) -> Iterator[Finding]:
    """The engine, its plug-ins, its share of the machine. `bad`: what it is when something is not as it should be."""
    found = docker()
    if found.program is None:
        yield Finding("Docker", bad, "It is not installed.", _with_alternative(_INSTALL, bad))
        return
    if not found.answers:
        yield Finding("Docker", bad, *_explained(found, bad))
    else:
        yield from _engine(found.info, bad)
    yield from _compose(found.info, bad)
    yield from _buildx(found.info, bad)
    if found.answers:
        yield from _share(found.info, bad)


def left(docker: Once[Docker], project: str) -> Iterator[Finding]:
    """Containers and networks of an earlier run; data of installs that are gone; what builds have left.

    Nothing where Docker does not answer.

    `project`: this install's, in Compose.
    """
    program = docker().program
    if program is None or not docker().answers:
        return
    yield _left_of(program, project)
    yield from _data_of_others(program, project)
    yield from _build_cache(program)


def _left_of(program: str, project: str) -> Finding:
    listed = _list(program, project, "ps", "--all")
    networks = _list(program, project, "network", "ls")
    volumes = _list(program, project, "volume", "ls")
    running = [each for each in listed if each["State"] == "running"]
    # One that has done its work (exit code 0) belongs to the ones that run; when nothing runs, all of them are left.
    ended = [each for each in listed if each not in running and not (running and "Exited (0)" in each["Status"])]
    if ended:
        shown = ", ".join(f"`{each['Names']}` ({each['Status'] or each['State']})" for each in ended[:4])
        more = f" and {len(ended) - 4} more" if len(ended) > 4 else ""
        return Finding("containers", Status.WARNING, f"An earlier run has left {shown}{more}.", END_LEFTOVERS)
    if networks and not listed:
        shown = ", ".join(f"`{each['Name']}`" for each in networks)
        return Finding("containers", Status.WARNING, f"An earlier run has left the network {shown}.", END_LEFTOVERS)
    state = f"{len(running)} run" if running else "none of an earlier run"
    data = f"; {len(volumes)} volumes hold the platform's data" if volumes else ""
    return ok("containers", state + data)


def _data_of_others(program: str, project: str) -> Iterator[Finding]:
    """Another checkout's, or what a removed DRYDOCK_HOME has left: only its owner knows."""
    others: dict[str, list[str]] = {}
    for volume in _list(program, "", "volume", "ls"):
        labels = dict(label.partition("=")[::2] for label in volume["Labels"].split(","))
        if re.fullmatch(r"drydock-[0-9a-f]{8}", labels[LABEL]) and labels[LABEL] != project:
            others.setdefault(labels[LABEL], []).append(volume["Name"])
    for other, volumes in others.items():
        if not _list(program, other, "ps", "--all"):
            yield Finding(
                "data",
                Status.WARNING,
                f"{len(volumes)} volumes belong to an install in another DRYDOCK_HOME (`{other}`), which does not run.",
                f"Where that home is gone: `docker volume rm {' '.join(sorted(volumes))}`.",
            )


def _build_cache(program: str) -> Iterator[Finding]:
    """What Docker keeps of builds, of any project's. By itself it clears that late: where the disk is large, never."""
    result = _run(program, "system", "df", "--format", "{{json .}}")
    result.check_returncode()
    kept = next(row["Size"] for row in map(json.loads, result.stdout.splitlines()) if row["Type"] == "Build Cache")
    if size_bytes(kept) > MUCH_BUILD_CACHE:
        fix = "`docker builder prune` removes what no image is being made of; the next build of one takes longer, once."
        yield Finding("builds", Status.WARNING, f"Docker keeps {kept} of earlier builds, of all projects.", fix)


def size_bytes(told: str) -> int:
    """A size as Docker tells it: `59.3GB` (df), `123.4MiB` (stats)."""
    number = told.rstrip("BiKkMGT")
    return int(float(number) * _UNITS[told.removeprefix(number)])


def has_containers(docker: Docker, project: str) -> bool:
    """Whether there are containers of the platform, and so their images."""
    return docker.program is not None and docker.answers and bool(_list(docker.program, project, "ps", "--all"))


_INSTALL = "Install Docker Engine, or Docker Desktop: see docs.docker.com/get-docker."


def _engine(info: Mapping[str, Any], bad: Status) -> Iterator[Finding]:
    version, needed = info.get("ServerVersion"), settings.versions()["docker"]["engine"]
    if not version:
        yield Finding(
            "Docker",
            bad,
            "Its engine does not say its version: is `docker` another program, such as Podman?",
            _with_alternative(_INSTALL, bad),
        )
    elif _numbers(version) < _numbers(needed):
        yield Finding(
            "Docker", bad, f"The engine is {version}; {needed} or newer is needed.", _with_alternative(_INSTALL, bad)
        )
    else:
        yield ok("Docker", f"engine {version}, {info.get('OperatingSystem') or 'of an unnamed system'}")


def _compose(info: Mapping[str, Any], bad: Status) -> Iterator[Finding]:
    version, needed = _plugin(info, "compose"), settings.versions()["docker"]["compose"]
    fix = "Install the package `docker-compose-plugin` from Docker's repository: see docs.docker.com/compose/install."
    if version is None:
        yield Finding("Compose", bad, f"The plug-in is not there; {needed} or newer is needed.", fix)
    elif _numbers(version) < _numbers(needed):
        yield Finding("Compose", bad, f"The plug-in is {version}; {needed} or newer is needed.", fix)
    else:
        yield ok("Compose", version.removeprefix("v"))


def _buildx(info: Mapping[str, Any], bad: Status) -> Iterator[Finding]:
    version = _plugin(info, "buildx")
    if version is None:
        fix = "Install the package `docker-buildx-plugin` from Docker's repository."
        yield Finding("Buildx", bad, "The plug-in, which builds the images, is not there.", fix)
    else:
        yield ok("Buildx", version.removeprefix("v"))


def _share(info: Mapping[str, Any], bad: Status) -> Iterator[Finding]:
    """Docker Desktop gives its machine a part of the computer only."""
    is_desktop = "Docker Desktop" in str(info.get("OperatingSystem"))
    more = "Give Docker more of it: Docker Desktop, Settings, Resources." if is_desktop else "Use a larger machine."
    megabytes, needed = int(info.get("MemTotal") or 0) / 1e6, settings.UP_MEMORY_MEGABYTES
    if megabytes < needed:
        found = f"It has {megabytes / 1e3:.1f} GB; {needed / 1e3:.0f} GB are needed."
        yield Finding("Docker's memory", bad, found, more)
    else:
        yield ok("Docker's memory", f"{megabytes / 1e3:.1f} GB")
    count = int(info.get("NCPU") or 0)
    if count < settings.UP_PROCESSORS:
        found = f"It has {count} processors; {settings.UP_PROCESSORS} are needed for a day to take minutes and no more."
        yield Finding("Docker's processors", Status.WARNING, found, more)
    else:
        yield ok("Docker's processors", str(count))


def _explained(docker: Docker, bad: Status) -> tuple[str, str]:
    """Why the daemon did not answer, and what to do: both in the user's terms."""
    if "permission denied" in docker.complaint.lower():
        fix = '`sudo usermod -aG docker "$USER"`, then log in again.'
        return f"You may not speak to its daemon: {_sentence(docker.complaint)}", _with_alternative(fix, bad)
    if os.environ.get("DOCKER_HOST"):
        fix = "`unset DOCKER_HOST`, or start the daemon that it names."
    elif platform.system() == "Linux" and not machine.is_wsl():
        fix = "`sudo systemctl start docker` (or `sudo service docker start`); `docker context ls` says which it is."
    else:
        fix = "Start Docker Desktop."
    return f"Its daemon does not answer: {_sentence(docker.complaint)}", _with_alternative(fix, bad)


def _with_alternative(fix: str, bad: Status) -> str:
    """Whoever has not asked for Docker can do without."""
    return fix if bad is Status.FAILURE else f"{fix} Or do without: `make demo` needs none."


def _plugin(info: Mapping[str, Any], name: str) -> str | None:
    """The version of a plug-in of the client; None where it is not there, or broken."""
    plugins = (info.get("ClientInfo") or {}).get("Plugins") or []
    return next((str(it["Version"]) for it in plugins if it.get("Name") == name and it.get("Version")), None)


def _list(program: str, project: str, *command: str) -> list[dict[str, Any]]:
    """What belongs to a project of Compose's; to any where `project` is empty."""
    label = f"{LABEL}={project}" if project else LABEL
    result = _run(program, *command, "--filter", f"label={label}", "--format", "{{json .}}")
    result.check_returncode()
    return [json.loads(line) for line in result.stdout.splitlines()]


def _run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=SECONDS)


def _numbers(version: str) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."
