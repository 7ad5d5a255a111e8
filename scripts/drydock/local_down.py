"""`make local-down`: end every process of the platform, and none besides. Safe to repeat."""

from drydock import contents, interrupts, lock, output, services, settings, teardown
from drydock.supervision import Supervisor


def local_down() -> None:
    """End the platform, also one whose supervisor was killed. Raises ServiceFailed when a process cannot be ended."""
    paths, ports = settings.Paths(), settings.Ports()
    with lock.exclusive(paths, "local-down"), interrupts.interruptible():
        held = contents.note_if_answering(paths, ports) if Supervisor(paths).is_running() else None
        # To its end: what an interrupt would ask for is what happens here, and half of it helps nobody.
        with output.stage("Ending the platform"), interrupts.uninterrupted():
            ended = teardown.end_all(paths)
    if not ended:
        output.done("The platform does not run: nothing to end.")
        return
    names = [name for name in services.names(paths) if name in ended]
    others = sum(what not in {*names, teardown.SUPERVISOR} for what in ended)
    left = f", and {others} processes that they had left" if others else ""
    output.done(f"Ended: {', '.join(names) or 'no service'}{left}.")
    if held is not None and held.days:
        output.warn(f"The gateway kept its data in memory, so it is gone: {held}.")
    output.say("EMR's history, logs and secrets stay. `make local-up` starts again.")
