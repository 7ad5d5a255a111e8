"""Kestra's host on a gateway that plays AWS: what Terraform makes of it, what it would run, and that nothing of it is
left.

The instance is one by name alone, so its part is played here: by the very files of its user data, with the AWS CLI
that asks the gateway, and a `docker` that only writes down what it is asked.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drydock import jobs, site, terraform
from drydock.on_aws import bundles, inventory, kestra_host
from drydock.site import Site
from tests import running

ASKED_FOR = "-var=kestra_host={monitoring=false}"  # which LocalStack does not know
REVISION = jobs.Named("0a1b2c3d4e5f", "wheels/0a1b2c3d4e5f")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An account with Parameter Store, to which the platform was applied with a host."""
    with running.gateway(tmp_path_factory.mktemp("home"), "ssm") as (paths, ports):
        where = site.local(paths, ports)
        kestra_host.ensure_password(where)
        with terraform.opened(where, REVISION) as process:
            process.run("apply", "-auto-approve", ASKED_FOR, *terraform.profile_arguments(where))
        yield where


@pytest.fixture(scope="module")
def instance(where: Site) -> dict[str, Any]:
    host = kestra_host.find(where)
    assert host is not None
    answer = where.account.client("ec2").describe_instances(InstanceIds=[host.instance_id])
    [instance] = [each for group in answer["Reservations"] for each in group["Instances"]]
    return dict(instance)


def test_nobody_reaches_it(where: Site, instance: dict[str, Any]) -> None:
    ec2 = where.account.client("ec2")
    [group] = [each["GroupId"] for each in instance["SecurityGroups"]]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert [(each["IsEgress"], each["IpProtocol"], each["FromPort"], each["ToPort"]) for each in rules] == [
        (True, "tcp", 443, 443)
    ]
    assert "KeyName" not in instance


def test_its_role_is_its_own_and_kestra_role_trusts_it(where: Site, instance: dict[str, Any]) -> None:
    iam = where.account.client("iam")
    assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/kestra-host-role")
    profile = iam.get_instance_profile(InstanceProfileName="kestra-host-role")["InstanceProfile"]
    [role] = profile["Roles"]
    trust = iam.get_role(RoleName="kestra-role")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Principal"] for each in trust][-1] == {"AWS": role["Arn"]}
    attached = iam.list_attached_role_policies(RoleName="kestra-host-role")["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["AmazonSSMManagedInstanceCore"]


def test_a_second_apply_changes_nothing(where: Site) -> None:
    with terraform.opened(where, REVISION) as process:
        done = process.run("apply", "-auto-approve", ASKED_FOR, *terraform.profile_arguments(where))
    assert done.changes.total == 0
    assert done.outputs["kestra_host_size"] == {"instance_type": "t3.large", "volume_gb": 30, "monitoring": False}


def test_what_is_deployed_is_taken_up_by_the_files_of_its_user_data(
    where: Site, instance: dict[str, Any], tmp_path: Path
) -> None:
    told = where.account.client("ec2").describe_instance_attribute(
        InstanceId=instance["InstanceId"], Attribute="userData"
    )["UserData"]["Value"]
    first_start = json.loads(base64.b64decode(told).decode().removeprefix("#cloud-config\n"))
    files = {file["path"]: file["content"] for file in first_start["write_files"]}
    environment = dict(line.split("=", 1) for line in files["/etc/drydock/host.env"].splitlines())
    take_up = tmp_path / "take-up"
    take_up.write_text(files["/usr/local/sbin/drydock-take-up"])
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$*" >> "$CALLS"\n')
    installed = tmp_path / "drydock-install-docker"
    installed.write_text("#!/bin/sh\n")
    cloud_init = tmp_path / "cloud-init"
    cloud_init.write_text(f"#!/bin/sh\necho {instance['InstanceId']}\n")
    for program in (take_up, docker, installed, cloud_init):
        program.chmod(0o755)

    bundle = bundles.of_checkout()
    bundles.upload(where, REVISION.name, bundle)
    name = bundles.point(where, REVISION.name, bundle)
    calls = tmp_path / "calls"
    with where.account.environment(tmp_path) as aws_environment:
        path = [str(tmp_path), str(running.INSTALLED.environment("workspace") / "bin"), os.defpath]
        ended = subprocess.run(
            [take_up],
            env={
                **aws_environment,
                **environment,
                "PATH": os.pathsep.join(path),
                "CALLS": str(calls),
                "DRYDOCK_HOST_HOME": str(tmp_path / "host"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    assert [line.split("kestra-host.yaml ")[-1] for line in calls.read_text().splitlines()] == [
        "build kestra",
        "up --detach --wait --wait-timeout 600 --remove-orphans postgres kestra",
        "run --rm flows",
        "image prune --force --filter label=com.docker.compose.project=drydock",
    ]
    news: list[str] = []
    kestra_host.await_bundle(where, kestra_host.Host(instance["InstanceId"], "running", "t3.large"), name, news.append)
    assert news == []
    assert bundles.deployed(where) == bundle


def test_nothing_of_it_is_left(where: Site) -> None:
    """Last: it ends what the others look at."""
    kestra_host.remove_password(where)
    with terraform.opened(where, REVISION) as process:
        process.run("destroy", "-auto-approve", ASKED_FOR, *terraform.profile_arguments(where))
    assert kestra_host.find(where) is None
    account = where.account
    kinds = dict(inventory._identities(account.client("iam"))) | dict(inventory._network(account.client("ec2")))
    kinds |= dict(inventory._parameters(account.client("ssm")))
    assert {kind: names for kind, names in kinds.items() if names} == {}
