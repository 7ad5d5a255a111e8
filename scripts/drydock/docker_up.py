"""Bring the platform up in Docker Compose: images built, containers healthy, Terraform applied, flows registered.

What a call had started is stopped again when it fails or is interrupted; data and what ran before stay as they are.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from drydock import interrupts, output, ports, settings
from drydock.compose import STOP_SECONDS, Compose, ComposeFailed, Container, node_service
from drydock.errors import ServiceFailed, SetupError
from drydock.health import Unhealthy
from drydock.ports import Listener
from drydock.runtime import Declared, DockerRuntime

POLL_SECONDS = 0.5
SHOWN_LOG_LINES = 12
START_SECONDS = 120  # for Docker to make and start containers whose images are there
RESTARTS = 3  # of a container that ends again and again, while it is waited for


def bring_up(
    paths: settings.Paths,
    own_ports: settings.Ports,
    meanwhile: Callable[[], None],
    afterwards: Callable[[], None],
) -> list[str]:
    """Start what does not run, wait until everything is healthy, and return the names of what was started.

    `meanwhile` is called once, when the gateway is healthy and before Kestra is started; `afterwards` when all is
    healthy. Raises what they raise, PortTaken,
    ServiceFailed (naming the service, with the last lines of its log), SetupError when images cannot be made.
    """
    runtime = DockerRuntime(paths, own_ports)
    compose = runtime.compose
    before = compose.containers()
    _require_free(own_ports, before)
    _build(compose)
    declared = {each.name: each for each in runtime.declared()}

    def start(*names: str) -> None:
        complaint = _start(compose, names)
        _await_health(runtime, [declared[name] for name in names], complaint)

    # Each is healthy before the next is started. Compose would wait as well, but without an end for one that ends again
    # and again.
    try:
        start("gateway")
        meanwhile()
        start("postgres")
        start("emr")
        start(*(name for name in compose.services if name not in ("gateway", "postgres", "emr")))
        afterwards()
    except BaseException:
        with interrupts.uninterrupted():
            _undo(compose, before)
        raise
    with suppress(SetupError):  # the next call comes by again
        compose.remove_former_images()
    after = compose.containers()
    return [name for name, container in after.items() if _is_new(container, before)]


def published(own_ports: settings.Ports) -> dict[str, Listener]:
    """Service → what of it Compose publishes."""
    pages = {
        node_service(index): (
            own_ports.node_ui(index),
            "Spark master's page" if index == 1 else "a Spark worker's page",
        )
        for index in range(1, settings.node_count() + 1)
    }
    ports_and_purposes = {
        "gateway": (own_ports.gateway, "gateway"),
        "emr": (own_ports.emr, "EMR control plane"),
        "kestra": (own_ports.kestra, "Kestra"),
        **pages,
        "history-server": (own_ports.history_server, "History Server"),
    }
    return {name: Listener(settings.LOOPBACK, *each) for name, each in ports_and_purposes.items()}


def _require_free(own_ports: settings.Ports, containers: dict[str, Container]) -> None:
    """Ports that none of our containers publishes."""
    running = {name for name, container in containers.items() if container.runs}
    ports.require_free(listener for name, listener in published(own_ports).items() if name not in running)


def _build(compose: Compose) -> None:
    """Images that are there and made from the same are looked at, which takes seconds."""
    begun_at = time.monotonic()
    with output.stage("Images: building what has changed") as tell:
        try:
            compose.run("build", on_line=lambda line: tell(line[:120]) if line.strip() else None)
        except ComposeFailed as error:
            lines = [line for line in error.output.splitlines() if line.strip()][-SHOWN_LOG_LINES:]
            shown = "\n".join(f"    {line}" for line in lines)
            hint = ""
            if "kestra/kestra" in error.output:
                hint = (
                    " Without Kestra's image, which has the pages, `DRYDOCK_KESTRA=engine make local-up` runs Kestra's "
                    "engine."
                )
            raise SetupError(f"{error}\n{shown}\nMend that, then `make local-up` again.{hint}") from error
    output.done(f"Images: up to date ({time.monotonic() - begun_at:.0f} s)")


def _start(compose: Compose, names: Sequence[str]) -> str:
    """Start services. What Compose complained about, empty when it did not: which service is not healthy, and why, is
    then found out by `_await_health`."""
    with output.stage(f"Starting {', '.join(names)}") as tell:
        try:
            compose.run("up", "--detach", "--no-build", "--no-deps", *names, on_line=tell, within_seconds=START_SECONDS)
        except ComposeFailed as error:
            return str(error)
    return ""


def _await_health(runtime: DockerRuntime, wanted: Sequence[Declared], complaint: str) -> None:
    begun_at = time.monotonic()
    pending = {each.name: each for each in wanted}
    restarts = {name: container.restarts for name, container in runtime.compose.containers().items()}
    with output.stage(f"Waiting for {', '.join(pending)}") as tell:
        while pending:
            containers = runtime.compose.containers()
            reasons = {name: _why_not(each, containers.get(name)) for name, each in pending.items()}
            pending = {name: each for name, each in pending.items() if reasons[name] is not None}
            if pending:
                tell("; ".join(f"{name}: {reasons[name]}" for name in pending))
            for name, each in pending.items():
                container = containers.get(name)
                elapsed = time.monotonic() - begun_at
                if _is_dead(container, restarts.get(name, 0)) or elapsed > each.start_seconds:
                    raise _failure(runtime, name, "; ".join(filter(None, (reasons[name], complaint))), elapsed)
            if pending:
                time.sleep(POLL_SECONDS)


def _why_not(service: Declared, container: Container | None) -> str | None:
    """Why a service does not do its work, by Docker's look from inside and ours from outside; None when it does."""
    if container is None:
        return "it has no container"
    if container.state != "running":
        return f"its container is {container.state}" + (f" ({container.exit_code})" if container.exit_code else "")
    if container.health not in ("", "healthy"):
        return f"its container is {container.health}"
    try:
        service.check()
    except Unhealthy as reason:
        return str(reason)
    return None


def _failure(runtime: DockerRuntime, name: str, reason: str, elapsed: float) -> ServiceFailed:
    try:
        lines = "\n".join(f"    {line}" for line in runtime.log(name, SHOWN_LOG_LINES))
    except SetupError as error:
        lines = f"    (no log: {error})"
    return ServiceFailed(
        f"{name} was not healthy after {elapsed:.0f} s: {reason}.\n"
        f"The last lines of its log:\n{lines}\n"
        f"All of it: `make local-logs SERVICE={name}`. When the cause is mended: `make local-up`."
    )


def _undo(compose: Compose, before: dict[str, Container]) -> None:
    with suppress(SetupError):  # Docker is gone: why this is undone is what has to be told
        started = [name for name, container in compose.containers().items() if _is_new(container, before)]
        if started:
            output.warn(f"Stopping what this command had started: {', '.join(started)}.")
            compose.run("stop", *started, within_seconds=STOP_SECONDS)


def _is_dead(container: Container | None, restarts_before: int) -> bool:
    if container is None or container.state in ("exited", "dead"):
        return True
    return container.restarts - restarts_before >= RESTARTS


def _is_new(container: Container, before: dict[str, Container]) -> bool:
    former = before.get(container.service)
    return container.runs and (former is None or former.started_at != container.started_at)
