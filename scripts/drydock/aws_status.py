"""`make aws-status`: what of the platform is in the AWS account, what runs there, and which days it has."""

from datetime import UTC, date, datetime

import typer
from rich.table import Table

from drydock import days, jobs, output, settings
from drydock.errors import SetupError
from drydock.on_aws import account, bundles, clusters, kestra_host
from drydock.on_aws.account import Deployment
from drydock.site import Site

NOT_DEPLOYED = 3
CLUSTER_DAYS = 7
SHOWN_REVISIONS = 5
SHOWN_CLUSTERS = 10
SHOWN_DAYS = 14


def aws_status() -> None:
    """Show what is there. Exit codes: 0 the platform is deployed; 1 it cannot be told; 3 it is not deployed."""
    found = account.opened(settings.Paths())
    where = found.site
    try:
        config = where.platform_config()
    except SetupError:
        output.say(f"The platform is not in {found.title}. `make deploy-aws` brings it there.")
        raise typer.Exit(NOT_DEPLOYED) from None
    _show_revisions(found, jobs.deployed(config))
    _show_host(where)
    _show_clusters(where)
    _show_days(where)


def _show_revisions(found: Deployment, deployed: str) -> None:
    where = found.site
    with where.account.explained("list the jobs"):
        there = jobs.names(where.account.client("s3"), where.input_bucket)
    here = jobs.revision(where.paths, where.directory).name
    output.say(f"Jobs: revision {deployed}" + (", that of this checkout" if here == deployed else ""))
    if here != deployed:
        output.say(f"  this checkout has {here}: `make deploy-aws` deploys it")
    if others := [each for each in there if each != deployed]:
        older = there[there.index(deployed) + 1 :] if deployed in there else []
        back = f"; `make deploy-aws REVISION={older[0]}` goes back" if older else ""
        output.say(f"  others: {', '.join(others[:SHOWN_REVISIONS])}{back}")


def _show_host(where: Site) -> None:
    host = kestra_host.find(where)
    if host is None:
        output.say(f"Kestra: no host, so no schedule fires; {kestra_host.HOW_TO_MAKE}")
        return
    if host.state != "running":
        output.say(f"Kestra: its host {host.instance_id} ({host.instance_type}) is {host.state}: no schedule fires")
        return
    ping, told = kestra_host.ping_status(where, host), kestra_host.said(where)
    output.say(f"Kestra: on {host.instance_id} ({host.instance_type}), Systems Manager says {ping}; `make aws-ui`")
    if not kestra_host.is_of(told, host, bundles.current(where)):
        output.warn(f"It does not run what is deployed yet. {kestra_host.how_to_look(host)}")
    elif told["state"] == kestra_host.RUNS:
        output.say(f"  it runs what is deployed, since {told['at']}")
    else:
        output.warn(f"It has not been able to start what is deployed, and tries again: {' '.join(told['said'][-1:])}")


def _show_clusters(where: Site) -> None:
    """Those that are alive always, however old they are."""
    found = clusters.recent(where, CLUSTER_DAYS, SHOWN_CLUSTERS)
    if not found:
        output.say(f"Clusters: none is alive, none in the last {CLUSTER_DAYS} days")
        return
    title = f"Clusters that are alive, or of the last {CLUSTER_DAYS} days"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for header in ("id", "name", "state", "begun (UTC)", "lived"):
        table.add_column(header, no_wrap=True)
    for each in found:
        lived = ((each.ended_at or datetime.now(UTC)) - each.created_at).total_seconds()
        begun = each.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        name = each.name.removeprefix(f"{where.platform}-")
        table.add_row(each.id, name, each.state, begun, output.duration(lived))
    output.show(table)
    if alive := [each.id for each in found if each.is_alive]:
        output.warn(f"Alive, and paid for: {', '.join(alive)}.")


def _show_days(where: Site) -> None:
    found = list(days.read(where, date.min, date.max).values())
    shown = found[-SHOWN_DAYS:]
    output.say(f"Days: {len(found) or 'none'}{f', the newest {SHOWN_DAYS}' if len(found) > SHOWN_DAYS else ''}")
    for day in shown:
        state = day.problem or f"{day.processed:,} rows processed"
        output.say(f"  {day.date}  {state}")
