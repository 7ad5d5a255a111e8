"""`make local-up`: bring the platform up, or see that it is. Safe to repeat: what is up and healthy is left alone."""

import json
import os
import time
from pathlib import Path
from typing import Any

from drydock import (
    deployment,
    docker_up,
    flow_files,
    interrupts,
    jobs,
    lock,
    output,
    preflight,
    runtime,
    secrets,
    services,
    settings,
    site,
    startup,
    terraform,
    terraform_state,
)
from drydock.errors import DrydockError, SetupError
from drydock.preflight import finding
from drydock.runtime import RuntimeOption
from drydock.settings import DOCKER, PROCESS
from drydock.site import Site
from drydock.terraform_state import Deviation
from drydock.toolchain.stamps import Stamp, fingerprint, write_file

SHOWN_DEVIATIONS = 5
HOW = {DOCKER: "in Docker Compose", PROCESS: "as local processes"}


def local_up(runtime_name: RuntimeOption = "") -> None:
    """Bring the platform up: the one that was up last, else in Docker Compose. What a failure leaves behind it says."""
    bring_up(runtime.chosen(runtime_name, settings.last_runtime(DOCKER)))


def bring_up(runtime_name: str) -> None:
    """`local_up`, in that runtime."""
    paths, ports = settings.Paths(), settings.Ports()
    begun_at = time.monotonic()
    with lock.exclusive(paths, "local-up"), interrupts.interruptible():
        _preflight(paths, ports, runtime_name)
        for folder in (paths.data, paths.logs, paths.event_logs, paths.home / "nodes"):
            folder.mkdir(mode=0o700, exist_ok=True)
        secrets.ensure(paths)
        _note(paths.run / settings.LAST_PLATFORM, _likeness(runtime_name))
        furnished: list[bool] = []

        def meanwhile() -> None:
            _note_platform(paths, ports, runtime_name)
            furnished.append(_furnish(paths, ports))

        def afterwards() -> None:
            furnished.append(flow_files.register(paths, ports, runtime_name))

        if runtime_name == DOCKER:
            started = docker_up.bring_up(paths, ports, meanwhile, afterwards)
        else:
            started = startup.bring_up(paths, services.declare(paths, ports), meanwhile, afterwards)
    if started or any(furnished):
        output.done(f"The platform is up, {HOW[runtime_name]}, after {time.monotonic() - begun_at:.0f} s.")
    else:
        output.done("The platform was up already, and is healthy: nothing to do.")
    _show_urls(ports, runtime_name)


def _preflight(paths: settings.Paths, ports: settings.Ports, runtime_name: str) -> None:
    """What can be known to fail is said before anything is started."""
    findings = preflight.quick(paths, runtime_name)
    finding.require(findings)
    for each in findings:
        if each.status is finding.Status.WARNING:
            output.warn(f"{each.found} {each.fix}")
    _require_the_same(paths, ports, runtime_name)


def _require_the_same(paths: settings.Paths, ports: settings.Ports, runtime_name: str) -> None:
    """A platform that runs is not changed into another one. Raises DrydockError."""
    noted = settings.running_platform()
    if not noted or not _is_running(runtime.of(paths, ports, noted.get("runtime", PROCESS))):
        return
    for what, found, asked in (
        ("RUNTIME", noted.get("runtime", PROCESS), runtime_name),
        ("DRYDOCK_PORT_OFFSET", str(noted.get("port_offset", 0)), str(ports.offset)),
        ("DRYDOCK_SCHEDULES", _on_off(noted.get("schedules", True)), os.environ.get("DRYDOCK_SCHEDULES")),
        ("DRYDOCK_NODES", str(noted.get("nodes", settings.FIRST_NODES)), os.environ.get("DRYDOCK_NODES")),
        ("DRYDOCK_KESTRA", noted.get("kestra", ""), os.environ.get("DRYDOCK_KESTRA") if noted.get("kestra") else None),
    ):
        if asked and found != asked:
            raise DrydockError(
                f"The platform runs with {what}={found}, and {what}={asked} was asked for. `make local-down` first, or "
                "give the second platform a DRYDOCK_HOME of its own."
            )


