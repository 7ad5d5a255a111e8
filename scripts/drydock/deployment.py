"""Infrastructure and jobs together: an account gets what `terraform/` says, and one revision of the jobs."""

from collections.abc import Callable
from typing import Any

from drydock import jobs
from drydock.site import Site


def deploy(where: Site, revision: jobs.Revision | jobs.Named, apply: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Upload the jobs and `apply`, which points to them, in that order; Terraform's outputs.

    The first time there is no bucket yet, and nobody who could follow the pointer: then the jobs come second. Whoever
    was interrupted does it all again. Raises DrydockError.
    """
    is_new = not where.existing([where.input_bucket])
    if not is_new:
        upload(where, revision)
    outputs = apply()
    if is_new:
        upload(where, revision)
    return outputs


def upload(where: Site, revision: jobs.Revision | jobs.Named) -> int:
    """The jobs into the input bucket; how many objects were not there. Raises ServiceFailed."""
    if isinstance(revision, jobs.Named):
        return 0
    with where.account.explained(f"store the jobs in `{where.input_bucket}`"):
        return jobs.upload(where.account.client("s3"), where.input_bucket, revision)
