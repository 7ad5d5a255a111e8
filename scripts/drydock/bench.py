"""`drydock bench`: how fast the local EMR and the jobs are, as Markdown tables; docs/benchmarks.md says what they mean.

The measuring is done by the programs in `bench/`; here is what they need: an environment with what is measured beside,
which nothing else uses and which is therefore made by this verb alone.
"""

import subprocess

from drydock import output, settings
from drydock.errors import DrydockError
from drydock.toolchain import environments

BESIDE = "bench"


def bench() -> None:
    """Measure the gateway's store, clusters and steps, the EMR API, and the jobs, each beside what others do."""
    paths = settings.Paths()
    if not environments.stamp(paths, BESIDE).matches:
        with output.stage("Making the environment `bench`"):
            environments.create(paths, BESIDE, lambda _: None)
    beside = paths.environment(BESIDE)
    (packages,) = beside.glob("lib/python*/site-packages")
    _run(paths, "gateway_store.py")
    _run(paths, "clusters.py")
    _run(paths, "emr_api.py", "--moto", str(beside / "bin" / "moto_server"))
    _run(paths, "shipments_day.py", "--packages", str(packages))


def _run(paths: settings.Paths, program: str, *arguments: str) -> None:
    python = paths.environment("workspace") / "bin" / "python"
    result = subprocess.run([python, settings.REPOSITORY / "bench" / program, *arguments], check=False)
    if result.returncode != 0:
        raise DrydockError(f"`bench/{program}` ended with {result.returncode}; see above.")
