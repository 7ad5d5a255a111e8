"""`make local-reset`: empty the platform. What was fetched or made for it stays, and so do its secrets and logs."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from drydock import flow_files, interrupts, local_down, lock, output, runtime, settings, terraform
from drydock.compose import STOP_SECONDS, Compose
from drydock.errors import DrydockError, UsageError
from drydock.runtime import RuntimeOption
from drydock.settings import DOCKER

CONFIRMED = "yes"


def local_reset(
    confirm: Annotated[str, typer.Option(metavar=CONFIRMED, help=f"`{CONFIRMED}`: do not ask.")] = "",
    runtime_name: RuntimeOption = "",
) -> None:
    """Remove all data: S3, IAM and EC2, EMR's and Kestra's history, Spark's event logs. Ends the platform before."""
    if confirm not in ("", CONFIRMED):
        raise UsageError(f"CONFIRM is `{confirm}`, expected `{CONFIRMED}`.")
    paths, ports = settings.Paths(), settings.Ports()
    with lock.exclusive(paths, "local-reset"), interrupts.interruptible():
        which = runtime.chosen(runtime_name, settings.last_runtime())
        # As `engine`: with its volumes besides, whichever Kestra it was last.
        compose = Compose(paths, ports, "engine") if which == DOCKER else None
        doomed = [path for path in _data(paths, which) if path.exists()]
        what = f"the volumes of the Compose project {compose.project}" if compose else _megabytes(doomed)
        if not (compose.has_data() if compose else doomed):
            output.done("There is no data: nothing to remove.")
            return
        if not confirm:
            _ask(paths, what)
        with output.stage("Ending the platform and removing its data"), interrupts.uninterrupted():
            local_down.end(paths, ports, which)
            if compose:
                compose.run("down", "--volumes", "--remove-orphans", within_seconds=STOP_SECONDS)
            for path in doomed:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    output.done("The platform is empty. `make local-up` makes it anew.")


def _data(paths: settings.Paths, which: str) -> tuple[Path, ...]:
    """What of it lies in DRYDOCK_HOME. Terraform's stamp goes first: what is removed halfway is made again later."""
    notes = (terraform.applied_stamp(paths, which), flow_files.registered_note(paths, which))
    return notes if which == DOCKER else (*notes, paths.data, paths.event_logs, paths.home / "nodes")


def _ask(paths: settings.Paths, what: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"Nobody is here to be asked. `make local-reset CONFIRM={CONFIRMED}` removes all data.")
    output.warn(f"This ends the platform in `{paths.home}` and removes its data for good: {what}.")
    if not typer.confirm("Remove it?"):
        raise DrydockError("Nothing was removed.")


def _megabytes(doomed: list[Path]) -> str:
    files = (file for path in doomed for file in (path.rglob("*") if path.is_dir() else [path]))
    return f"{sum(file.lstat().st_size for file in files if file.is_file()) / 1e6:,.0f} MB"
