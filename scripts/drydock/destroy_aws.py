"""`make destroy-aws`: leave the account as it was before. Stops Kestra's host, if there is one, ends the clusters,
removes the data after a second word, has Terraform destroy what it made, and removes the bucket of its state last.
Whoever was interrupted calls it again.
"""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from drydock import interrupts, jobs, output, settings, site
from drydock.errors import DrydockError, UsageError
from drydock.on_aws import account, clusters, emptying, kestra_host
from drydock.on_aws.account import ConfirmOption, Deployment
from drydock.on_aws.plan import Plan, Planner, planner
from drydock.site import Site

DATA_WORD = "delete"

DataOption = Annotated[
    str, typer.Option("--data", metavar=DATA_WORD, help=f"`{DATA_WORD}`: the data as well, unasked.")
]


def destroy_aws(confirm: ConfirmOption = "", data: DataOption = "") -> None:
    """Remove the platform from the AWS account that the environment leads to, its data too."""
    if data not in ("", DATA_WORD):
        raise UsageError(f"DATA is `{data}`, expected `{DATA_WORD}`.")
    begun_at = time.monotonic()
    found = account.opened(settings.Paths())
    where = found.site
    with account.held(found, "destroy-aws"), interrupts.interruptible():
        if not where.existing([where.state_bucket]):
            _require_nothing(found)
            output.done(f"Nothing of the platform is in {found.title}.")
            return
        with planner(where, _any_revision(where)) as terraform:
            plan = terraform.plan(destroy=True)
            output.say("Terraform's plan:")
            for line in plan.lines(each=False):
                output.say(f"  {line}")
            buckets = _buckets(where)
            _show_data(where, buckets)
            account.confirm(found, confirm, f"This removes the platform from {found.title}.")
            _confirm_data(where, buckets, data)
            _stop_host(where)
            _end_clusters(where)
            _empty(where, buckets)
            if not plan.is_empty:
                _destroy(where, terraform, plan)
            kestra_host.remove_password(where)
        _remove_state(where)
    output.done(f"Nothing of the platform is left in {found.title}, after {time.monotonic() - begun_at:.0f} s.")


def _require_nothing(found: Deployment) -> None:
    """Without Terraform's state nobody knows what it made; what can be found by its name is looked for.

    Raises DrydockError that names what is there, and what to do with each.
    """
    where = found.site
    with output.stage("Looking for what is there without Terraform's state"):
        there = "".join(f"    {each}\n" for each in _without_state(where))
    if there:
        raise DrydockError(
            f"`{where.state_bucket}`, the bucket of Terraform's state, is not in {found.title}, but there still is:\n"
            f"{there}Terraform cannot remove these any more, nor the roles, whose names begin with "
            f"`{where.name_prefix}`, nor the VPC with what is in it, which `aws resourcegroupstaggingapi get-resources "
            f"--tag-filters Key=platform,Values={where.platform}` lists."
        )


def _without_state(where: Site) -> Iterator[str]:
    """What is there of the platform, with what ends or removes it."""
    if (host := kestra_host.find(where)) is not None:
        yield f"Kestra's host: `aws ec2 terminate-instances --instance-ids {host.instance_id}`"
    if alive := [each.id for each in clusters.active(where)]:
        yield f"clusters: `aws emr terminate-clusters --cluster-ids {' '.join(alive)}`"
    for bucket in _buckets(where):
        yield f"a bucket, which the S3 console empties and removes: `{bucket}`"
    if kestra_host.has_password(where):
        yield f"Kestra's password: `aws ssm delete-parameter --name {kestra_host.password_parameter(where)}`"


def _buckets(where: Site) -> list[str]:
    """Those that are there, but for that of Terraform's state."""
    return where.existing([where.name_prefix + name for name in site.BUCKETS])


def _any_revision(where: Site) -> jobs.Named:
    """Terraform wants to be told a revision, whatever it is; what is destroyed has none."""
    return jobs.Named("destroyed", "wheels/000000000000")


def _show_data(where: Site, buckets: list[str]) -> None:
    s3 = where.account.client("s3")
    with where.account.explained("count what the buckets hold"), output.stage("Counting what the buckets hold"):
        counted = [emptying.contents(s3, bucket) for bucket in buckets]
    for each in counted:
        output.say(f"  {each}")


def _confirm_data(where: Site, buckets: list[str], given: str) -> None:
    s3 = where.account.client("s3")
    with where.account.explained("count what the buckets hold"):
        full = [bucket for bucket in buckets if not emptying.is_empty(s3, bucket)]
    if not full or given:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"There is data in {', '.join(full)}. `DATA={DATA_WORD}` removes it. Nothing was changed.")
    if typer.prompt(f"Their data goes for good. Type `{DATA_WORD}`", default="", show_default=False) != DATA_WORD:
        raise DrydockError("Nothing was changed.")


def _stop_host(where: Site) -> None:
    """Its schedules and drivers would go on making clusters, and what it writes would fill buckets again."""
    if (host := kestra_host.find(where)) is None:
        return
    with output.stage(f"Stopping Kestra's host {host.instance_id}"):
        kestra_host.stop(where, host)
    output.done(f"Kestra's host {host.instance_id}: stopped")


def _end_clusters(where: Site) -> None:
    with output.stage("Ending the platform's clusters") as tell:
        ended = clusters.end(where, tell)
    output.done(f"Clusters: {f'ended {len(ended)}' if ended else 'none was alive'}")


def _empty(where: Site, buckets: list[str]) -> None:
    s3 = where.account.client("s3")
    for bucket in buckets:
        with where.account.explained(f"empty `{bucket}`"), output.stage(f"Emptying `{bucket}`"):
            removed = emptying.empty(s3, bucket)
        output.done(f"Emptied `{bucket}`: {removed:,} versions")


def _destroy(where: Site, terraform: Planner, plan: Plan) -> None:
    """S3 removes no bucket that holds something, and EMR delivers the last logs of a cluster that has ended already."""
    try:
        terraform.carry_out(plan)
    except DrydockError:
        s3 = where.account.client("s3")
        with where.account.explained("look into the buckets that are left"):
            filled = [bucket for bucket in _buckets(where) if not emptying.is_empty(s3, bucket)]
        if not filled:
            raise
        output.warn(f"Something was written meanwhile to {', '.join(filled)}: once more.")
        _empty(where, filled)
        terraform.carry_out(terraform.plan(destroy=True))


def _remove_state(where: Site) -> None:
    """When Terraform has nothing left to remember."""
    s3 = where.account.client("s3")
    with where.account.explained(f"remove `{where.state_bucket}`"):
        emptying.empty(s3, where.state_bucket)
        s3.delete_bucket(Bucket=where.state_bucket)
    output.done(f"Removed `{where.state_bucket}`, Terraform's state")