def _is_running(platform: runtime.Runtime) -> bool:
    try:
        return platform.is_running()
    except SetupError:  # a Docker that is not there runs nothing
        return False


def _on_off(value: bool) -> str:
    return "on" if value else "off"


def _furnish(paths: settings.Paths, ports: settings.Ports) -> bool:
    """Behind a healthy gateway: buckets, network, roles and jobs, unless they are as they were applied last.

    Returns whether there was something to do.
    """
    where = site.local(paths, ports)
    revision = jobs.revision(paths, where.directory)
    applied = Stamp(terraform.applied_stamp(paths), _described(revision))
    deviations = terraform_state.deviations(where)
    if deviations is not None and applied.matches:
        deviations += _missing_jobs(where, revision)
        if not deviations:
            return False
    if deviations:
        named = [deviation.what for deviation in deviations[:SHOWN_DEVIATIONS]]
        more = f", and {len(deviations) - len(named)} more" if len(deviations) > len(named) else ""
        output.warn(f"Not as Terraform left it: {', '.join(named)}{more}. Making it so again.")
    elif deviations is None and terraform.applied_stamp(paths).exists():
        output.warn("The gateway has nothing any more of what Terraform made. Making it anew, the days' data excepted.")
    applied.forget()
    to_replace = [each.to_replace for each in deviations or () if each.to_replace]
    deployment.deploy(where, revision, lambda: terraform.apply(where, revision, replace=to_replace))
    applied.write()
    return True


def _missing_jobs(where: Site, revision: jobs.Revision) -> list[Deviation]:
    if not where.existing([where.input_bucket]):
        return []  # and that is said already
    with where.account.explained(f"list `{where.input_bucket}`"):
        missing = jobs.missing(where.account.client("s3"), where.input_bucket, revision)
    return [Deviation(f"`s3://{where.input_bucket}/{key}` is gone or was overwritten") for key in missing]


def _described(revision: jobs.Revision) -> str:
    """What changes when Terraform has something to do: its files, the jobs, the versions."""
    suffixes = {".tf", ".tfvars", ".tftpl"}
    files = [file for file in sorted(terraform.CONFIGURATION.rglob("*")) if file.suffix in suffixes]
    return fingerprint(revision.name, *map(str, files), *files, settings.REPOSITORY / "versions.toml")


def _note_platform(paths: settings.Paths, ports: settings.Ports, runtime_name: str) -> None:
    note = {
        **_likeness(runtime_name),
        "port_offset": ports.offset,
        "nodes": settings.node_count(),
        "schedules": settings.schedules(),
    }
    _note(paths.run / "platform.json", note)


def _likeness(runtime_name: str) -> dict[str, Any]:
    """What a later `local-up` brings up again."""
    return {"runtime": runtime_name, **({"kestra": runtime.kestra_of_compose()} if runtime_name == DOCKER else {})}


def _note(file: Path, document: dict[str, Any]) -> None:
    write_file(file, json.dumps(document) + "\n")


def _show_urls(ports: settings.Ports, runtime_name: str) -> None:
    has_pages = runtime_name == DOCKER and runtime.kestra_of_compose() == "image"
    login = f"{settings.KESTRA_USERNAME}, its password: `make -s env`"
    for what, where in (
        ("AWS endpoint", ports.gateway_url),
        ("EMR console", f"{ports.emr_url}   (its login link: `make -s env`)"),
        ("Kestra", f"{ports.kestra_url}   ({login if has_pages else 'its REST API; headless'})"),
        ("Spark master", f"http://{settings.LOOPBACK}:{ports.node_ui(1)}"),
        ("History Server", ports.history_server_url),
    ):
        output.say(f"  {what:<16}{where}")
    output.say(
        '  Next: `make run` for a day of shipments, `eval "$(make -s env)"` for aws and Terraform, `make local-down`.'
    )
