"""Pre-flight: everything that can be known before anything is started, and without changing anything.

`everything` is what `make doctor` looks at; `before_set_up` what it can look at with nothing but Python 3.11; `quick`
what `make local-up` has to know first. Importing this needs the standard library only.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from drydock import settings
from drydock.errors import UsageError
from drydock.preflight import credentials, docker, machine, registries
from drydock.preflight.docker import Docker
from drydock.preflight.finding import Check, Finding, Once, Status, carry_out
from drydock.toolchain import java, plan

GROUPS = ("Machine", "Docker", "Ports", "Network", "Earlier runs", "AWS")


def everything(paths: settings.Paths, runtime: str, callers_aws: Mapping[str, str]) -> list[Check]:
    """All checks, in the order in which they are shown. `runtime`: docker, process, or empty where neither was chosen.

    What is wrong with Docker is a failure where Docker was asked for, a warning where nothing was, and not looked at
    where processes were.
    """
    checks = [
        *before_set_up(paths, runtime, callers_aws),
        Check("Machine", "memory", partial(_occupied, "memory", paths, runtime)),
        Check("Ports", "ports", partial(_occupied, "ports", paths, runtime)),
        Check("Earlier runs", "processes", partial(_occupied, "left", paths)),
    ]
    return sorted(checks, key=lambda check: GROUPS.index(check.group))


def before_set_up(paths: settings.Paths, runtime: str, callers_aws: Mapping[str, str]) -> list[Check]:
    """Those of the checks that need none of the workspace's packages."""
    todo = Once(lambda: plan.pending(paths, plan.FOUNDATION + plan.STEPS))
    found_docker, bad = Once(docker.ask), _severity(runtime)
    checks = [
        Check("Machine", "system", machine.system, Status.WARNING),
        Check("Machine", "Python", machine.python),
        Check("Machine", "make", machine.make),
        Check("Machine", "Terraform", machine.terraform),
        Check("Machine", "AWS provider", partial(machine.provider, paths)),
        *(
            Check("Machine", f"Java {needed.required}", partial(machine.java_for, needed, paths))
            for needed in (java.SPARK, java.ENGINE)
        ),
        Check("Machine", "DRYDOCK_HOME", partial(machine.home, paths)),
        Check("Machine", "disk", lambda: machine.disk(paths, _megabytes(paths, todo()))),
        Check("Machine", "set-up", lambda: machine.set_up(todo())),
        Check("Machine", "processors", machine.processors),
        Check("Network", "Python packages", partial(registries.python_packages, todo)),
        Check("Network", "jars", partial(registries.maven, todo)),
        Check("Network", "AWS provider's registry", partial(registries.terraform, paths)),
        Check("AWS", credentials.SUBJECT, partial(credentials.look, callers_aws)),
    ]
    if runtime != settings.PROCESS:
        project = settings.compose_project(paths)
        checks += [
            _docker(found_docker, bad),
            Check("Network", "images", partial(registries.images, found_docker, bad, project), bad),
            Check("Earlier runs", "containers", partial(docker.left, found_docker, project), Status.WARNING),
        ]
    return sorted(checks, key=lambda check: GROUPS.index(check.group))


def quick(paths: settings.Paths, runtime: str) -> list[Finding]:
    """What has to be known before anything is started: no network is asked, Docker only where it is the runtime."""
    checks = [
        Check("Machine", "DRYDOCK_HOME", partial(machine.writable_home, paths)),
        Check("Machine", "disk", partial(machine.disk, paths, settings.UP_MEGABYTES)),
        Check("Machine", "Terraform", partial(machine.terraform_noted, paths)),
        Check("Machine", "memory", partial(_occupied, "memory", paths, runtime), Status.WARNING),
    ]
    if runtime == settings.DOCKER:
        checks.append(_docker(Once(docker.ask), Status.FAILURE))
    else:
        checks.append(Check("Machine", "set-up", partial(machine.programs, paths)))
    return [finding for findings in carry_out(checks).values() for finding in findings]


def known_runtime(text: str) -> str:
    """A runtime that was asked for, or empty. Raises UsageError when it is neither."""
    if text not in ("", settings.DOCKER, settings.PROCESS):
        raise UsageError(f"RUNTIME is `{text}`, expected `docker` or `process`.")
    return text


def _docker(found: Once[Docker], bad: Status) -> Check:
    return Check("Docker", "Docker", partial(docker.look, found, bad), bad)


def _severity(runtime: str) -> Status:
    return Status.FAILURE if runtime == settings.DOCKER else Status.WARNING


def _megabytes(paths: settings.Paths, todo: list[plan.Step]) -> int:
    return max(settings.UP_MEGABYTES, plan.needed_megabytes(paths, todo))


def _occupied(name: str, *arguments: Any) -> Iterator[Finding]:
    """Imported where it is used: before set-up it cannot be, and after it that takes a second, while others wait."""
    from drydock.preflight import occupied

    looks: dict[str, Callable[..., Iterator[Finding]]] = {
        "memory": occupied.memory,
        "ports": occupied.ports,
        "left": occupied.left,
    }
    yield from looks[name](*arguments)
