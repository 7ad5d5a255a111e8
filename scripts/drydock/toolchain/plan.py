"""The order of set-up: which step needs which, what is still to do, and doing it, side by side where that helps.

Importing this needs the standard library only, so that `scripts/prepare.py` can see that there is nothing to do
before any environment exists.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from drydock import settings
from drydock.toolchain import (
    cds,
    engine,
    environments,
    jars,
    java,
    log_store,
    service_catalog,
    spark_home,
    terraform,
    wheels,
)
from drydock.toolchain.stamps import Stamp

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """A part of the toolchain: `run` makes it and says in a few words what it made; `stamp` tells whether it is there.

    `needs` names the steps whose product this one is made from; `megabytes` is what it takes of the disk at most, its
    share of the caches included.
    """

    name: str
    title: str
    stamp: Callable[[settings.Paths], Stamp]
    run: Callable[[settings.Paths, Progress], str]
    needs: tuple[str, ...] = ()
    megabytes: int = 0


def _environment(name: str, title: str, megabytes: int) -> Step:
    def stamp(paths: settings.Paths) -> Stamp:
        return environments.stamp(paths, name)

    def run(paths: settings.Paths, progress: Progress) -> str:
        return environments.create(paths, name, progress)

    return Step(name, title, stamp, run, needs=("uv",), megabytes=megabytes)


# The first two are made by `scripts/prepare.py`: the rest runs in the environment that they make.
FOUNDATION = (
    Step("uv", "uv", environments.uv_stamp, environments.fetch_uv, megabytes=50),
    _environment("workspace", "Workspace", megabytes=600),
)
STEPS = (
    Step("terraform", "Terraform", terraform.stamp, terraform.check),
    Step("java", "Java", java.SPARK.stamp, java.SPARK.provide, megabytes=200),
    Step("engine java", "Java for Kestra", java.ENGINE.stamp, java.ENGINE.provide, megabytes=200),
    Step("jars", "Spark's jars", jars.SPARK.stamp, jars.SPARK.fetch, megabytes=100),
    Step("engine jars", "Kestra's jars", jars.ENGINE.stamp, jars.ENGINE.fetch, megabytes=110),
    Step("engine compiler", "Kestra's compiler", jars.ENGINE_COMPILER.stamp, jars.ENGINE_COMPILER.fetch, megabytes=15),
    _environment("spark", "Spark and the jobs' packages", megabytes=700),
    _environment("gateway", "LocalStack", megabytes=350),
    Step(
        "service catalog",
        "AWS's services",
        service_catalog.stamp,
        service_catalog.make,
        needs=("gateway",),
        megabytes=1,
    ),
    Step("wheels", "The jobs' wheels", wheels.stamp, wheels.download, megabytes=100),
    Step("spark home", "SPARK_HOME", spark_home.stamp, spark_home.assemble, needs=("spark", "jars")),
    Step("log store", "Delta's log store", log_store.stamp, log_store.compile_jar, needs=("spark home", "java")),
    Step(
        "engine",
        "Kestra's engine",
        engine.stamp,
        engine.compile_jar,
        needs=("engine java", "engine jars", "engine compiler"),
    ),
    Step("engine cache", "Kestra's start", engine.cache_stamp, engine.make_cache, needs=("engine",), megabytes=200),
    Step("cds", "Class archive", cds.stamp, cds.make, needs=("spark home", "java"), megabytes=200),
)

# What the images in `compose/` are made of, by the image; see the Dockerfiles.
SERVICES = _environment("services", "Services", megabytes=300)
PARTS: dict[str, tuple[str, ...]] = {
    "gateway": ("gateway", "service catalog"),
    "emr": ("services",),
    "spark": ("services", "java", "jars", "spark", "spark home", "cds"),
    "engine": ("services", "engine java", "engine jars", "engine compiler", "engine", "engine cache"),
}

PROVIDER_MEGABYTES = 700  # Terraform's AWS provider, which the first `local-up` fetches
BUILDING_MEGABYTES = 1_000  # uv's copies of pyspark, which comes as source; they are removed when it is installed


def part(name: str) -> list[Step]:
    """The steps that make what an image needs. Raises KeyError for an image that is not known."""
    return [step for step in (SERVICES, *STEPS) if step.name in PARTS[name]]


def pending(paths: settings.Paths, steps: Iterable[Step]) -> list[Step]:
    """The steps whose product is missing or was made from something else than is there now."""
    return [step for step in steps if not step.stamp(paths).matches]


def needed_megabytes(paths: settings.Paths, todo: Iterable[Step]) -> int:
    """What has to be free on the disk before `todo` is begun: its products, and after a first set-up a first
    `local-up`, so that nobody waits for the one and is refused the other."""
    steps = list(todo)
    first_up = 0 if paths.spark_home.exists() else settings.UP_MEGABYTES + PROVIDER_MEGABYTES
    building = BUILDING_MEGABYTES if "spark" in {step.name for step in steps} else 0
    return sum(step.megabytes for step in steps) + max(building, first_up)  # what is built is gone when all is up


@dataclass(frozen=True)
class Reporter:
    """Who is told how it goes. Called from several threads."""

    started: Callable[[Step], None]
    progress: Callable[[Step, str], None]
    done: Callable[[Step, str], None]


def carry_out(paths: settings.Paths, steps: Iterable[Step], reporter: Reporter) -> None:
    """Do what is pending of `steps` (those that are needed come first), each as soon as what it needs is there.

    After an error no step is started, those that run stop at their next sign of progress, and the error is raised.
    """
    execution = _Execution(paths, reporter)
    todo = list(steps)
    with ThreadPoolExecutor(max_workers=max(1, len(todo))) as pool:
        try:
            for step in todo:
                execution.futures[step.name] = pool.submit(execution.carry_out, step)
            wait(execution.futures.values())
        except BaseException as interruption:
            execution.stop(interruption)
            raise
    if execution.error is not None:
        raise execution.error


class _Stopped(Exception):
    """Another step has failed, so this one need not go on."""


class _Execution:
    def __init__(self, paths: settings.Paths, reporter: Reporter) -> None:
        self.futures: dict[str, Future[bool]] = {}
        self.error: BaseException | None = None
        self._paths = paths
        self._reporter = reporter
        self._lock = threading.Lock()

    def stop(self, error: BaseException) -> None:
        """Keep the first error; the others follow from it."""
        with self._lock:
            self.error = self.error or error

    def carry_out(self, step: Step) -> bool:
        """Whether the step's product is there."""
        needed = [self.futures[name] for name in step.needs if name in self.futures]
        if not all(future.result() for future in needed) or self.error is not None:
            return False
        try:
            if not step.stamp(self._paths).matches:
                self._reporter.started(step)
                self._reporter.done(step, step.run(self._paths, partial(self._progress, step)))
        except BaseException as error:
            self.stop(error)
            return False
        return True

    def _progress(self, step: Step, news: str) -> None:
        if self.error is not None:
            raise _Stopped
        self._reporter.progress(step, news)
