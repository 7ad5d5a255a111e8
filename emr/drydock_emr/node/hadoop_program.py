"""`hadoop` as steps find it: `python -I -m drydock_emr.node.hadoop_program SETTINGS COMMAND ARGUMENTS...`

It becomes Hadoop's own Java program for the command: `jar`, `fs`, `version`, or the class that is named. The classes
are those that Spark runs with: all of Hadoop's client, MapReduce included, whose jobs run within this one process, as
there is no YARN. `HADOOP_CLASSPATH`, `HADOOP_OPTS` and `HADOOP_CLIENT_OPTS` mean what they mean to Hadoop's own script;
the latter two are words as a shell would split them.
"""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drydock_emr.node.files import read_json

CLASSES = {
    "fs": "org.apache.hadoop.fs.FsShell",
    "jar": "org.apache.hadoop.util.RunJar",
    "version": "org.apache.hadoop.util.VersionInfo",
}


def main() -> None:
    settings, arguments = read_json(Path(sys.argv[1])), sys.argv[2:]
    if settings is None:
        sys.exit("hadoop: this node belongs to no cluster yet.")
    class_path = _class_path(os.environ, settings)
    if arguments[:1] == ["classpath"]:
        print(class_path)
        return
    if not arguments or (arguments[0] not in CLASSES and "." not in arguments[0]):
        sys.exit(
            f"hadoop: the command {arguments[0] if arguments else ''!r} is not there. Expected `jar`, `fs`, "
            "`classpath`, `version` or the name of a class; this cluster has Hadoop's client, but no YARN and no HDFS."
        )
    java = f"{settings['java_home']}/bin/java"
    command = [
        java,
        *_options(os.environ, settings),
        "-classpath",
        class_path,
        CLASSES.get(arguments[0], arguments[0]),
        *arguments[1:],
    ]
    sys.stderr.flush()
    os.execve(java, command, dict(os.environ))  # noqa: S606 - no shell is wanted


def _class_path(environment: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    parts = (settings["hadoop_conf"], environment.get("HADOOP_CLASSPATH", ""), f"{settings['spark_home']}/jars/*")
    return ":".join(part for part in parts if part)


def _options(environment: Mapping[str, str], settings: Mapping[str, Any]) -> list[str]:
    """Of the JVM. Within a step what Hadoop logs is the step's syslog, as EMR sets it; elsewhere it goes to stderr."""
    configuration = "log4j2-syslog" if environment.get("HADOOP_LOGFILE") else "log4j2"
    return [
        f"-Duser.home={environment.get('HOME', '/')}",  # Java asks the machine's list of users, which is not the node's
        f"-Dlog4j2.configurationFile={settings['hadoop_conf']}/{configuration}.properties",
        *shlex.split(environment.get("HADOOP_OPTS", "")),
        *shlex.split(environment.get("HADOOP_CLIENT_OPTS", "")),
    ]


if __name__ == "__main__":
    main()
