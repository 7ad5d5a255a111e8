"""Which account it is: found as every AWS program finds it, shown first, and confirmed before anything changes."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import NoCredentialsError, ProfileNotFound
from botocore.session import Session

from drydock import aws, lock, output, settings
from drydock.errors import DrydockError, UsageError
from drydock.site import AWS, EMR_PAGE, Site, Verbs

SIGN_IN = "`aws sso login`, say, or any other way that the AWS CLI knows, mends it; `AWS_PROFILE` chooses a profile."
NO_CREDENTIALS = f"There are no AWS credentials in this environment. {SIGN_IN}"
PREFIX_VARIABLE = "DRYDOCK_NAME_PREFIX"
FILES_VARIABLE = "DRYDOCK_TFVARS"
"""Files of Terraform's variables, separated as PATH is: what one deployment has otherwise than the profile."""
# As in terraform/variables.tf, which is asked when the bucket of its state has been made.
PREFIX = re.compile("[a-z0-9][a-z0-9-]{0,38}-")
NOTHING_CHANGED = "Nothing was changed."
STOPPING_SECONDS = 1260  # the driver waits twenty minutes for EMR to end a cluster

ConfirmOption = Annotated[
    str, typer.Option("--confirm", metavar="ACCOUNT", help="The account's id: it is not asked for then.")
]


@dataclass(frozen=True)
class Identity:
    """Who the caller is on AWS."""

    account_id: str
    arn: str


@dataclass(frozen=True)
class Deployment:
    """A platform in an account, deployed or not yet."""

    identity: Identity
    site: Site

    @property
    def title(self) -> str:
        """The account and the region, as people name them."""
        return f"account {self.identity.account_id}, {self.site.account.region}"


def opened(paths: settings.Paths) -> Deployment:
    """The account that the caller's environment leads to, shown.

    Raises UsageError when it leads nowhere, or to the local platform; ServiceFailed when AWS does not answer.
    """
    account = _account()
    with account.explained("say who the caller is"):
        try:
            answer = account.client("sts").get_caller_identity()
        except NoCredentialsError as error:
            raise UsageError(NO_CREDENTIALS) from error
    identity = Identity(answer["Account"], answer["Arn"])
    _refuse_the_local_platform(identity)
    found = Deployment(identity, _site(paths, account, identity))
    _show(found)
    return found


@contextmanager
def held(deployment: Deployment, verb: str) -> Iterator[None]:
    """One verb at a time changes a deployment from this machine. Raises DrydockError when another one does."""
    with lock.alone(deployment.site.directory / "lock", verb, "this deployment"):
        yield


def confirm(deployment: Deployment, confirmed: str, question: str, otherwise: str = NOTHING_CHANGED) -> None:
    """Have the account's id typed, unless it was given as CONFIRM. Raises UsageError or DrydockError without it, which
    say `otherwise`: what has become of the account."""
    account_id = deployment.identity.account_id
    if confirmed:
        if confirmed != account_id:
            raise UsageError(f"CONFIRM is `{confirmed}`, and the account is {account_id}. {otherwise}")
        return
    if not sys.stdin.isatty():
        raise UsageError(f"Nobody is here to be asked. `CONFIRM={account_id}` says yes. {otherwise}")
    if typer.prompt(f"{question} Type the account's id to go on", default="", show_default=False) != account_id:
        raise DrydockError(f"That is not its id. {otherwise}")


def _account() -> aws.CallersAccount:
    session = Session()
    try:
        session.get_scoped_config()  # before the region, which may come from elsewhere: a profile has to be there
    except ProfileNotFound as error:
        raise UsageError(f"{error}. `aws configure list-profiles` lists what there is.") from error
    # botocore itself only knows AWS_DEFAULT_REGION; everything else of AWS's takes the other one first.
    region: str | None = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not region:
        lacking = "" if session.get_credentials() else f" {NO_CREDENTIALS}"
        raise UsageError(f"No AWS region is chosen. `export AWS_REGION=us-east-1`, say, chooses one.{lacking}")
    known = {each for partition in session.get_available_partitions() for each in _regions(session, partition)}
    if region not in known:
        output.warn(f"The region `{region}` is none that this version of AWS's library knows EMR in.")
    return aws.CallersAccount(session, region)


def _regions(session: Session, partition: str) -> list[str]:
    regions: list[str] = session.get_available_regions("emr", partition)
    return regions


def _site(paths: settings.Paths, account: aws.CallersAccount, identity: Identity) -> Site:
    prefix = os.environ.get(PREFIX_VARIABLE) or f"drydock-{identity.account_id}-{account.region}-"
    if not PREFIX.fullmatch(prefix) or prefix.startswith("sg-"):
        raise UsageError(
            f"{PREFIX_VARIABLE} is `{prefix}`; expected at most 40 lower-case letters, digits and hyphens that end "
            "with a hyphen and do not begin with `sg-`, such as `acme-`."
        )
    files = [Path(each).absolute() for each in os.environ.get(FILES_VARIABLE, "").split(os.pathsep) if each]
    if missing := [str(each) for each in files if not each.is_file()]:
        raise UsageError(f"{FILES_VARIABLE} names {', '.join(missing)}, which is no file.")
    directory = paths.home / "aws" / prefix.removesuffix("-")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    console = f"https://{account.region}.console.aws.amazon.com/emr/home?region={account.region}#/clusters"
    return Site(
        profile=AWS,
        account=account,
        name_prefix=prefix,
        variable_files=tuple(files),
        directory=directory,
        log=directory / "terraform.log",
        paths=paths,
        history_server_url=None,
        pages=((EMR_PAGE, account.endpoint_url or console),),
        verbs=Verbs(deploy="deploy-aws", run="aws-run", status="aws-status", end="destroy-aws"),
        stopping_seconds=STOPPING_SECONDS,
        aws_cli="aws",
    )


def _refuse_the_local_platform(identity: Identity) -> None:
    if identity.account_id == settings.ACCOUNT_ID:
        raise UsageError(
            f"This environment leads to a local platform (account {identity.account_id}), not to AWS: `make local-up` "
            "and `make run` are for it. The AWS verbs find AWS in a shell that has not taken `make -s env`."
        )


def _show(found: Deployment) -> None:
    where = found.site
    output.say(f"Profile {where.profile}: {found.title}, as {found.identity.arn}")
    if where.account.endpoint_url:
        output.warn(f"An endpoint of its own leads every request to {where.account.endpoint_url}.")
    if where.variable_files:
        files = ", ".join(map(str, where.variable_files))
        output.say(f"Over the profile's variables lie those of {files} ({FILES_VARIABLE}).")
    output.say(f"Names begin with `{where.name_prefix}` ({PREFIX_VARIABLE} chooses another beginning).")
