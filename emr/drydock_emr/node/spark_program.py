"""Spark's programs as steps find them: `python -I -m drydock_emr.node.spark_program SETTINGS PROGRAM ARGUMENTS...`

It becomes Spark's own program of that name, with this node's settings, and with what YARN alone understands mapped to
the standalone cluster. What was mapped, and what has no effect here, is said in the step's controller log (through a
notes file) or, outside a step, on stderr. Everything else is passed on byte for byte.
"""

import json
import os
import shlex
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from drydock_emr.node import capacity
from drydock_emr.node.event_log import STEP_PROPERTY
from drydock_emr.node.files import read_json, write_atomically
from drydock_emr.node.layout import TenancyLayout
from drydock_emr.node.spark_arguments import Mapped, map_arguments

SHELLS = frozenset({"pyspark", "spark-shell", "spark-sql"})
PROGRAMS = ("spark-submit", "run-example", *sorted(SHELLS))
PAGE_TIMEOUT_SECONDS = 5.0


def main() -> None:
    settings, program = read_json(Path(sys.argv[1])), sys.argv[2]
    if settings is None:
        sys.exit(f"{program}: this node belongs to no cluster yet.")
    spark_home = Path(settings["spark_home"])
    if program == "run-example" and not (spark_home / "examples" / "jars").is_dir():
        sys.exit(
            f"{program}: the jar of Spark's examples is published in Spark's own archive only, not as a library, so it "
            f"is not in {spark_home}/examples/jars. Run an own program with spark-submit."
        )
    mapped = map_arguments(
        sys.argv[3:], _number(settings["executor_cores"]), settings["master_url"], is_shell=program in SHELLS
    )
    defaults = Path(mapped.properties_file or settings["defaults"])
    try:
        chosen = defaults.read_bytes()
    except OSError as error:
        sys.exit(f"{program}: the properties file {defaults} cannot be read: {error.strerror}.")
    _refuse_what_never_fits(mapped, defaults, settings)
    layout = TenancyLayout(Path(settings["tenancy"]))
    step_id = os.environ.get("EMR_STEP_ID")
    of_step = f"{STEP_PROPERTY}={step_id}\n".encode() if step_id else b""
    properties = layout.spark / f"submit-{os.getpid()}.properties"
    write_atomically(properties, b"\n".join((Path(settings["machine"]).read_bytes(), chosen, of_step)))
    _tell(mapped.notes, layout, step_id)
    command = [str(spark_home / "bin" / program), "--properties-file", str(properties), *mapped.arguments]
    sys.stderr.flush()
    variables = environment(os.environ, settings)
    if program == "pyspark":
        # Spark's library is a zip here, not a folder: spark-submit knows of it, the script `pyspark` does not.
        library = f"{spark_home}/python/lib/pyspark.zip"
        variables["PYTHONPATH"] = ":".join(filter(None, (library, variables.get("PYTHONPATH"))))
    os.execve(command[0], command, variables)  # noqa: S606 - no shell is wanted


def environment(inherited: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """The caller's environment with what Spark needs on this node."""
    result = {**inherited, **settings["environment"]}
    result["SPARK_HOME"] = str(settings["spark_home"])
    result["JAVA_HOME"] = str(settings["java_home"])
    # The archive only serves a class path that begins with the folder it was made with: this one, which is empty.
    result["SPARK_CONF_DIR"] = f"{settings['spark_home']}/conf"
    # What the driver's page binds; without it, every interface.
    result["SPARK_LOCAL_IP"] = str(settings["host"])
    # Java looks its user's home up in the machine's list of users, which knows nothing of this cluster's.
    home = shlex.quote(f"-Duser.home={inherited.get('HOME', '/')}")
    options = (result.get("SPARK_SUBMIT_OPTS", ""), home, settings["class_archive_options"])
    result["SPARK_SUBMIT_OPTS"] = " ".join(filter(None, options))
    return result


def _refuse_what_never_fits(mapped: Mapped, defaults: Path, settings: Mapping[str, Any]) -> None:
    """End as Spark's client ends on YARN. What an application sets by itself, later, the node looks after."""
    if (
        settings["master_page"] is None
        or mapped.properties.get("spark.master", settings["master_url"]) != (settings["master_url"])
    ):
        return
    properties = {**capacity.sizes_in(defaults), **mapped.properties}
    sentence = capacity.never_fits(properties, capacity.workers_of(_page(settings["master_page"])))
    if sentence is not None:
        _end_as_java(f"java.lang.IllegalArgumentException: {sentence}")


def _page(url: str) -> dict[str, Any]:
    """The master's page; empty when it does not answer, which Spark itself will have to say something about."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PAGE_TIMEOUT_SECONDS) as answer:
            page: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return {}
    return page


def _end_as_java(exception: str) -> NoReturn:
    sys.stderr.write(f'Exception in thread "main" {exception}\n')
    sys.exit(1)


def _number(text: str) -> int:
    """A number of cores; Spark itself says what is wrong with one that is none."""
    return int(text) if text.isdecimal() else 1


def _tell(notes: Sequence[str], layout: TenancyLayout, step_id: str | None) -> None:
    if not notes:
        return
    text = "".join(f"{note}\n" for note in notes)
    folder = layout.step_lib(step_id) if step_id else None
    if folder is None or not folder.is_dir():
        sys.stderr.write(text)
        return
    with (folder / "notes").open("a", errors="backslashreplace") as file:
        file.write(text)


if __name__ == "__main__":
    main()
