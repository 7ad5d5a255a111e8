"""`drydock test`: the tests, each folder in the Python environment it belongs to.

| environment | folders |
|---|---|
| `workspace` | all but the next |
| `spark` | `tests/spark`, which imports pyspark |

The last line counts over both: `N passed, N failed`, and `, N skipped` when there are such.
"""

import os
import subprocess
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
    "SPARK_",
    "PYTHON",
    "PYTEST_",
    "TF_VAR_",
)
INHERITED_NONETHELESS = ("AWS_CA_BUNDLE",)


@dataclass(frozen=True)
class Suite:
    """What one environment tests."""

    environment: str
    folders: tuple[str, ...]
    ignored: tuple[str, ...] = ()


SUITES = (
    Suite("workspace", ("tests",), ignored=("tests/spark",)),
    Suite("spark", ("tests/spark",)),
)


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
    paths = settings.Paths()
    total, broken = Count(), []
    for suite in SUITES:
        if not any((settings.REPOSITORY / folder).is_dir() for folder in suite.folders):
            output.say(f"No tests in {', '.join(suite.folders)}.")
            continue
        output.CONSOLE.rule(f"{', '.join(suite.folders)} in envs/{suite.environment}", align="left")
        report = paths.home / "reports" / f"tests-{suite.environment}.xml"
        report.unlink(missing_ok=True)
        command = pytest(paths, suite, full, report)
        result = subprocess.run(command, cwd=settings.REPOSITORY, env=environment(paths), check=False)
        count = counted(report)
        total += count
        if count.failed == 0 and result.returncode not in (0, NOTHING_COLLECTED):
            broken.append(f"pytest in envs/{suite.environment} broke off (exit code {result.returncode}).")
    for sentence in broken:
        output.fail(sentence)
    output.say(str(total))
    if total.failed or broken or not total.passed:
        raise typer.Exit(1)


def pytest(paths: settings.Paths, suite: Suite, full: bool, report: Path) -> list[str]:
    """The command that runs a suite and writes a JUnit report."""
    python = str(paths.environment(suite.environment) / "bin" / "python")
    chosen = [] if full else ["-m", "not full"]
    ignored = [f"--ignore={folder}" for folder in suite.ignored]
    return [python, "-m", "pytest", "-q", *chosen, *ignored, f"--junitxml={report}", *suite.folders]


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
        "JAVA_HOME": str(java.java_home(paths)),
        "SPARK_HOME": str(spark_home.spark_home(paths)),
        "SPARK_LOCAL_IP": settings.LOOPBACK,
        "PYSPARK_PYTHON": str(paths.environment("spark") / "bin" / "python"),
        "PATH": os.pathsep.join([str(paths.environment("workspace") / "bin"), os.environ.get("PATH", os.defpath)]),
        "PYTHONDONTWRITEBYTECODE": "1",
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
