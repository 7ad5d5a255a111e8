"""What a program costs: the processor time and memory of its process and of all that it starts."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """Of a program that has ended, with all its descendants."""

    processor_seconds: float
    seconds: float
    memory_mib: float  # the most at one time, resident; what processes share counts in each


def cost_of(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> Cost:
    """Run a program to its end, what it prints into `log`.

    Its processes are asked while they run, twenty times a second, because the system does not tell afterwards: Spark's
    Python daemon ignores its children's end, and then their processor time counts for nobody.

    Raises RuntimeError, with the end of the log, when the program fails.
    """
    used: dict[tuple[int, float], float] = {}
    most = 0
    began = time.monotonic()
    with log.open("wb") as stream:
        program = subprocess.Popen(list(command), env=dict(environment), stdout=stream, stderr=subprocess.STDOUT)
    while program.poll() is None:
        memory = 0
        with suppress(psutil.NoSuchProcess):  # it has just ended
            for process in process_tree(program.pid):
                with suppress(psutil.Error):
                    used[process.pid, process.create_time()] = processor_seconds(process)
                    memory += process.memory_info().rss
        most = max(most, memory)
        time.sleep(SAMPLE_SECONDS)
    if program.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {program.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    return Cost(sum(used.values()), time.monotonic() - began, most / 2**20)


def process_tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def processor_seconds(process: psutil.Process) -> float:
    """What the process has used so far, without its children."""
    times = process.cpu_times()
    return float(times.user + times.system)
