"""`make parity`: what of the running local platform is as on AWS, part by part, and what is not and why.

A step on a cluster of one node tells versions, Spark's properties and its environment; jobs and flows are compared with
this checkout, a day's tables with those that one Spark process makes of the same seed; and IAM's policies are held
against the calls of driver and nodes by an evaluator of others. `make aws-parity` does the same for a deployment.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from drydock import executions, flow_registration, jobs, output, runtime, settings, site
from drydock.day import DateOption, parse_date
from drydock.errors import RunFailed, UsageError
from drydock.kestra import Kestra
from drydock.on_aws import trial
from drydock.parity_of import cluster, comparison, facts, files, observed, permissions, tables
from drydock.parity_of.comparison import LOCAL, ONE_PROCESS, Section, Verdict
from drydock.parity_of.facts import Facts
from drydock.running import require_running
from drydock.site import Site

FileOption = Annotated[str, typer.Option("--file", help="Where to write the comparison as JSON.")]

LOG_LINES = 1_000_000


def parity(date: DateOption = "", file: FileOption = "") -> None:
    """Compare the running local platform with the release, this checkout and one Spark process.

    Exit codes: 0 nothing differs that is not known; 1 something does, or cannot be asked; 2 wrong usage.
    """
    asked = parse_date(date) if date else None
    target = json_file(file)
    paths, ports = settings.Paths(), settings.Ports()
    require_running(paths, ports)
    where = site.local(paths, ports)
    day, here = tables.read(where, asked), jobs.revision(paths, where.directory)
    with executions.client(paths, ports) as engine:
        told = trial.run(where, engine, here.name)
        found = facts.gather(where, here, told, registered(engine), day)
    facts.keep(paths, found)
    log = runtime.of(paths, ports).log("gateway", LOG_LINES)
    sections = compare(where, here, {LOCAL: found}, [observed.compare(log)])
    report(sections, target)


def registered(engine: Kestra) -> dict[str, str]:
    """The flows that Kestra knows, by their ids: their sources."""
    flows = engine.flows()
    return {flow["id"]: engine.source(flow["namespace"], flow["id"]) or "" for flow in flows}


def compare(
    where: Site, here: jobs.Revision, sides: dict[str, Facts], further: Sequence[Section] = ()
) -> list[Section]:
    """All that can be compared of these sides, the day of the last one with what one process makes of it."""
    paths = where.paths
    day = list(sides.values())[-1].day
    flows = files.by_id(flow_registration.sources(paths.flows))
    with output.stage("Comparing") as tell, ThreadPoolExecutor(1) as beside:
        in_one_process = beside.submit(tables.in_one_process, paths, day.raw_days) if day else None
        by_iam = permissions.compare(paths, sides, tell)
        if in_one_process is not None:
            tell(f"making {day.date if day else ''} in one Spark process")
        made = in_one_process.result() if in_one_process else None
    return [
        cluster.versions(sides),
        cluster.spark_properties(sides),
        cluster.environment(sides),
        files.compare(sides, here, flows),
        tables.compare({ONE_PROCESS: made, **{side: of.day for side, of in sides.items()}}),
        *by_iam,
        *further,
        cluster.general(),
    ]


def json_file(file: str) -> Path | None:
    """Where the comparison goes. Raises UsageError before anything is done when that cannot be."""
    if not file:
        return None
    path = Path(file)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"FILE is `{file}`; expected a file in a folder that is there, such as parity.json.")
    return path


def report(sections: Sequence[Section], target: Path | None) -> None:
    """Show what is not the same, and write all of it to `target`. Raises RunFailed when something is different."""
    for section in sections:
        show = output.fail if section.count(Verdict.DIFFERENT) else output.done
        show(f"{section.title}: {section.summary}")
        if table := comparison.table(section):
            output.show(table)
    if target:
        target.write_text(json.dumps(comparison.document(sections), indent=2, ensure_ascii=False) + "\n")
        output.say(f"As JSON: {target}")
    if different := sum(section.count(Verdict.DIFFERENT) for section in sections):
        raise RunFailed(f"{different} differences are not known ones: see ✗ above.")
    output.done("Nothing differs that is not known.")
