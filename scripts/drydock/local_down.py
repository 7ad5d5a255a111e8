"""`make local-down`: end every process of the platform, and none besides. Safe to repeat."""

from drydock import interrupts, lock, output, runtime, services, settings, teardown
from drydock.compose import STOP_SECONDS
from drydock.runtime import RuntimeOption
from drydock.settings import DOCKER


def local_down(runtime_name: RuntimeOption = "") -> None:
    """End the platform, also one whose supervisor was killed. Raises ServiceFailed when a process cannot be ended."""
    paths, ports = settings.Paths(), settings.Ports()
    # To its end: what an interrupt would ask for is what happens here, and half of it helps nobody.
    with (
        lock.exclusive(paths, "local-down"),
        interrupts.interruptible(),
        output.stage("Ending the platform"),
        interrupts.uninterrupted(),
    ):
        ended = end(paths, ports, runtime.chosen(runtime_name, settings.last_runtime()))
    if not ended:
        output.done("The platform does not run: nothing to end.")
        return
    output.done(f"Ended: {ended}.")
    output.say("All data, logs and secrets stay. `make local-up` goes on with them; `make local-reset` empties it.")


def end(paths: settings.Paths, ports: settings.Ports, runtime_name: str) -> str:
    """End the platform of that runtime; what was ended, in words, empty when nothing ran."""
    if runtime_name == DOCKER:
        docker = runtime.DockerRuntime(paths, ports)
        compose = docker.compose
        names = [name for name, container in compose.containers().items() if container.state == "running"]
        docker.keep_logs()
        compose.run("down", "--remove-orphans", within_seconds=STOP_SECONDS)
        teardown.forget(paths)
        return ", ".join(names)
    ended = teardown.end_all(paths)
    if not ended:
        return ""
    names = [name for name in services.names(paths) if name in ended]
    others = sum(what not in {*names, teardown.SUPERVISOR} for what in ended)
    left = f", and {others} processes that they had left" if others else ""
    return f"{', '.join(names) or 'no service'}{left}"
