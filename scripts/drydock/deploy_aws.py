"""`make deploy-aws`: the platform in an AWS account of yours, as the caller's environment leads to one.

It looks at what can be known to fail, shows how the flows differ and has them validated, shows what Terraform would do
and what that costs, asks, does exactly that, uploads jobs and flows under their revision, and tries a step. Whoever was
interrupted calls it again. REVISION=… points to jobs and flows of before.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drydock import deployment, flow_registration, interrupts, jobs, output, settings
from drydock.errors import DrydockError, UsageError
from drydock.on_aws import (
    account,
    bundles,
    checks,
    costs,
    deployment_page,
    flow_changes,
    kestra_host,
    orchestrator,
    trial,
)
from drydock.on_aws.account import ConfirmOption, Deployment
from drydock.on_aws.bundles import Bundle
from drydock.on_aws.deployment_page import Deployed
from drydock.on_aws.flow_changes import FlowChange
from drydock.on_aws.kestra_host import Host
from drydock.on_aws.plan import Plan, planner
from drydock.preflight import finding
from drydock.preflight.finding import Check, Status
from drydock.site import Site
from drydock.toolchain.stamps import write_file

RevisionOption = Annotated[str, typer.Option("--revision", help="Jobs that were deployed before, to go back to.")]


@dataclass(frozen=True)
class Delivery:
    """What Kestra is brought: the bundle to deploy, against the one that is deployed."""

    bundle: Bundle
    before: Bundle | None

    @property
    def changes(self) -> list[FlowChange]:
        return flow_changes.between({} if self.before is None else self.before.flows, self.bundle.flows)

    @property
    def is_deployed(self) -> bool:
        return self.bundle == self.before


def deploy_aws(confirm: ConfirmOption = "", revision: RevisionOption = "") -> None:
    """Plan, ask, apply, upload and try the platform in the AWS account that the environment leads to."""
    begun_at = time.monotonic()
    paths = settings.Paths()
    found = account.opened(paths)
    with account.held(found, "deploy-aws"), interrupts.interruptible():
        _look(checks.of(found))
        to_deploy = _revision(found.site, revision)
        delivery = _delivery(found.site, to_deploy)
        _show_flows(delivery)
        _validate(found.site, delivery)
        otherwise = _confirm_state_bucket(found, confirm)
        host_before = kestra_host.find(found.site)
        with planner(found.site, to_deploy) as terraform:
            plan = terraform.plan()
            _show(plan)
            instance_types, size = plan.variables["instance_types"], plan.outputs.get("kestra_host_size")
            _look(checks.of_plan(found, plan))
            told_costs = list(costs.of(found.site.account.region, instance_types, plan.variables["core_count"], size))
            for line in told_costs:
                output.say(line)
            if not plan.is_empty or not delivery.is_deployed:
                account.confirm(found, confirm, f"This changes {found.title}.", otherwise)
                trial.forget(found.site)  # whatever happens now, the next deployment tries what it finds
            if size is not None and kestra_host.ensure_password(found.site):
                output.done(f"Made Kestra's password: {kestra_host.password_parameter(found.site)} in Parameter Store")
            outputs = deployment.deploy(found.site, to_deploy, lambda: terraform.carry_out(plan))
        bundles.upload(found.site, to_deploy.name, delivery.bundle)
        name = bundles.point(found.site, to_deploy.name, delivery.bundle)
        output.done(f"Deployed the jobs of revision {to_deploy.name}, and {len(delivery.bundle.flows)} flows with them")
        if not trial.newest(found.site):
            _try(found.site, outputs["platform_config"], to_deploy.name, delivery.bundle)
        tried = trial.newest(found.site)
        _show_versions(tried["told"])
        _see_to_host(found.site, host_before, outputs, name)
        flows, changes = list(delivery.bundle.flows), delivery.changes
        _write_page(Deployed(found, to_deploy.name, outputs, tried, told_costs, flows, changes))
    output.done(f"The platform is in {found.title}, after {time.monotonic() - begun_at:.0f} s.")
    _show_places(found, outputs)


def _look(to_check: Sequence[Check]) -> None:
    """Show what is found. Raises SetupError when a failure is among it."""
    carried_out = finding.carry_out(to_check)
    findings = [each for group in carried_out.values() for each in group]
    for each in findings:
        if each.status is Status.OK:
            output.done(f"{each.subject}: {each.found}")
        elif each.status is Status.WARNING:
            output.warn(f"{each.subject}: {each.found} {each.fix}")
    finding.require(findings)


def _revision(where: Site, asked: str) -> jobs.Revision | jobs.Named:
    """The jobs of the checkout, or those of before that are asked for. Raises UsageError when there are none."""
    if not asked:
        found = jobs.revision(where.paths, where.directory)
        if "-dirty-" in found.name:
            output.warn("The jobs have changes that are not committed: nobody else can tell what this revision holds.")
        return found
    s3 = where.account.client("s3")
    with where.account.explained(f"list the jobs in `{where.input_bucket}`"):
        named = jobs.uploaded(s3, where.input_bucket, asked)
        if named is None:
            there = jobs.names(s3, where.input_bucket) if where.existing([where.input_bucket]) else []
            raise UsageError(f"REVISION is `{asked}`; deployed here were {', '.join(there) or 'none yet'}.")
    return named


def _delivery(where: Site, to_deploy: jobs.Revision | jobs.Named) -> Delivery:
    """What Kestra is to run with these jobs: what the checkout has, or what went with jobs of before."""
    before = bundles.deployed(where)
    if isinstance(to_deploy, jobs.Revision):
        return Delivery(bundles.of_checkout(), before)
    if (went_with := bundles.of_revision(where, to_deploy.name)) is not None:
        return Delivery(went_with, before)
    output.warn(f"No flows are known that went with the jobs of {to_deploy.name}: the flows stay as they are.")
    return Delivery(before or bundles.of_checkout(), before)


def _show_flows(delivery: Delivery) -> None:
    if delivery.changes:
        output.say("Flows, against those that are deployed:")
        for each in delivery.changes:
            for line in each.lines():
                output.say(f"  {line}")
        return
    output.done(f"Flows: {len(delivery.bundle.flows)}, as they are deployed")
    if not delivery.is_deployed:
        output.say("  Something else that Kestra's host runs is different: the driver, or how it is started.")


def _validate(where: Site, delivery: Delivery) -> None:
    """Have Kestra's engine look at flows that are not deployed yet. Raises DrydockError when it refuses one."""
    if not delivery.changes:
        return
    with orchestrator.validating(where) as engine:
        try:
            flow_registration.require_valid(engine, delivery.bundle.flows)
        except DrydockError as error:
            error.add_note(account.NOTHING_CHANGED)
            raise
    output.done(f"Flows validated: {', '.join(name.removesuffix('.yaml') for name in delivery.bundle.flows)}")


