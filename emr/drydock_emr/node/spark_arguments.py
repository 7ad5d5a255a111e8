"""The arguments of Spark's programs: what YARN alone understands is mapped to the standalone cluster.

Pure functions. Everything that is not mapped, an application's own arguments above all, stays byte for byte.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

# Spark's options that take a value (org.apache.spark.launcher.SparkSubmitOptionParser). The first argument that is
# neither one of these nor begins with a dash is the application; what follows belongs to it.
VALUE_OPTIONS = frozenset(
    {
        "--archives",
        "--class",
        "--conf",
        "-c",
        "--deploy-mode",
        "--driver-class-path",
        "--driver-cores",
        "--driver-java-options",
        "--driver-library-path",
        "--driver-memory",
        "--executor-cores",
        "--executor-memory",
        "--exclude-packages",
        "--files",
        "--jars",
        "--keytab",
        "--kill",
        "--master",
        "--name",
        "--num-executors",
        "--packages",
        "--principal",
        "--properties-file",
        "--proxy-user",
        "--py-files",
        "--queue",
        "--remote",
        "--repositories",
        "--status",
        "--total-executor-cores",
    }
)
YARN_MASTER = re.compile(r"yarn(-client|-cluster)?")
PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "--master": "spark.master",
        "--deploy-mode": "spark.submit.deployMode",
        "--executor-cores": "spark.executor.cores",
        "--executor-memory": "spark.executor.memory",
        "--num-executors": "spark.executor.instances",
    }
)
"""The properties that options are another way to write."""


@dataclass(frozen=True)
class Mapped:
    """Arguments for Spark's program, without --properties-file; the user's own one; and what to tell.

    `properties` are those that the arguments set, by `--conf` or by the options of `PROPERTIES`, as mapped.
    """

    arguments: tuple[str, ...]
    properties_file: str | None
    properties: Mapping[str, str]
    notes: tuple[str, ...]


def map_arguments(arguments: Sequence[str], executor_cores: int, master_url: str, *, is_shell: bool = False) -> Mapped:
    """Take out what only YARN understands.

    `executor_cores` is the default of the cluster's configuration, to turn a number of executors into one of cores.
    Spark's shells (`spark-sql`, `spark-shell`, `pyspark`) take its options anywhere between their own arguments.
    """
    own, application = _split(arguments, is_shell=is_shell)
    kept: list[str] = []
    notes: list[str] = []
    properties: dict[str, str] = {}
    properties_file = None
    executors = None
    for option, value in own:
        if value is None:
            kept.append(option)
            continue
        name, setting = _as_property(option, value)
        if option == "--properties-file":
            properties_file = value
        elif name == "spark.master" and YARN_MASTER.fullmatch(setting):
            notes.append(
                f"{option} {value}: there is no YARN here; the step runs on Spark's standalone master {master_url}."
            )
        elif name == "spark.submit.deployMode" and setting == "cluster":
            notes.append(
                f"{option} {value}: Spark's standalone master takes no Python driver; the driver runs on the master "
                "node in client mode, and its output is this step's stdout and stderr."
            )
        elif name == "spark.executor.instances" and setting.isdecimal():
            executors = int(setting)
        else:
            if name.startswith("spark.yarn."):
                notes.append(f"{name} has no effect without YARN.")
            elif name == "spark.executor.cores" and setting.isdecimal():
                executor_cores = int(setting)
            properties[name] = setting
            kept += [option, value]
    if executors is not None:
        total = executors * executor_cores
        kept += ["--total-executor-cores", str(total)]
        notes.append(
            f"--num-executors {executors}: the standalone master counts cores; asked for {total}, "
            f"{executor_cores} for each executor."
        )
    if properties_file is not None:
        notes.append(
            f"--properties-file {properties_file} replaces the cluster's spark-defaults, as it replaces "
            "spark-defaults.conf on EMR; this node's own settings (S3, addresses) stay."
        )
    return Mapped((*kept, *application), properties_file, properties, tuple(notes))


def _split(arguments: Sequence[str], *, is_shell: bool) -> tuple[list[tuple[str, str | None]], Sequence[str]]:
    """Spark's own options as (option, value or None), and the application with its arguments."""
    options: list[tuple[str, str | None]] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        name, equals, value = argument.partition("=")
        if argument in VALUE_OPTIONS and position + 1 < len(arguments):
            options.append((argument, arguments[position + 1]))
            position += 2
        elif equals and name in VALUE_OPTIONS and name.startswith("--"):
            options.append((name, value))
            position += 1
        elif is_shell or (argument.startswith("-") and argument not in VALUE_OPTIONS):
            options.append((argument, None))
            position += 1
        else:
            break
    return options, arguments[position:]


def _as_property(option: str, value: str) -> tuple[str, str]:
    """`--conf spark.master=yarn` is `--master yarn`; an option that is no property goes by its own name."""
    if option in {"--conf", "-c"}:
        name, _, setting = value.partition("=")
        return name.strip(), setting.strip()
    return PROPERTIES.get(option, option), value
