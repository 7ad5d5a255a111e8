"""`make local-reset`: empty the platform. What was fetched or made for it stays, and so do its secrets and logs."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from drydock import interrupts, lock, output, settings, teardown, terraform
from drydock.errors import UsageError

CONFIRMED = "yes"


def local_reset(
    confirm: Annotated[str, typer.Option(metavar=CONFIRMED, help=f"`{CONFIRMED}`: do not ask.")] = "",
) -> None:
    """Remove all data: S3, IAM and EC2, EMR's and Kestra's history, Spark's event logs. Ends the platform before."""
    if confirm not in ("", CONFIRMED):
        raise UsageError(f"CONFIRM is `{confirm}`, expected `{CONFIRMED}`.")
    paths = settings.Paths()
    with lock.exclusive(paths, "local-reset"), interrupts.interruptible():
        doomed = [path for path in _data(paths) if path.exists()]
        if not doomed:
            output.done("There is no data: nothing to remove.")
            return
        if not confirm:
            _ask(paths, sum(map(_bytes, doomed)))
        with output.stage("Ending the platform and removing its data"), interrupts.uninterrupted():
            teardown.end_all(paths)
            for path in doomed:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    output.done("The platform is empty. `make local-up` makes it anew.")


def _data(paths: settings.Paths) -> tuple[Path, ...]:
    """Terraform's stamp goes first: what is removed halfway is made again by the next `local-up`."""
    return (terraform.applied_stamp(paths), paths.data, paths.event_logs, paths.home / "nodes")


def _ask(paths: settings.Paths, size: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"Nobody is here to be asked. `make local-reset CONFIRM={CONFIRMED}` removes all data.")
    output.warn(f"This ends the platform in `{paths.home}` and removes its data for good: {size / 1e6:,.0f} MB.")
    typer.confirm("Remove it?", abort=True)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
