"""Kestra's host, where a deployment has one (terraform/modules/kestra_host): its state, what it runs, its password."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from drydock import secrets
from drydock.errors import NotRunning, RunFailed
from drydock.on_aws import bundles
from drydock.site import Site

POLL_SECONDS = 5.0
TAKE_UP_SECONDS = 1500  # of a new host: packages, 3 GB of Kestra's image, its first start
SAYS = f"{bundles.FOLDER}/host.json"  # as in terraform/modules/kestra_host/files/take-up
RUNS = "runs"
REACHABLE = "Online"  # what Systems Manager says of an instance that it reaches
HOW_TO_MAKE = (
    "`kestra_host = {}` in terraform/profiles/aws.tfvars and `make deploy-aws` make one; `make aws-run` does without."
)


@dataclass(frozen=True)
class Host:
    """The instance. `state`: pending, running, stopping, stopped."""

    instance_id: str
    state: str
    instance_type: str


def find(where: Site) -> Host | None:
    """The deployment's; None when it has none. Raises ServiceFailed."""
    asked = [
        {"Name": "tag:Name", "Values": [f"{where.name_prefix}kestra-host"]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    with where.account.explained("look for Kestra's host"):
        answer = where.account.client("ec2").describe_instances(Filters=asked)
    found = [each for group in answer["Reservations"] for each in group["Instances"]]
    return next((Host(each["InstanceId"], each["State"]["Name"], each["InstanceType"]) for each in found), None)


def running(where: Site, title: str) -> Host:
    """The deployment's, up and reached by Systems Manager. Raises NotRunning with what is the matter, ServiceFailed."""
    host = find(where)
    if host is None:
        raise NotRunning(f"There is no host for Kestra in {title}.", HOW_TO_MAKE)
    if host.state != "running":
        raise NotRunning(
            f"Kestra's host {host.instance_id} is {host.state}.",
            f"`aws ec2 start-instances --instance-ids {host.instance_id}` starts it.",
        )
    if (ping := ping_status(where, host)) != REACHABLE:
        raise NotRunning(
            f"Systems Manager does not reach Kestra's host {host.instance_id} ({ping}).",
            "One that has just been made or started takes a few minutes.",
        )
    return host


def ping_status(where: Site, host: Host) -> str:
    """What Systems Manager says of its connection: Online, ConnectionLost, …; `unknown` before it has ever had one."""
    with where.account.explained("ask Systems Manager for Kestra's host"):
        answer = where.account.client("ssm").describe_instance_information(
            Filters=[{"Key": "InstanceIds", "Values": [host.instance_id]}]
        )
    return next((str(each["PingStatus"]) for each in answer["InstanceInformationList"]), "unknown")


def said(where: Site) -> dict[str, Any]:
    """What a host said last; empty before: `instance_id`, `bundle`, `state` (`runs`, `failed`), `at`, `said`: lines."""
    s3 = where.account.client("s3")
    with where.account.explained(f"read `s3://{where.input_bucket}/{SAYS}`"):
        try:
            document: dict[str, Any] = json.loads(s3.get_object(Bucket=where.input_bucket, Key=SAYS)["Body"].read())
        except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
            return {}
    return document


def await_bundle(where: Site, host: Host, bundle: str, tell: Callable[[str], None]) -> None:
    """Until the host says that it runs the bundle of that name. Raises RunFailed when it does not in time."""
    deadline = time.monotonic() + TAKE_UP_SECONDS
    while not is_of(told := said(where), host, bundle) or told["state"] != RUNS:
        is_failing = is_of(told, host, bundle)
        tell("it has failed and tries again" if is_failing else "it has not said that it runs yet")
        if time.monotonic() > deadline:
            last = "\n".join(f"    {line}" for line in told.get("said", ())) if is_failing else ""
            raise RunFailed(
                f"Kestra's host {host.instance_id} does not run what was deployed after "
                f"{TAKE_UP_SECONDS / 60:.0f} minutes, and tries on by itself."
                + (f" It said last:\n{last}\n" if last else " ")
                + f"{how_to_look(host)} The same command waits again."
            )
        time.sleep(POLL_SECONDS)


def is_of(told: dict[str, Any], host: Host, bundle: str | None) -> bool:
    """Whether that host says it of that bundle; one that was there before may have run the same."""
    return (told.get("instance_id"), told.get("bundle")) == (host.instance_id, bundle)


def how_to_look(host: Host) -> str:
    """A sentence for whoever wants to see for himself."""
    return (
        f"`aws ssm start-session --target {host.instance_id}` opens a shell on it, where "
        "`journalctl --unit drydock-kestra` tells more."
    )


def stop(where: Site, host: Host) -> None:
    """Stop it and wait, so that none of its schedules and drivers makes another cluster. Raises ServiceFailed."""
    ec2 = where.account.client("ec2")
    with where.account.explained("stop Kestra's host"):
        if host.state == "pending":  # EC2 stops none that is only being started
            ec2.get_waiter("instance_running").wait(InstanceIds=[host.instance_id])
        ec2.stop_instances(InstanceIds=[host.instance_id])
        ec2.get_waiter("instance_stopped").wait(InstanceIds=[host.instance_id])


def password_parameter(where: Site) -> str:
    """The name of the parameter with Kestra's password."""
    return f"/drydock/{where.name_prefix}kestra-password"  # as in terraform/main.tf


def how_to_log_in(where: Site) -> str:
    """The command that shows Kestra's password."""
    return (
        f"aws ssm get-parameter --name {password_parameter(where)} --with-decryption "
        "--query Parameter.Value --output text"
    )


def ensure_password(where: Site) -> bool:
    """Make Kestra's password, unless there is one; whether it was made. Raises ServiceFailed."""
    ssm = where.account.client("ssm")
    with where.account.explained("make Kestra's password"):
        try:
            ssm.put_parameter(
                Name=password_parameter(where),
                Description="Opens Kestra on its host.",
                Value=secrets.new_kestra_password().strip(),
                Type="SecureString",
                Tags=[{"Key": "platform", "Value": where.platform}],
            )
        except ssm.exceptions.ParameterAlreadyExists:
            return False
    return True


def has_password(where: Site) -> bool:
    """Whether Kestra's password is there. Raises ServiceFailed."""
    ssm = where.account.client("ssm")
    with where.account.explained("look for Kestra's password"):
        try:
            ssm.get_parameter(Name=password_parameter(where))
        except ssm.exceptions.ParameterNotFound:
            return False
    return True


def remove_password(where: Site) -> None:
    """Of a host that is gone. Raises ServiceFailed."""
    ssm = where.account.client("ssm")
    with where.account.explained("remove Kestra's password"), suppress(ssm.exceptions.ParameterNotFound):
        ssm.delete_parameter(Name=password_parameter(where))
