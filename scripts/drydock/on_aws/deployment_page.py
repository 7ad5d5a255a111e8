"""What a deployment came to, as one HTML page that needs nothing else: where all is, what was tried, what is next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drydock import html_template
from drydock.on_aws import kestra_host, trial
from drydock.on_aws.account import Deployment
from drydock.on_aws.flow_changes import FlowChange

NEXT = (
    ("make aws-run DATE=2026-01-15", "a day of shipments"),
    ("make aws-status", "what is there, what runs, which days there are"),
    ("make deploy-aws REVISION=…", "back to jobs and flows of before"),
    ("make destroy-aws", "leave; asks twice"),
)


@dataclass(frozen=True)
class Deployed:
    """What came of a deployment. `outputs` are Terraform's, `tried` is what `trial.newest` tells."""

    where: Deployment
    revision: str
    outputs: Mapping[str, Any]
    tried: Mapping[str, Any]
    costs: Sequence[str]
    flows: Sequence[str]
    """The files of all of them."""
    changes: Sequence[FlowChange]


@dataclass(frozen=True)
class Row:
    """A name and what stands beside it. `lines` are set as they are."""

    name: str
    value: str
    note: str = ""
    is_wrong: bool = False
    is_code: bool = False
    link: str = ""
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page: sentences, and a table under them."""

    title: str
    rows: Sequence[Row] = ()
    says: Sequence[str] = ()


def page(of: Deployed, made_at: datetime) -> str:
    """The whole page, as HTML."""
    return html_template.load(Path(__file__).with_name("deployment_page.html.j2")).render(
        title=f"Drydock in {of.where.title}",
        made_at=made_at.astimezone(UTC).strftime("Deployed %Y-%m-%d %H:%M UTC"),
        sections=list(_sections(of)),
    )


def _sections(of: Deployed) -> Iterator[Section]:
    yield _place(of)
    yield _trial(of)
    yield Section("Flows", list(_flows(of)))
    yield _kestra(of)
    yield Section("What it costs", says=of.costs)
    yield Section(
        "Buckets", [Row(purpose, f"s3://{name}", is_code=True) for purpose, name in of.outputs["buckets"].items()]
    )
    yield _cluster(of.outputs["platform_config"])
    yield Section("Next", [Row(what, command, is_code=True) for command, what in NEXT])


def _place(of: Deployed) -> Section:
    site = of.where.site
    return Section(
        "Where",
        [
            Row("Account", of.where.identity.account_id),
            Row("Region", site.account.region),
            Row("Deployed by", of.where.identity.arn),
            Row("Names begin with", site.name_prefix, is_code=True),
            Row("Jobs", of.revision, note="their revision", is_code=True),
            Row("Description", of.outputs["platform_config_uri"], note="all that the driver reads", is_code=True),
            *(Row(what, address, link=address) for what, address in site.pages),
        ],
    )


def _trial(of: Deployed) -> Section:
    """What the step that was tried last has found, against what the release should have."""
    if not of.tried:
        return Section("Tried", says=["No step has been tried yet."])
    found = of.tried["told"].get("versions", {})
    wrong = {line.split(" ")[0]: line for line in trial.other_versions(of.tried["told"])}
    rows = [
        Row(name, str(found.get(name, "unknown")), note=f"expected {expected}" if name in wrong else "", is_wrong=True)
        for name, expected in trial.expected_versions().items()
    ]
    says = [f"A step on a cluster of one node, {of.tried['at']}, with the jobs of {of.tried['revision']}:"]
    return Section("Tried", rows, says)


def _flows(of: Deployed) -> Iterator[Row]:
    changes = {change.file: change for change in of.changes}
    for file in sorted({*of.flows, *changes}):
        change = changes.get(file)
        name = file.removesuffix(".yaml")
        yield Row(name, change.kind, lines=change.difference) if change else Row(name, "as it was")


def _kestra(of: Deployed) -> Section:
    instance_id = of.outputs.get("kestra_host")
    if instance_id is None:
        return Section("Kestra", says=[f"There is no host, so no schedule fires. {kestra_host.HOW_TO_MAKE}"])
    return Section(
        "Kestra",
        [
            Row("Host", instance_id, is_code=True),
            Row("Its pages", "make aws-ui", is_code=True),
            Row("Password", kestra_host.how_to_log_in(of.where.site), is_code=True),
        ],
    )


def _cluster(config: Mapping[str, Any]) -> Section:
    types = config["instance_types"]
    return Section(
        "Clusters",
        [
            Row("Release", config["release_label"]),
            Row("Nodes", f"1 {types['master']}, {config['core_count']} {types['core']}"),
            Row("Service role", config["roles"]["service"], is_code=True),
            Row("Instance profile", config["roles"]["instance_profile"], is_code=True),
            Row("Driver's role", config["roles"]["kestra_arn"], is_code=True),
            Row("Subnet", config["subnet_id"], is_code=True),
            *(Row(f"Security group, {name}", id_, is_code=True) for name, id_ in config["security_groups"].items()),
            Row("Ends itself when idle for", f"{config['idle_timeout_seconds'] / 60:.0f} minutes"),
        ],
    )
