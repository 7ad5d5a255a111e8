"""`spark-submit` as steps find it: `python -I -m drydock_emr.node.spark_submit SETTINGS ARGUMENTS...`

It becomes Spark's own spark-submit, with this node's settings, and with what YARN alone understands mapped to the
standalone cluster. What was mapped, and what has no effect here, is said in the step's controller log (through a notes
file) or, outside a step, on stderr. Everything else, the application's arguments above all, is passed on byte for byte.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drydock_emr.node.files import read_json, write_atomically
from drydock_emr.node.layout import TenancyLayout

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
MAPPED_PROPERTIES = {"spark.master": "--master", "spark.submit.deployMode": "--deploy-mode"}


@dataclass(frozen=True)
class Mapped:
    """Arguments for Spark's spark-submit, without --properties-file; the user's own one; and what to tell."""

    arguments: tuple[str, ...]
    properties_file: str | None
    notes: tuple[str, ...]


def main() -> None:
    settings = read_json(Path(sys.argv[1]))
    if settings is None:
        sys.exit("spark-submit: this node belongs to no cluster yet.")
    mapped = map_arguments(sys.argv[2:], _number(settings["executor_cores"]), settings["master_url"])
    layout = TenancyLayout(Path(settings["tenancy"]))
    properties = layout.spark / f"submit-{os.getpid()}.properties"
    try:
        chosen = Path(mapped.properties_file or settings["defaults"]).read_bytes()
    except OSError as error:
        sys.exit(f"spark-submit: the properties file {mapped.properties_file} cannot be read: {error.strerror}.")
    write_atomically(properties, Path(settings["machine"]).read_bytes() + b"\n" + chosen + b"\n")
    _tell(mapped.notes, layout)
    program = Path(settings["spark_home"]) / "bin" / "spark-submit"
    command = [str(program), "--properties-file", str(properties), *mapped.arguments]
    sys.stderr.flush()
    os.execve(program, command, environment(os.environ, settings))  # noqa: S606 - no shell is wanted


def environment(inherited: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """The caller's environment with what Spark needs on this node."""
    result = {**inherited, **settings["environment"]}
    result["SPARK_HOME"] = str(settings["spark_home"])
    result["JAVA_HOME"] = str(settings["java_home"])
    # The archive only serves a class path that begins with the folder it was made with: this one, which is empty.
    result["SPARK_CONF_DIR"] = f"{settings['spark_home']}/conf"
    # What the driver's page binds; without it, every interface.
    result["SPARK_LOCAL_IP"] = str(settings["host"])
    archive = settings["cds_archive"]
    if archive and Path(archive).is_file():
        # A mismatch (a step with a class path of its own, say) costs speed only, and must not be told on stdout.
        options = f"-XX:SharedArchiveFile={archive} -Xshare:auto -Xlog:disable -Xlog:all=error:stderr"
        result["SPARK_SUBMIT_OPTS"] = f"{result.get('SPARK_SUBMIT_OPTS', '')} {options}".strip()
    return result


def map_arguments(arguments: Sequence[str], executor_cores: int, master_url: str) -> Mapped:
    """Take out what only YARN understands. A pure function.

    `executor_cores` is the default of the cluster's configuration, to turn a number of executors into one of cores.
    """
    own, application = _split(arguments)
    kept: list[str] = []
    notes: list[str] = []
    properties_file = None
    executors = None
    for option, value in own:
        if value is None:
            kept.append(option)
            continue
        name, setting = _canonical(option, value)
        if name == "--properties-file":
            properties_file = value
        elif name == "--master" and YARN_MASTER.fullmatch(setting):
            notes.append(
                f"{option} {value}: there is no YARN here; the step runs on Spark's standalone master {master_url}."
            )
        elif name == "--deploy-mode" and setting == "cluster":
            notes.append(
                f"{option} {value}: Spark's standalone master takes no Python driver; the driver runs on the master "
                "node in client mode, and its output is this step's stdout and stderr."
            )
        elif name == "--num-executors" and setting.isdecimal():
            executors = int(setting)
        elif name.startswith("spark.yarn."):
            notes.append(f"{name} has no effect without YARN.")
            kept += [option, value]
        else:
            if name == "--executor-cores" and setting.isdecimal():
                executor_cores = int(setting)
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
    return Mapped((*kept, *application), properties_file, tuple(notes))


def _number(text: str) -> int:
    """A number of cores; Spark itself says what is wrong with one that is none."""
    return int(text) if text.isdecimal() else 1


def _split(arguments: Sequence[str]) -> tuple[list[tuple[str, str | None]], Sequence[str]]:
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
        elif argument.startswith("-") and argument not in VALUE_OPTIONS:
            options.append((argument, None))
            position += 1
        else:
            break
    return options, arguments[position:]


def _canonical(option: str, value: str) -> tuple[str, str]:
    """`--conf spark.master=yarn` is `--master yarn`; another property goes by its own name."""
    if option not in {"--conf", "-c"}:
        return option, value
    name, _, setting = value.partition("=")
    same_as = {
        **MAPPED_PROPERTIES,
        "spark.executor.cores": "--executor-cores",
        "spark.executor.instances": "--num-executors",
    }
    return same_as.get(name.strip(), name.strip()), setting.strip()


def _tell(notes: Sequence[str], layout: TenancyLayout) -> None:
    if not notes:
        return
    text = "".join(f"{note}\n" for note in notes)
    step_id = os.environ.get("EMR_STEP_ID")
    folder = layout.step_lib(step_id) if step_id else None
    if folder is None or not folder.is_dir():
        sys.stderr.write(text)
        return
    with (folder / "notes").open("a", errors="backslashreplace") as file:
        file.write(text)


if __name__ == "__main__":
    main()
