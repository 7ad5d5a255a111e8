"""The programs that bootstrap actions and steps find on their PATH: a fresh Python, pip, aws, sudo, hadoop, Spark's.

All are made in the tenancy's folder, so they are gone with it.
"""

import shlex
import shutil
import subprocess
import sys

from drydock_emr.node.config import Config
from drydock_emr.node.errors import ConfigurationError
from drydock_emr.node.files import write_atomically
from drydock_emr.node.layout import TenancyLayout
from drydock_emr.node.spark_program import PROGRAMS

SUDO = """\
#!/bin/sh
# EMR's hadoop user may do everything by sudo. Here there is no privilege to give, and none is needed: everything that
# a bootstrap action installs is in this cluster's own folder. The command runs as it is; who it should run as, and
# what should become of the environment, has no effect.
while [ $# -gt 0 ]; do
  case "$1" in
    -u | -g | -U | -C | -p | -D | -R | -T | -h) if [ $# -ge 2 ]; then shift 2; else shift; fi ;;
    --) shift; break ;;
    -i | -s | --login | --shell) shift; if [ $# -eq 0 ]; then exec /bin/bash; fi ;;
    -*) shift ;;
    [A-Za-z_]*=*) export "$1"; shift ;;
    *) break ;;
  esac
done
if [ $# -eq 0 ]; then exit 0; fi
exec "$@"
"""

# A package of thousands of modules, of which a job imports some, is compiled as it is imported: the folder can be
# written by whoever imports. It halves the time of a bootstrap action with the usual packages.
PIP_SETTINGS = """\
[install]
compile = false
"""


def make(config: Config, layout: TenancyLayout) -> None:
    """Make the Python environment and the programs. Raises ConfigurationError when this machine's Python cannot."""
    _make_python(config, layout)
    layout.bin.mkdir(parents=True)
    programs = {
        "aws": _run(config.workspace / "bin" / "aws"),
        "pip": _run("python3.11", "-m", "pip"),
        "pip3": _run("python3.11", "-m", "pip"),
        "pip3.11": _run("python3.11", "-m", "pip"),
        "hadoop": _run(*_module("hadoop_program"), layout.submit_settings),
        **{name: _run(*_module("spark_program"), layout.submit_settings, name) for name in PROGRAMS},
        "spark-example": _run(*_module("spark_program"), layout.submit_settings, "run-example"),
        "sudo": SUDO,
    }
    for name, content in programs.items():
        write_atomically(layout.bin / name, content, mode=0o755)


def _make_python(config: Config, layout: TenancyLayout) -> None:
    """A virtual environment of NODE_PYTHON with the workspace's pip: made offline, and the same everywhere."""
    command = [str(config.python), "-I", "-m", "venv", "--without-pip", "--symlinks", str(layout.python)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ConfigurationError(
            f"NODE_PYTHON ({config.python}) cannot make a virtual environment: {made.stderr.strip()}"
        )
    python = layout.python / "bin" / "python3.11"
    if not python.exists():
        raise ConfigurationError(f"NODE_PYTHON is {config.python}, expected a Python 3.11, as EMR has it.")
    packages = config.workspace / "lib" / "python3.11" / "site-packages"
    target = layout.python / "lib" / "python3.11" / "site-packages"
    for source in (packages / "pip", *packages.glob("pip-*.dist-info")):
        shutil.copytree(source, target / source.name, dirs_exist_ok=True)
    write_atomically(layout.python / "pip.conf", PIP_SETTINGS)


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-m", f"drydock_emr.node.{name}")


def _run(*command: object) -> str:
    return f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n'
