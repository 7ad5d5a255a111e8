"""The order of set-up, and what happens to the rest when a step fails."""

import threading
from pathlib import Path

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain.plan import FOUNDATION, STEPS, Reporter, Step, carry_out, pending
from drydock.toolchain.stamps import Stamp


class Recorder:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.done: dict[str, str] = {}

    def reporter(self) -> Reporter:
        return Reporter(
            lambda step: self.started.append(step.name),
            lambda _step, _news: None,
            lambda step, made: self.done.update({step.name: made}),
        )


def step(paths: settings.Paths, name: str, run, needs: tuple[str, ...] = ()) -> Step:
    def run_and_stamp(_paths, progress):
        made = run(progress)
        stamp(paths).write()
        return made

    def stamp(_paths):
        return Stamp(paths.home / name, name)

    return Step(name, name, stamp, run_and_stamp, needs)


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(home=tmp_path)


def test_every_step_comes_after_those_it_needs():
    seen: set[str] = set()
    for planned in FOUNDATION + STEPS:
        assert set(planned.needs) <= seen, planned.name
        seen.add(planned.name)


def test_a_step_waits_for_what_it_needs_and_others_run_beside_it(paths: settings.Paths):
    together = threading.Barrier(2, timeout=10)  # breaks unless both are there at the same time

    def meet(_progress):
        together.wait()
        return "met"

    def after_both(_progress):
        assert not {"one", "two"} - recorder.done.keys()
        return "last"

    recorder = Recorder()
    steps = [step(paths, "one", meet), step(paths, "two", meet), step(paths, "three", after_both, ("one", "two"))]
    carry_out(paths, steps, recorder.reporter())
    assert recorder.done == {"one": "met", "two": "met", "three": "last"}
    assert pending(paths, steps) == []


def test_what_is_done_is_not_done_again(paths: settings.Paths):
    steps = [step(paths, "one", lambda _: "made"), step(paths, "two", lambda _: "made", ("one",))]
    carry_out(paths, steps, Recorder().reporter())
    (paths.home / "two").unlink()
    again = Recorder()
    carry_out(paths, steps, again.reporter())
    assert again.started == ["two"]


def test_after_a_failure_nothing_starts_and_what_runs_stops(paths: settings.Paths):
    running, failed = threading.Event(), threading.Event()

    def endless(progress):
        running.set()
        assert failed.wait(10)
        while True:
            progress("still at it")

    def fail(_progress):
        assert running.wait(10)
        failed.set()
        raise SetupError("The network is gone.")

    recorder = Recorder()
    steps = [
        step(paths, "endless", endless),
        step(paths, "failing", fail),
        step(paths, "dependent", lambda _: "made", ("failing",)),
    ]
    with pytest.raises(SetupError, match="The network is gone"):
        carry_out(paths, steps, recorder.reporter())
    assert recorder.done == {}
    assert "dependent" not in recorder.started
    assert [left.name for left in pending(paths, steps)] == ["endless", "failing", "dependent"]
