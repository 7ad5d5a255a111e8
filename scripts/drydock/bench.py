"""`drydock bench`: how fast the local EMR's API answers, beside moto's server. Prints a Markdown table.

The measuring is `bench/emr_api.py`'s; here is what it needs: an environment with moto, which nothing else uses and
which is therefore made by this verb alone.
"""

import subprocess

from drydock import output, settings
from drydock.errors import DrydockError
from drydock.toolchain import environments

MOTO = "moto"
PROGRAM = settings.REPOSITORY / "bench" / "emr_api.py"


def bench() -> None:
    """Measure the EMR API under 50 polling clients with a big history."""
    paths = settings.Paths()
    if not environments.stamp(paths, MOTO).matches:
        with output.stage("Making the environment `moto`"):
            environments.create(paths, MOTO, lambda _: None)
    python, moto = paths.environment("workspace") / "bin" / "python", paths.environment(MOTO) / "bin" / "moto_server"
    result = subprocess.run([str(python), str(PROGRAM), "--moto", str(moto)], check=False)
    if result.returncode != 0:
        raise DrydockError(f"`{PROGRAM.relative_to(settings.REPOSITORY)}` ended with {result.returncode}; see above.")
