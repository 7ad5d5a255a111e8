"""`drydock test`: the tests, each folder in the Python environment it belongs to.

| suite | environment | folders |
|---|---|---|
| platform | `workspace` | `tests/platform` and `tests/runtime`, which start the whole platform |
| services | `workspace` | `tests/engine`, `tests/gateway`, `tests/node`, `tests/terraform`, which start a part of it |
| parts | `workspace` | the other folders |
| spark | `spark` | `tests/spark`, which imports pyspark |
| e2e | `workspace` | `tests/e2e`, which brings the platform up in Docker Compose: by `drydock test-e2e`, or `--full` |

Two suites run side by side, since those that start processes wait more than they compute; a third would keep steps and
logs waiting that tests wait for, and Docker's platform takes the machine for itself. The last line counts over all:
`N passed, N failed`, and `, N skipped` when there are such.
"""

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import typer

from drydock import output, settings
from drydock.toolchain import java, spark_home, terraform

NOTHING_COLLECTED = 5  # pytest's exit code
# Of the caller's, nothing may decide a test: no keys of a real account, no arguments of `make`.
NOT_INHERITED = (
    "AWS_",
    "MAKE",
    "MFLAGS",
    "DATE",
    "ROWS",
    "SERVICE",
    "FOLLOW",
    "JOB",
    "FLOW",
    "INPUTS",
    "CONFIRM",
    "RUNTIME",
    "COMPOSE_",
    "ARGS",
    "SPARK_",
    "PYTHON",
    "PYTEST_",
    "TF_VAR_",
)
INHERITED_NONETHELESS = ("AWS_CA_BUNDLE",)


@dataclass(frozen=True)
class Suite:
    """What is tested by one run of pytest, in one environment."""

    name: str
    environment: str
    folders: tuple[str, ...]
    ignored: tuple[str, ...] = ()


_PLATFORM = ("tests/platform", "tests/runtime")
_SERVICES = ("tests/engine", "tests/gateway", "tests/node", "tests/terraform")
SUITES = (
    Suite("platform", "workspace", _PLATFORM),
    Suite("services", "workspace", _SERVICES),
    Suite("parts", "workspace", ("tests",), ignored=("tests/spark", "tests/e2e", *_PLATFORM, *_SERVICES)),
    Suite("spark", "spark", ("tests/spark",)),
)
E2E = Suite("e2e", "workspace", ("tests/e2e",))
AT_ONCE = 2


@dataclass(frozen=True)
class Count:
    """Results of tests; an error while collecting or setting up counts as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        counted = f"{self.passed} passed, {self.failed} failed"
        return f"{counted}, {self.skipped} skipped" if self.skipped else counted


def test(full: Annotated[bool, typer.Option("--full", help="The long and heavy ones too.")] = False) -> None:  # noqa: PT028
    """Run the tests. Exit codes: 0 all that ran passed; 1 some failed, or a run of pytest broke off."""
    run_all(SUITES, full, afterwards=[E2E] if full else [])


def run_all(suites: Sequence[Suite], full: bool, afterwards: Sequence[Suite] = ()) -> None:
    """Run these suites, and when they have ended others; count over all, and end with the exit code of `test`."""
    paths = settings.Paths()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda suite: run(paths, suite, full), suites))
    results += [run(paths, suite, full) for suite in afterwards]
    suites = [*suites, *afterwards]
    total, broken = Count(), []
    for suite, (exit_code, count) in zip(suites, results, strict=True):
        total += count
        if count.failed == 0 and exit_code not in (0, NOTHING_COLLECTED):
            broken.append(f"pytest of the suite `{suite.name}` broke off (exit code {exit_code}).")
    for sentence in broken:
        output.fail(sentence)
    output.say(str(total))
    if total.failed or broken or not (total.passed or total.skipped):
        raise typer.Exit(1)


def run(paths: settings.Paths, suite: Suite, full: bool) -> tuple[int, Count]:
    """Run a suite, showing its output line by line under its name; pytest's exit code, and the results."""
    report = paths.home / "reports" / f"tests-{suite.name}.xml"
    report.unlink(missing_ok=True)
    with subprocess.Popen(
        pytest(paths, suite, full, report),
        cwd=settings.REPOSITORY,
        env=environment(paths),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output.say(f"{suite.name:>8} │ {line.rstrip()}")
    return process.returncode, counted(report)


def pytest(paths: settings.Paths, suite: Suite, full: bool, report: Path) -> list[str]:
    """The command that runs a suite and writes a JUnit report. What pytest remembers lies in `DRYDOCK_HOME`."""
    python = str(paths.environment(suite.environment) / "bin" / "python")
    chosen = [] if full else ["-m", "not full"]
    ignored = [f"--ignore={folder}" for folder in suite.ignored]
    kept = [f"--junitxml={report}", "-o", f"cache_dir={paths.cache / 'pytest'}"]
    return [python, "-m", "pytest", "-q", "--durations=10", *chosen, *ignored, *kept, *suite.folders]


def environment(paths: settings.Paths) -> dict[str, str]:
    """What tests see: the caller's variables without those that would decide them, and where the toolchain is."""
    inherited = {
        name: value
        for name, value in terraform.environment().items()
        if name in INHERITED_NONETHELESS or not name.startswith(NOT_INHERITED)
    }
    return {
        **inherited,
        "DRYDOCK_HOME": str(paths.home),
        "DRYDOCK_SCHEDULES": "off",  # at nine and at six a platform would otherwise begin a day of its own
        "JAVA_HOME": str(java.SPARK.home(paths)),
        "SPARK_HOME": str(spark_home.spark_home(paths)),
        "SPARK_LOCAL_IP": settings.LOOPBACK,
        "PYSPARK_PYTHON": str(paths.environment("spark") / "bin" / "python"),
        "PATH": os.pathsep.join([str(paths.environment("workspace") / "bin"), os.environ.get("PATH", os.defpath)]),
        "PYTHONPYCACHEPREFIX": str(paths.cache / "bytecode"),  # not beside the sources, which tests copy and compare
    }


def counted(report: Path) -> Count:
    """The results in a JUnit report; none when there is no report."""
    if not report.is_file():
        return Count()
    total = Count()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own pytest wrote it
        number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        failed = number["failures"] + number["errors"]
        total += Count(number["tests"] - failed - number["skipped"], failed, number["skipped"])
    return total
