"""Whether any worker can ever hold an application's executors.

YARN refuses an application at once whose executors are larger than the largest container; Spark's standalone master
lets it wait without end. Here it is refused as YARN would, in a sentence that begins with the same words as Spark's
own (org.apache.spark.deploy.yarn.Client), so that what looks for them in a log finds them.

An executor's container on YARN is its heap, its overhead, and what it asks for beside; so it is measured here, though
the standalone master counts the heap alone: what fits here fits there. YARN on EMR counts no cores, this master does.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = {"b": 1 / 1024**2, "k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2, "p": 1024**3}
SIZE = re.compile(r"(\d+)([bkmgtp]?)b?", re.IGNORECASE)
SETTING = re.compile(r"\s*(spark\.(?:executor|memory)\.[\w.]+)\s*[=:\s]\s*(\S+)\s*")
LEAST_OVERHEAD_MIB = 384
OVERHEAD_FACTOR = 0.1


@dataclass(frozen=True)
class Worker:
    """What one machine offers to executors."""

    cores: int
    memory_mib: int


def workers_of(page: Mapping[str, Any]) -> list[Worker]:
    """Of a master's page (`/json/`): the workers ALIVE."""
    return [
        Worker(int(worker["cores"]), int(worker["memory"]))
        for worker in page.get("workers", ())
        if worker.get("state") == "ALIVE"
    ]


def sizes_in(properties_file: Path) -> dict[str, str]:
    """The properties of a properties file that say how large an executor is; such values need no escapes."""
    lines = properties_file.read_text(errors="replace").splitlines()
    return {match[1]: match[2] for match in map(SETTING.fullmatch, lines) if match}


def never_fits(properties: Mapping[str, str], workers: Iterable[Worker]) -> str | None:
    """Why an executor with these properties fits on none of the workers; None when it does, or nobody can say.

    A size that is none is Spark's to explain, and without a worker there is nothing to compare with.
    """
    workers = list(workers)
    sizes = [_mib(properties.get(name, default), unit) for name, default, unit in SIZES]
    cores = properties.get("spark.executor.cores", "1")
    if not workers or not cores.isdecimal() or None in sizes:
        return None
    heap, off_heap, python = (size or 0 for size in sizes)
    if properties.get("spark.memory.offHeap.enabled") != "true":
        off_heap = 0
    overhead = _overhead(properties, heap)
    total = heap + off_heap + overhead + python
    if any(worker.memory_mib >= total and worker.cores >= int(cores) for worker in workers):
        return None
    largest = max(worker.memory_mib for worker in workers)
    if total > largest:
        return (
            f"Required executor memory ({heap} MB), offHeap memory ({off_heap}) MB, overhead ({overhead} MB), and "
            f"PySpark memory ({python} MB) is above the max threshold ({largest} MB) of this cluster! That is what "
            "its largest worker offers; ask for less (--executor-memory), or for a larger instance type."
        )
    most = max(worker.cores for worker in workers if worker.memory_mib >= total)
    return (
        f"Required executor cores ({cores}) is above the max threshold ({most}) of this cluster! That is what its "
        "largest worker offers; ask for less (--executor-cores), or for a larger instance type."
    )


SIZES = (
    ("spark.executor.memory", "1g", "m"),
    ("spark.memory.offHeap.size", "0", "b"),
    ("spark.executor.pyspark.memory", "0", "m"),
)
"""The parts of a container that are asked for, with Spark's defaults and the units of plain numbers."""


def _overhead(properties: Mapping[str, str], heap_mib: int) -> int:
    asked = _mib(properties.get("spark.executor.memoryOverhead", ""), "m")
    if asked is not None:
        return asked
    try:
        factor = float(properties.get("spark.executor.memoryOverheadFactor", OVERHEAD_FACTOR))
    except ValueError:
        factor = OVERHEAD_FACTOR
    return max(LEAST_OVERHEAD_MIB, int(heap_mib * factor))


def _mib(text: str, unit: str) -> int | None:
    match = SIZE.fullmatch(text.strip())
    return int(int(match[1]) * MIB[match[2].lower() or unit]) if match else None
