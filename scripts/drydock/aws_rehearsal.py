"""`make aws-rehearsal DATE= ROWS=`: deploy to an account that is empty, run a day, destroy it all, and look.

The account is a second gateway's, with an id of its own, behind which EMR runs on three nodes as it does for the local
platform. The verbs are those for AWS, each a process of its own; they are told an endpoint and keys, and nothing else.
What is there before and afterwards is asked of the APIs, not of Terraform's state.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from drydock import aws, interrupts, lock, output, secrets, services, settings, startup, teardown
from drydock.day import DateOption, RowsOption, parse_date, parse_rows
from drydock.errors import RunFailed
from drydock.on_aws import inventory
from drydock.on_aws.inventory import Inventory
from drydock.second_home import borrow_toolchain, free_ports
from drydock.services import Service

ACCOUNT_ID = "210987654321"
LEFT_OUT = ("kestra", "history-server")
"""Of the local platform's services: AWS has neither."""
ITS_OWN_LOGS = ("builditall-logs",)
"""The bucket to which the local platform copies its logs by a schedule."""
NOT_REHEARSED = (
    "the time AWS takes: minutes until a cluster is ready, IAM that is seen late, capacity that is not there",
    "IAM as AWS decides it: the gateway keeps policies and does not enforce them",
    "a network between real machines: security groups, routes, the endpoint for S3",
    "YARN, Amazon's builds of Spark and Delta, logs every five minutes",
    "what is off unless a variable asks for it: Kestra's host, the budget alarm, SSH",
)
NOTHING_TO_DO = "Terraform: everything is as it should be"


def aws_rehearsal(date: DateOption = "", rows: RowsOption = "") -> None:
    """Rehearse the deployment to AWS on this machine, from an empty account to an empty account."""
    day, row_count = parse_date(date), parse_rows(rows)
    paths = settings.Paths()
    begun_at = time.monotonic()
    with interrupts.interruptible(), second_account(paths) as second, second.environment(paths.run) as variables:
        environment = _environment(paths, variables)
        first = _first_account(paths)
        first_before = inventory.of(first, ITS_OWN_LOGS) if first else {}
        _require_empty(inventory.of(second, parameters=True), "before anything was done")
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
    output.say("Only a real account could prove:")
    for each in NOT_REHEARSED:
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


def _as_aws_has_it(service: Service) -> Service:
    """With Parameter Store, for which the local platform has no use."""
    if service.name != "gateway":
        return service
    served = f"{service.environment['SERVICES']},ssm"
    return replace(service, environment={**service.environment, "SERVICES": served})


def _environment(paths: settings.Paths, variables: Mapping[str, str]) -> dict[str, str]:
    """What the verbs see: the caller's environment, without its own AWS settings already, and another account's."""
    return {**os.environ, **variables, "DRYDOCK_HOME": str(paths.home)}


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
