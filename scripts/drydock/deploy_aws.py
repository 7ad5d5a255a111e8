"""`make deploy-aws`: the platform in an AWS account of yours, as the caller's environment leads to one.

It looks at what can be known to fail, shows what Terraform would do and what that costs, asks, does exactly that,
uploads the jobs under their revision, validates the flows and tries a step. Whoever was interrupted calls it again.
REVISION=… points to jobs of before.
"""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from drydock import deployment, interrupts, jobs, output, settings
from drydock.errors import UsageError
from drydock.on_aws import account, checks, costs, orchestrator, trial
from drydock.on_aws.account import ConfirmOption, Deployment
from drydock.on_aws.plan import Plan, planner
from drydock.preflight import finding
from drydock.preflight.finding import Check, Status
from drydock.site import Site

RevisionOption = Annotated[str, typer.Option("--revision", help="Jobs that were deployed before, to go back to.")]


def deploy_aws(confirm: ConfirmOption = "", revision: RevisionOption = "") -> None:
    """Plan, ask, apply, upload and try the platform in the AWS account that the environment leads to."""
    begun_at = time.monotonic()
    paths = settings.Paths()
    found = account.opened(paths)
    with account.held(found, "deploy-aws"), interrupts.interruptible():
        _look(checks.of(found))
        to_deploy = _revision(found.site, revision)
        _ensure_state_bucket(found, confirm)
        with planner(found.site, to_deploy) as terraform:
            plan = terraform.plan()
            _show(plan)
            cluster = plan.variables
            _look(checks.of_clusters(found, cluster["instance_types"].values()))
            output.say(str(costs.estimate(found.site.account.region, cluster["instance_types"], cluster["core_count"])))
            if not plan.is_empty:
                account.confirm(found, confirm, f"This changes {found.title}.")
            outputs = deployment.deploy(found.site, to_deploy, lambda: terraform.carry_out(plan))
        output.done(f"Deployed the jobs of revision {to_deploy.name}")
        if not plan.is_empty or trial.newest(found.site).get("revision") != to_deploy.name:
            _try(found.site, outputs["platform_config"], to_deploy.name)
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


def _ensure_state_bucket(found: Deployment, confirmed: str) -> None:
    """Ask before the first thing is made. Terraform cannot plan before there is a place for its state."""
    bucket = found.site.state_bucket
    if not found.site.existing([bucket]):
        output.say(f"Nothing of the platform is here yet. `{bucket}`, the bucket of Terraform's state, comes first.")
        account.confirm(found, confirmed, f"This makes that bucket in {found.title}; you are asked again for the rest.")


def _show(plan: Plan) -> None:
    if plan.is_empty:
        output.done("Terraform: everything is as it should be")
        return
    output.say("Terraform's plan:")
    for line in plan.lines():
        output.say(f"  {line}")


def _try(where: Site, config: dict[str, Any], revision: str) -> None:
    """A step through the flows, as kestra-role."""
    with orchestrator.opened(where, config) as engine:
        output.done(f"Flows validated: {', '.join(sorted(flow['id'] for flow in engine.flows()))}")
        told = trial.run(where, engine, revision)
    if others := trial.other_versions(told):
        output.warn(f"The cluster has other versions than versions.toml says of the release: {'; '.join(others)}.")
    else:
        versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
        output.done(f"The cluster has what the release should: {versions}")


def _show_places(found: Deployment, outputs: dict[str, Any]) -> None:
    for what, name in outputs["buckets"].items():
        output.say(f"  {what:<16}s3://{name}")
    for what, address in found.site.pages:
        output.say(f"  {what:<16}{address}")
    output.say("  Next: `make aws-run DATE=…` for a day of shipments, `make aws-status`, `make destroy-aws`.")
