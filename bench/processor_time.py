"""What a program costs: the processor time and memory of its process and of all that it starts."""

import subprocess
import time
from collections.abc import Mapping, Sequence
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
        for process in _tree(program.pid):
            try:
                times, rss = process.cpu_times(), process.memory_info().rss
            except psutil.Error:
                continue
            used[process.pid, process.create_time()] = times.user + times.system
            memory += rss
        most = max(most, memory)
        time.sleep(SAMPLE_SECONDS)
    if program.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {program.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    return Cost(sum(used.values()), time.monotonic() - began, most / 2**20)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
