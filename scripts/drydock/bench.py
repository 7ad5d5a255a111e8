"""`drydock bench`: how fast the local EMR is. Prints Markdown tables; docs/benchmarks.md says what they mean.

The measuring is done by the programs in `bench/`; here is what they need: an environment with moto, which nothing else
uses and which is therefore made by this verb alone.
"""

import subprocess

from drydock import output, settings
from drydock.errors import DrydockError
from drydock.toolchain import environments

MOTO = "moto"


def bench() -> None:
    """Measure clusters and steps on a platform of their own, then the EMR API under 50 polling clients."""
    paths = settings.Paths()
    if not environments.stamp(paths, MOTO).matches:
        with output.stage("Making the environment `moto`"):
            environments.create(paths, MOTO, lambda _: None)
    moto = paths.environment(MOTO) / "bin" / "moto_server"
    _run(paths, "clusters.py")
    _run(paths, "emr_api.py", "--moto", str(moto))


def _run(paths: settings.Paths, program: str, *arguments: str) -> None:
    python = paths.environment("workspace") / "bin" / "python"
    result = subprocess.run([python, settings.REPOSITORY / "bench" / program, *arguments], check=False)
    if result.returncode != 0:
        raise DrydockError(f"`bench/{program}` ended with {result.returncode}; see above.")
