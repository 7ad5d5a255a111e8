"""`make aws-rehearsal DATE= ROWS=`: deploy to an account that is empty, run a day, destroy it all, and look.

The account is a second gateway's, with an id of its own, behind which EMR runs on three nodes as it does for the local
platform. The verbs are those for AWS, each a process of its own; they are told an endpoint, the keys of a role's
session, and to do without what a gateway has not.
What is there before and afterwards is asked of the APIs, not of Terraform's state.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from drydock import aws, interrupts, lock, output, secrets, services, settings, startup, teardown
from drydock.day import DateOption, RowsOption, parse_date, parse_rows
from drydock.errors import RunFailed, ServiceFailed
from drydock.on_aws import account, inventory
from drydock.on_aws.inventory import Inventory
from drydock.second_home import borrow_toolchain, free_ports
from drydock.services import Service

ACCOUNT_ID = "210987654321"
LEFT_OUT = ("kestra", "history-server")
"""Of the local platform's services: AWS has neither."""
ITS_OWN_LOGS = ("builditall-logs",)
"""The bucket to which the local platform copies its logs by a schedule."""
WITHOUT = ("kestra_host", "budget")
"""Variables that ask for what a gateway has not: machines that start, AWS Budgets."""
DEPLOYER = "rehearsal-deployer"
SESSION_SECONDS = 43_200  # the longest that a role may have
UNPROVEN = re.compile(r"^## What only a real account could prove\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
PROFILE = settings.REPOSITORY / "terraform" / "profiles" / "aws.tfvars"
DOCUMENTATION = settings.REPOSITORY / "docs" / "aws.md"
NOTHING_TO_DO = "Terraform: everything is as it should be"


def aws_rehearsal(date: DateOption = "", rows: RowsOption = "") -> None:
    """Rehearse the deployment to AWS on this machine, from an empty account to an empty account."""
    day, row_count = parse_date(date), parse_rows(rows)
    paths = settings.Paths()
    begun_at = time.monotonic()
    with interrupts.interruptible(), second_account(paths) as second:
        first = _first_account(paths)
        first_before = inventory.of(first, ITS_OWN_LOGS) if first else {}
        _require_empty(inventory.of(second, parameters=True), "before anything was done")
        with deployer(second, paths) as environment:
            _call(environment, "deploy-aws", f"--confirm={ACCOUNT_ID}")
            _call(environment, "aws-run", f"--date={day}", f"--rows={row_count}")
            said = _call(environment, "deploy-aws", f"--confirm={ACCOUNT_ID}")
            if NOTHING_TO_DO not in said:
                raise RunFailed("A second deployment, after clusters have run, has something to change: see above.")
            _call(environment, "aws-parity", f"--date={day}")
            _call(environment, "aws-status")
            _call(environment, "destroy-aws", f"--confirm={ACCOUNT_ID}", "--data=delete")
        _require_empty(inventory.of(second, parameters=True), "after it was destroyed")
        output.done(f"Account {ACCOUNT_ID} is empty again, by its APIs.")
        _compare_first(first, first_before)
    output.say("Only a real account could prove (docs/aws.md says how):")
    for each in unproven():
        output.say(f"  - {each}")
    output.done(
        f"Rehearsed: deployed, {day} run, deployed again, destroyed, after {time.monotonic() - begun_at:.0f} s."
    )


@contextmanager
def second_account(paths: settings.Paths) -> Iterator[aws.LocalAccount]:
    """A gateway of another account, with EMR and its nodes behind it, for as long as the context lasts.

    What it leaves when something goes wrong lies in `DRYDOCK_HOME/rehearsal` until the next time.
    """
    second = settings.Paths(paths.home / "rehearsal")
    with lock.alone(paths.run / "rehearsal.lock", "aws-rehearsal", "a rehearsal"):
        if second.home.exists():
            teardown.end_all(second)
            shutil.rmtree(second.home)
        second.home.mkdir(mode=0o700)
        borrow_toolchain(second.home)
        ports = free_ports()
        for folder in (second.data, second.logs, second.event_logs, second.home / "nodes"):
            folder.mkdir(mode=0o700, parents=True)
        secrets.ensure(second, ACCOUNT_ID)
        output.say(f"A second gateway plays AWS: account {ACCOUNT_ID}, at {ports.gateway_url}.")
        try:
            declared = [each for each in services.declare(second, ports) if each.name not in LEFT_OUT]
            startup.bring_up(second, [_as_aws_has_it(each) for each in declared])
            yield aws.LocalAccount(second, ports)
        except BaseException:
            output.warn(f"What the second gateway, its EMR and its nodes said is in `{second.logs}`.")
            raise
        finally:
            with output.stage("Ending the second gateway and its nodes"), interrupts.uninterrupted():
                teardown.end_all(second)
        shutil.rmtree(second.home)


@contextmanager
def deployer(second: aws.LocalAccount, paths: settings.Paths) -> Iterator[dict[str, str]]:
    """What the verbs see of that account: the caller's environment, an endpoint, and a session of a role that may do
    everything, since AWS lets an account's root user assume none. The role is gone afterwards.
    """
    iam = second.client("iam")
    with second.explained("make a role for whoever deploys"):
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT_ID}}
        role = iam.create_role(
            RoleName=DEPLOYER,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            MaxSessionDuration=SESSION_SECONDS,
        )["Role"]
        iam.attach_role_policy(RoleName=DEPLOYER, PolicyArn=ADMINISTRATOR)
        session = second.client("sts").assume_role(
            RoleArn=role["Arn"], RoleSessionName="rehearsal", DurationSeconds=SESSION_SECONDS
        )["Credentials"]
    key = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    try:
        with (
            aws.endpoint_environment(second.endpoint_url, key, paths.run) as variables,
            TemporaryDirectory(prefix="rehearsal-", dir=paths.run) as folder,
        ):
            yield {
                **os.environ,
                **variables,
                account.FILES_VARIABLE: _variable_files(Path(folder)),
                "DRYDOCK_HOME": str(paths.home),
            }
    finally:
        with suppress(ServiceFailed), second.explained("remove that role"):
            iam.detach_role_policy(RoleName=DEPLOYER, PolicyArn=ADMINISTRATOR)
            iam.delete_role(RoleName=DEPLOYER)


