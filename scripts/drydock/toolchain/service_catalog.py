"""LocalStack's index of all AWS services' operations: by it a request's service is told. Six seconds of a processor to
make, and for a gateway with an empty cache to make again: so it is made here, for all gateways of this environment.
"""

from collections.abc import Callable
from pathlib import Path

from drydock import settings
from drydock.toolchain import environments, programs
from drydock.toolchain.stamps import Stamp, fingerprint, replacing

# LocalStack's images are built by the same function; its file is named after LocalStack's and botocore's versions.
PROGRAM = """
import sys
from localstack import config
config.dirs.static_libs = sys.argv[1]
from localstack.aws import spec
sys.exit(spec.main())
"""


def stamp(paths: settings.Paths) -> Stamp:
    made_for = environments.stamp(paths, "gateway").fingerprint
    return Stamp(_folder(paths) / ".stamp", fingerprint(PROGRAM, made_for))


def make(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Make it in the environment `gateway`, where drydock_gateway looks for it. Says how large it is."""
    progress("indexing")
    with replacing(_folder(paths)) as folder:
        python = paths.environment("gateway") / "bin" / "python"
        programs.run([str(python), "-c", PROGRAM, str(folder)], "Indexing AWS's services")
        (file,) = folder.iterdir()
        size = file.stat().st_size
    stamp(paths).write()
    return f"{size / 1e6:.1f} MB"


def _folder(paths: settings.Paths) -> Path:
    return paths.environment("gateway") / "share" / "localstack"