def _confirm_state_bucket(found: Deployment, confirmed: str) -> str:
    """Ask before the first thing is made: Terraform cannot plan before there is a place for its state. Returns what has
    become of the account for whoever says no to the rest."""
    bucket = found.site.state_bucket
    if found.site.existing([bucket]):
        return account.NOTHING_CHANGED
    output.say(f"Nothing of the platform is here yet. `{bucket}`, the bucket of Terraform's state, comes first.")
    account.confirm(found, confirmed, f"This makes that bucket in {found.title}; you are asked again for the rest.")
    return f"Only the bucket of Terraform's state was made: `make {found.site.verbs.end}` removes it."


def _show(plan: Plan) -> None:
    if plan.is_empty:
        output.done("Terraform: everything is as it should be")
        return
    output.say("Terraform's plan:")
    for line in plan.lines():
        output.say(f"  {line}")


def _try(where: Site, config: dict[str, Any], revision: str, bundle: Bundle) -> None:
    """A step through the flows that are deployed, as kestra-role."""
    with orchestrator.opened(where, config, bundle) as engine:
        trial.run(where, engine, revision)


def _show_versions(told: dict[str, Any]) -> None:
    """What the step that was tried has found, now or by a deployment of before: others are said each time."""
    if others := trial.other_versions(told):
        output.warn(f"Clusters have other versions than versions.toml says of the release: {'; '.join(others)}.")
    else:
        versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
        output.done(f"Clusters have what the release should: {versions}")


def _see_to_host(where: Site, before: Host | None, outputs: dict[str, Any], bundle: str) -> None:
    """Wait until Kestra's host runs the bundle, if there is one; forget the password of one that is gone."""
    if (instance_id := outputs.get("kestra_host")) is None:  # Terraform leaves out what is null
        if before is not None:
            kestra_host.remove_password(where)
            output.done("Kestra's host is gone, and its password")
        return
    host = kestra_host.find(where)
    if host is None or host.state not in ("pending", "running"):
        state = "gone" if host is None else host.state
        output.warn(f"Kestra's host {instance_id} is {state}: it takes this up when it runs.")
        return
    with output.stage(f"Waiting until Kestra's host {host.instance_id} runs it") as tell:
        kestra_host.await_bundle(where, host, bundle, tell)
    output.done(f"Kestra runs on {host.instance_id}: `make aws-ui` shows its pages")


def _write_page(deployed: Deployed) -> None:
    write_file(_page_file(deployed.where), deployment_page.page(deployed, datetime.now(UTC)))


def _page_file(found: Deployment) -> Path:
    return found.site.directory / "deployment.html"


def _show_places(found: Deployment, outputs: dict[str, Any]) -> None:
    for what, name in outputs["buckets"].items():
        output.say(f"  {what:<16}s3://{name}")
    for what, address in found.site.pages:
        output.say(f"  {what:<16}{address}")
    output.say(f"  {'all of it':<16}{_page_file(found).as_uri()}")
    output.say("  Next: `make aws-run DATE=…` for a day of shipments, `make aws-status`, `make destroy-aws`.")
