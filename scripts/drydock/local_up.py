"""`make local-up`: bring the platform up, or see that it is. Safe to repeat: what is up and healthy is left alone."""

import json
import os
import time

from drydock import (
    interrupts,
    lock,
    output,
    preflight,
    secrets,
    services,
    settings,
    startup,
    terraform,
    terraform_state,
)
from drydock.errors import DrydockError
from drydock.preflight import finding
from drydock.supervision import Supervisor, environment_of
from drydock.toolchain.stamps import Stamp, fingerprint

SHOWN_DEVIATIONS = 5


def local_up() -> None:
    """Bring the platform up as local processes; see `drydock.startup` for what a failure leaves behind."""
    paths, ports = settings.Paths(), settings.Ports()
    begun_at = time.monotonic()
    with lock.exclusive(paths, "local-up"), interrupts.interruptible():
        _preflight(paths, ports)
        for folder in (paths.data, paths.logs, paths.event_logs, paths.home / "nodes"):
            folder.mkdir(mode=0o700, exist_ok=True)
        secrets.ensure(paths)
        declared = services.declare(paths, ports)
        furnished: list[bool] = []

        def meanwhile() -> None:
            _note_platform(paths, ports)
            furnished.append(_furnish(paths, ports))

        started = startup.bring_up(paths, declared, meanwhile)
    if started or any(furnished):
        output.done(f"The platform is up, after {time.monotonic() - begun_at:.0f} s.")
    else:
        output.done("The platform was up already, and is healthy: nothing to do.")
    _show_urls(ports)


def _preflight(paths: settings.Paths, ports: settings.Ports) -> None:
    """What can be known to fail is said before anything is started."""
    findings = preflight.quick(paths)
    finding.require(findings)
    for each in findings:
        if each.status is finding.Status.WARNING:
            output.warn(f"{each.found} {each.fix}")
    running_offset = settings.running_platform().get("port_offset", ports.offset)
    if running_offset != ports.offset and Supervisor(paths).is_running():
        raise DrydockError(
            f"The platform runs with DRYDOCK_PORT_OFFSET={running_offset}, and {ports.offset} was asked for. "
            "`make local-down` first, or give the second platform a DRYDOCK_HOME of its own."
        )

    running = environment_of(paths, "kestra").get("ENGINE_SCHEDULES")
    is_another = running is not None and running != str(settings.schedules()).lower()
    if os.environ.get("DRYDOCK_SCHEDULES") and is_another and Supervisor(paths).is_running():
        raise DrydockError(
            f"The platform runs with schedules {'on' if running == 'true' else 'off'}, and "
            f"DRYDOCK_SCHEDULES={os.environ['DRYDOCK_SCHEDULES']} was asked for. `make local-down` first."
        )


def _furnish(paths: settings.Paths, ports: settings.Ports) -> bool:
    """Behind a healthy gateway: buckets, network, roles and jobs, unless they are as they were applied last.

    Returns whether there was something to do.
    """
    applied = Stamp(terraform.applied_stamp(paths), _described(paths))
    deviations = terraform_state.deviations(paths, ports)
    if applied.matches and deviations == []:
        return False
    if deviations:
        named = [deviation.what for deviation in deviations[:SHOWN_DEVIATIONS]]
        more = f", and {len(deviations) - len(named)} more" if len(deviations) > len(named) else ""
        output.warn(f"Not as Terraform left it: {', '.join(named)}{more}. Making it so again.")
    elif deviations is None and terraform.applied_stamp(paths).exists():
        output.warn("The gateway has nothing any more of what Terraform made. Making it anew, the days' data excepted.")
    applied.forget()
    terraform.apply(paths, ports, replace=[each.address for each in deviations or () if not each.is_gone])
    applied.write()
    return True


def _described(paths: settings.Paths) -> str:
    """What changes when Terraform has something to do: its files, the jobs and what they need, the versions."""
    folders = (terraform.CONFIGURATION, terraform.JOBS, paths.wheels, paths.log_store.parent)
    suffixes = {".tf", ".tfvars", ".tfbackend", ".tftpl", ".py", ".sh", ".txt", ".whl", ".jar"}
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.suffix in suffixes]
    return fingerprint(*map(str, files), *files, settings.REPOSITORY / "versions.toml")


def _note_platform(paths: settings.Paths, ports: settings.Ports) -> None:
    file = paths.run / "platform.json"
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps({"port_offset": ports.offset}) + "\n")
        draft.replace(file)


def _show_urls(ports: settings.Ports) -> None:
    for what, where in (
        ("AWS endpoint", ports.gateway_url),
        ("EMR console", f"{ports.emr_url}   (its login link: `make -s env`)"),
        ("Kestra", f"{ports.kestra_url}   (its REST API; headless)"),
        ("Spark master", f"http://{settings.LOOPBACK}:{ports.node_ui(1)}"),
        ("History Server", ports.history_server_url),
    ):
        output.say(f"  {what:<16}{where}")
    output.say(
        '  Next: `make run` for a day of shipments, `eval "$(make -s env)"` for aws and Terraform, `make local-down`.'
    )
