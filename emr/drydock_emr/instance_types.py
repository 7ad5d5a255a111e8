"""Instance types that the local EMR plays: what EC2 says of them, and what YARN offers on them.

The YARN memory (`yarn.nodemanager.resource.memory-mb`) is from the tables of default values for task configuration in
the EMR release guide; vcores are the instance's vCPUs. A node of ours advertises both, whatever the machine under it
has, so that a job that fits here fits there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

_VCPUS = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "9xlarge": 36,
    "10xlarge": 40,
    "12xlarge": 48,
    "16xlarge": 64,
    "18xlarge": 72,
    "24xlarge": 96,
}

_M5 = {
    "xlarge": 12288,
    "2xlarge": 24576,
    "4xlarge": 57344,
    "8xlarge": 122880,
    "12xlarge": 188416,
    "16xlarge": 253952,
    "24xlarge": 385024,
}
_R5 = {
    "xlarge": 24576,
    "2xlarge": 57344,
    "4xlarge": 122880,
    "8xlarge": 253952,
    "12xlarge": 385024,
    "16xlarge": 516096,
    "24xlarge": 778240,
}
_C5 = {
    "xlarge": 6144,
    "2xlarge": 12288,
    "4xlarge": 24576,
    "9xlarge": 65536,
    "12xlarge": 90112,
    "18xlarge": 139264,
    "24xlarge": 188416,
}
_GRAVITON_M6 = {
    "xlarge": 11712,
    "2xlarge": 23424,
    "4xlarge": 54272,
    "8xlarge": 116736,
    "12xlarge": 181248,
    "16xlarge": 241664,
}
_GRAVITON_R6 = {
    "xlarge": 23424,
    "2xlarge": 54272,
    "4xlarge": 116736,
    "8xlarge": 241664,
    "12xlarge": 366592,
    "16xlarge": 491520,
}
_M4 = {"large": 6144, "xlarge": 12288, "2xlarge": 24576, "4xlarge": 57344, "10xlarge": 155648, "16xlarge": 253952}

# family: (GiB of memory a vCPU, architecture, has local disks, YARN memory in MiB by size)
_FAMILIES: Mapping[str, tuple[int, str, bool, Mapping[str, int]]] = {
    "c5": (2, "x86_64", False, _C5),
    "m4": (4, "x86_64", False, _M4),
    "m5": (4, "x86_64", False, _M5),
    "m5a": (4, "x86_64", False, _M5),
    "m5d": (4, "x86_64", True, _M5),
    "m6g": (4, "arm64", False, _GRAVITON_M6),
    "r5": (8, "x86_64", False, _R5),
    "r5a": (8, "x86_64", False, _R5),
    "r5d": (8, "x86_64", True, _R5),
    "r6g": (8, "arm64", False, _GRAVITON_R6),
}


@dataclass(frozen=True)
class InstanceType:
    """An instance type; `yarn_memory_mib` is what YARN offers of its memory."""

    name: str
    family: str
    vcpus: int
    memory_gib: int
    yarn_memory_mib: int
    architecture: str
    has_local_disks: bool


@cache
def supported() -> Mapping[str, InstanceType]:
    """Every instance type that can be asked for, by name."""
    return {instance_type.name: instance_type for instance_type in _all()}


def _all() -> Iterator[InstanceType]:
    for family, (gib_per_vcpu, architecture, has_local_disks, yarn_memory) in _FAMILIES.items():
        for size, memory_mib in yarn_memory.items():
            vcpus = _VCPUS[size]
            yield InstanceType(
                name=f"{family}.{size}",
                family=family,
                vcpus=vcpus,
                memory_gib=vcpus * gib_per_vcpu,
                yarn_memory_mib=memory_mib,
                architecture=architecture,
                has_local_disks=has_local_disks,
            )
