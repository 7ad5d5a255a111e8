"""What is taken of this machine, and by whom: memory, the platform's ports, processes that an earlier run has left.

Needs the workspace's packages. `asked`: the runtime that was asked for; where it is empty, it is about that which runs,
or did last.
"""

from collections.abc import Iterator

import psutil

from drydock import docker_up, processes, runtime, services, settings
from drydock import ports as port_checks
from drydock.compose import Container
from drydock.errors import SetupError
from drydock.preflight.finding import Finding, failure, ok, warning
from drydock.supervision import Supervisor


def memory(paths: settings.Paths, asked: str) -> Iterator[Finding]:
    """What is free of it. A platform that runs has its share already."""
    free, needed = psutil.virtual_memory().available / 1e6, settings.UP_MEMORY_MEGABYTES
    found = f"{free / 1e3:.1f} GB free"
    if _is_running(paths, asked):
        yield ok("memory", f"{found}, beside the running platform")
    elif free < needed:
        yield warning(
            "memory",
            f"{found}; {needed / 1e3:.0f} GB are needed, or the system may end processes of the platform.",
            "End what takes it: `ps aux --sort=-rss | head` shows the largest.",
        )
    else:
        yield ok("memory", found)


def ports(paths: settings.Paths, asked: str) -> Iterator[Finding]:
    """A line for those that are free, one for those that are this platform's, one for each that somebody else holds."""
    look = _of_containers if _is_of_containers(asked) else _of_processes
    listeners, taken, ours = look(paths)
    for listener, holder in taken.items():
        if listener not in ours:
            yield failure(
                f"port {listener.port}",
                port_checks.sentence(listener, holder),
                "Stop what holds it, or move all of Drydock's ports: `DRYDOCK_PORT_OFFSET=1000 make local-up`.",
            )
    if ours:
        whose = "the running platform" if _is_running(paths, asked) else "what an earlier run has left"
        yield ok("ports held", f"by {whose}: {_numbers(ours)}")
    free = [it for it in listeners if it not in taken]
    if free:
        yield ok("ports free", _numbers(free))


Looked = tuple[list[port_checks.Listener], dict[port_checks.Listener, port_checks.Holder], list[port_checks.Listener]]
"""All that are wanted, those that are held, and by whom, and of these the platform's own."""


def _of_processes(paths: settings.Paths) -> Looked:
    listeners = [it for each in services.listeners(paths, settings.Ports()).values() for it in each]
    taken = port_checks.taken(listeners)
    own = {process.pid for process in processes.running(paths)} if taken else set()
    return listeners, taken, [it for it, holder in taken.items() if holder.pid in own]


def _of_containers(paths: settings.Paths) -> Looked:
    """Docker's own processes hold the ports of its containers."""
    published = docker_up.published(settings.Ports())
    taken = port_checks.taken(published.values())
    running = _containers(paths) if taken else {}
    own = [listener for name, listener in published.items() if name in running and listener in taken]
    return list(published.values()), taken, own


def _containers(paths: settings.Paths) -> dict[str, Container]:
    try:
        found = runtime.DockerRuntime(paths, settings.Ports()).compose.containers()
    except SetupError:  # that Docker does not answer is another check's
        return {}
    return {name: container for name, container in found.items() if container.runs}


def _is_of_containers(asked: str) -> bool:
    return runtime.chosen(asked, settings.last_runtime()) == settings.DOCKER


def _is_running(paths: settings.Paths, asked: str) -> bool:
    return bool(_containers(paths)) if _is_of_containers(asked) else Supervisor(paths).is_running()


def left(paths: settings.Paths) -> Iterator[Finding]:
    """Processes of this DRYDOCK_HOME that no supervisor looks after."""
    if Supervisor(paths).is_running():
        yield ok("processes", "the platform runs, under its supervisor")
        return
    found = processes.running(paths)
    if found:
        names = sorted({what if len(what) <= 40 else f"{what[:39]}…" for what in found.values()})
        shown = ", ".join(f"`{name}`" for name in names[:4]) + (" and others" if len(names) > 4 else "")
        yield warning(
            "processes",
            f"{len(found)} run without a supervisor, left by an earlier run: {shown}.",
            "`make local-down` ends them; `make local-up` does, and starts anew.",
        )
    else:
        yield ok("processes", "none of an earlier run")


def _numbers(listeners: list[port_checks.Listener]) -> str:
    return ", ".join(str(port) for port in sorted({it.port for it in listeners}))