def _variable_files(folder: Path) -> str:
    """Those of the caller, and over them one by which the deployment does without what a gateway has not."""
    profile = PROFILE.read_text()
    asked = [name for name in WITHOUT if re.search(rf"^{name}\b", profile, re.MULTILINE)]
    if asked:
        output.warn(f"{PROFILE.name} asks for {', '.join(asked)}: the rehearsal does without.")
    file = folder / "rehearsal.tfvars.json"
    file.write_text(json.dumps(dict.fromkeys(WITHOUT)))
    return os.pathsep.join(each for each in (os.environ.get(account.FILES_VARIABLE), str(file)) if each)


def unproven() -> list[str]:
    """What the documentation says that only a real account could prove."""
    section = UNPROVEN.search(DOCUMENTATION.read_text())
    rows = re.findall(r"^\| (.+?) \| .+ \|$", section[1] if section else "", re.MULTILINE)
    return [row for row in rows if row != "what"]


def _as_aws_has_it(service: Service) -> Service:
    """With Parameter Store, for which the local platform has no use."""
    if service.name != "gateway":
        return service
    served = f"{service.environment['SERVICES']},ssm"
    return replace(service, environment={**service.environment, "SERVICES": served})


def _first_account(paths: settings.Paths) -> aws.LocalAccount | None:
    """The local platform's account, where it runs."""
    if not settings.running_platform():
        output.warn("The local platform does not run: whether it stays untouched is not looked at.")
        return None
    return aws.LocalAccount(paths, settings.Ports())


def _call(environment: Mapping[str, str], verb: str, *options: str) -> str:
    """Run a verb to its end, showing what it says; that, too. Raises RunFailed when it fails."""
    output.say(f"\n$ make {' '.join([verb, *(_as_variable(option) for option in options)])}")
    program = settings.Paths().environment("workspace") / "bin" / "drydock"
    said = []
    with subprocess.Popen(
        [program, verb, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches it from here alone, once
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line)
                output.pass_on(line.rstrip("\n"))
        except BaseException:
            process.terminate()  # it ends its clusters before it ends itself
            for line in process.stdout:
                output.pass_on(line.rstrip("\n"))
            raise
    if process.returncode != 0:
        raise RunFailed(f"`make {verb}` ended with {process.returncode}; see above.")
    return "".join(said)


def _as_variable(option: str) -> str:
    name, _, value = option.removeprefix("--").partition("=")
    return f"{name.upper()}={value}"


def _require_empty(found: Inventory, when: str) -> None:
    if found:
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in found.items())
        raise RunFailed(f"Account {ACCOUNT_ID} is not empty {when}: {told}.")


def _compare_first(first: aws.LocalAccount | None, before: Inventory) -> None:
    if first is None:
        return
    after = inventory.of(first, ITS_OWN_LOGS)
    if after != before:
        was = {f"{kind} {name}" for kind, names in before.items() for name in names}
        is_now = {f"{kind} {name}" for kind, names in after.items() for name in names}
        told = "; ".join([*(f"before, {each}" for each in was - is_now), *(f"now, {each}" for each in is_now - was)])
        raise RunFailed(
            f"The local platform's account has changed meanwhile ({told}). If it ran a day of its own, rehearse again."
        )
    counted = ", ".join(f"{len(names)} {kind}" for kind, names in after.items())
    output.done(f"The local platform's account, {settings.ACCOUNT_ID}, is as it was: {counted}.")
