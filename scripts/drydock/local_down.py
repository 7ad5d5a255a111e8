"""`make local-down`: end every process of the platform, and none besides. Safe to repeat."""

from drydock import interrupts, lock, output, services, settings, teardown


def local_down() -> None:
    """End the platform, also one whose supervisor was killed. Raises ServiceFailed when a process cannot be ended."""
    paths = settings.Paths()
    # To its end: what an interrupt would ask for is what happens here, and half of it helps nobody.
    with (
        lock.exclusive(paths, "local-down"),
        interrupts.interruptible(),
        output.stage("Ending the platform"),
        interrupts.uninterrupted(),
    ):
        ended = teardown.end_all(paths)
    if not ended:
        output.done("The platform does not run: nothing to end.")
        return
    names = [name for name in services.names(paths) if name in ended]
    others = sum(what not in {*names, teardown.SUPERVISOR} for what in ended)
    left = f", and {others} processes that they had left" if others else ""
    output.done(f"Ended: {', '.join(names) or 'no service'}{left}.")
    output.say("All data, logs and secrets stay. `make local-up` goes on with them; `make local-reset` empties it.")
