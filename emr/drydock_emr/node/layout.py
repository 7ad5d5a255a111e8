"""Where everything of a node is: one place for paths in its scratch folder and for keys under a cluster's LogUri.

    NODE_SCRATCH/
      state.json                    the tenancy this node serves, 0600; read when the node comes back
      processes/<pid>.json          every long-lived process it started: {"pid", "create_time", "what"}
      tenancy/                      all that belongs to one tenancy; wiped as a whole
        bin/  python/  home/  tmp/  spark/*.properties (0600)
        emr/                        EMR's paths of a machine; `cluster_files` tells which
        lib/steps/<step id>/        a step's working directory
        lib/leases/<step id>/<n>/   what is known of its process
        lib/bootstrap-actions/<n>/  likewise
        lib/daemons/<name>/         likewise
        log/steps/<step id>/{controller,syslog,stdout,stderr}
        log/bootstrap-actions/<n>/{controller,stdout,stderr}
        log/daemons/<name>/{stdout,stderr}
        work/                       Spark's worker directory: work/<application>/<executor>/{stdout,stderr}
      discarded-*/                  a tenancy being wiped

Step ids and Spark's application ids come from outside; `safe_name` keeps them inside their folder and their prefix.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
STEP_LOGS = ("controller", "syslog", "stdout", "stderr")
BOOTSTRAP_LOGS = ("controller", "stdout", "stderr")
DAEMON_LOGS = ("stdout", "stderr")


def safe_name(text: str) -> str:
    """`text` where it is a harmless file name, else a name made of its harmless letters and its digest.

    Two different texts never get one name, save by a collision of 64 bits of SHA-256.
    """
    if SAFE.fullmatch(text) and not text.startswith("x-"):
        return text
    letters = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"x-{letters}-{digest}" if letters else f"x-{digest}"


@dataclass(frozen=True)
class NodeLayout:
    """The parts of NODE_SCRATCH that outlive a tenancy."""

    scratch: Path

    @property
    def state_file(self) -> Path:
        return self.scratch / "state.json"

    @property
    def processes(self) -> Path:
        return self.scratch / "processes"

    @property
    def tenancy(self) -> "TenancyLayout":
        return TenancyLayout(self.scratch / "tenancy")


@dataclass(frozen=True)
class TenancyLayout:
    """The parts of NODE_SCRATCH that are wiped when the node changes hands."""

    root: Path

    @property
    def prepared_marker(self) -> Path:
        """Written last when a tenancy is prepared; without it the folder is made anew."""
        return self.root / "prepared"

    @property
    def bootstrapped_marker(self) -> Path:
        """Written when all bootstrap actions have ended well."""
        return self.root / "bootstrapped"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def python(self) -> Path:
        return self.root / "python"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def spark(self) -> Path:
        return self.root / "spark"

    @property
    def emr_root(self) -> Path:
        """Stands for the root of an EMR machine's file system."""
        return self.root / "emr"

    @property
    def daemon_properties(self) -> Path:
        return self.spark / "daemons.properties"

    @property
    def submit_settings(self) -> Path:
        return self.spark / "submit.json"

    def step_lib(self, step_id: str) -> Path:
        return self.root / "lib" / "steps" / safe_name(step_id)

    def lease_records(self, step_id: str, attempt: int) -> Path:
        return self.root / "lib" / "leases" / safe_name(step_id) / str(attempt)

    def step_log(self, step_id: str) -> Path:
        return self.root / "log" / "steps" / safe_name(step_id)

    def bootstrap_lib(self, number: int) -> Path:
        return self.root / "lib" / "bootstrap-actions" / str(number)

    def bootstrap_log(self, number: int) -> Path:
        return self.root / "log" / "bootstrap-actions" / str(number)

    def daemon_lib(self, name: str) -> Path:
        return self.root / "lib" / "daemons" / name

    def daemon_log(self, name: str) -> Path:
        return self.root / "log" / "daemons" / name

    def logs(self, instance_id: str) -> Iterator[tuple[Path, str]]:
        """Every log file there is, with its key below `<LogUri>/<cluster id>/`, as EMR lays them out."""
        node = f"node/{safe_name(instance_id)}"
        log = self.root / "log"
        for kind, prefix, names in (
            ("steps", "steps", STEP_LOGS),
            ("bootstrap-actions", f"{node}/bootstrap-actions", BOOTSTRAP_LOGS),
            ("daemons", f"{node}/daemons", DAEMON_LOGS),
        ):
            for folder in _folders(log / kind):
                for name in names:
                    yield from _log(folder / name, f"{prefix}/{folder.name}/{name}.gz")
        for application in _folders(self.work):
            for executor in _folders(application):
                for name in ("stdout", "stderr"):
                    key = (
                        f"{node}/applications/spark/{safe_name(application.name)}/{safe_name(executor.name)}/{name}.gz"
                    )
                    yield from _log(executor / name, key)


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []


def _log(path: Path, key: str) -> Iterator[tuple[Path, str]]:
    """Only regular files: a step that puts a link in a log's place must not make the node read what it points at."""
    if path.is_file() and not path.is_symlink():
        yield path, key
