"""`make local-down`: end every process of the platform, and none besides. Safe to repeat."""

from drydock import contents, lock, output, settings, startup, teardown
from drydock.supervision import Supervisor


def local_down() -> None:
    """End the platform, also one whose supervisor was killed. Raises ServiceFailed when a process cannot be ended."""
    paths, ports = settings.Paths(), settings.Ports()
    with lock.exclusive(paths, "local-down"), startup.interruptible():
        held = contents.note_if_answering(paths, ports) if Supervisor(paths).is_running() else None
        with output.stage("Ending the platform"):
            ended = teardown.end_all(paths)
    if not ended:
        output.done("The platform does not run: nothing to end.")
        return
    output.done(f"Ended: {', '.join(_counted(ended))}.")
    if held is not None and held.days:
        output.warn(f"The gateway kept its data in memory, so it is gone: {held}.")
    output.say("EMR's history, logs and secrets stay. `make local-up` starts again.")


def _counted(names: list[str]) -> list[str]:
    """Each name once, in order, with how often it was there."""
    return [name if names.count(name) == 1 else f"{names.count(name)} times {name}" for name in dict.fromkeys(names)]
