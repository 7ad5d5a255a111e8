"""The platform in Docker Compose: a day through the flows, and nothing lost whatever is restarted or killed."""

import json
from datetime import date
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

from drydock import content_hash, read_back
from tests.e2e.conftest import ROWS
from tests.e2e.containers import SERVICES, docker, kill_everything_in, started_at
from tests.platform.platform_rig import Platform, place_of_its_own, until
from tests.spark import oracle


def test_a_day_is_what_duckdb_makes_of_its_raw_files(platform: Platform, day: date, tmp_path: Path) -> None:
    expected = oracle.expected_tables({day: platform.raw_files(day, tmp_path)}, day)
    assert oracle.all_differences(expected, {table: platform.rows(table, day) for table in expected}) == []
    assert platform.clusters() == []


def test_the_tables_are_to_the_last_bit_those_of_the_process_runtime(platform: Platform, day: date) -> None:
    with place_of_its_own() as processes:
        demo = processes.drydock("demo", f"--date={day}", f"--rows={ROWS}")
        assert demo.returncode == 0, demo.stdout
        assert hashes(platform, day) == hashes(processes, day)


def test_everything_is_healthy_and_published_on_loopback_alone(platform: Platform, containers: DockerCompose) -> None:
    status = platform.drydock("local-status")
    assert status.returncode == 0, status.stdout
    found = containers.get_containers()
    assert sorted(each.Service for each in found) == sorted(SERVICES)
    assert {each.Health for each in found} == {"healthy"}
    published = {each.URL for container in found for each in container.Publishers or () if each.PublishedPort}
    assert published == {"127.0.0.1"}


def test_a_second_up_changes_nothing(platform: Platform, containers: DockerCompose) -> None:
    before = {each.Service: (each.ID, started_at(each)) for each in containers.get_containers()}
    up = platform.drydock("local-up")
    assert up.returncode == 0, up.stdout
    assert "The platform was up already, and is healthy: nothing to do." in up.stdout
    assert {each.Service: (each.ID, started_at(each)) for each in containers.get_containers()} == before


def test_containers_run_as_nobody_special_and_tell_no_secret(platform: Platform, containers: DockerCompose) -> None:
    secrets = [
        file.read_text().strip()
        for file in platform.paths.secrets.iterdir()
        if file.suffix in (".secret", ".password", ".token")
    ]
    secrets.append(json.loads((platform.paths.secrets / "operator.json").read_text())["secret_access_key"])
    for each in containers.get_containers():
        inspected = docker("inspect", str(each.ID))
        assert [secret for secret in secrets if secret in inspected] == [], each.Service
        host = json.loads(inspected)[0]["HostConfig"]
        assert "ALL" in host["CapDrop"], each.Service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], each.Service
        assert host["Memory"] > 0, each.Service
        if each.Service != "postgres":  # whose entry point becomes another user
            assert containers.exec_in_container(["id", "-u"], each.Service)[0].strip() == "10001", each.Service


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_killed_and_finds_everything_again(
    platform: Platform, containers: DockerCompose, day: date, service: str
) -> None:
    before = held(platform, day)
    container = containers.get_container(service)
    began = started_at(container)
    kill_everything_in(container)
    until(lambda: started_at(containers.get_container(service)) != began, f"{service} to be started again")
    until(lambda: containers.get_container(service).Health == "healthy", f"{service} to be healthy")
    until(lambda: platform.drydock("local-status").returncode == 0, "all to be healthy")
    assert held(platform, day) == before


def test_down_and_up_lose_nothing(platform: Platform, day: date) -> None:
    before = held(platform, day)
    down = platform.drydock("local-down")
    assert down.returncode == 0, down.stdout
    up = platform.drydock("local-up")
    assert up.returncode == 0, up.stdout
    assert "Terraform:" not in up.stdout
    assert held(platform, day) == before


@pytest.mark.full
def test_with_six_machines_two_clusters_work_at_once(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    assert platform.drydock("local-down").returncode == 0
    with monkeypatch.context() as variables:
        variables.setenv("DRYDOCK_NODES", "6")
        up = platform.drydock("local-up")
        assert up.returncode == 0, up.stdout
        platform.assert_two_clusters_work_at_once()
    assert platform.drydock("local-down").returncode == 0
    up = platform.drydock("local-up")
    assert up.returncode == 0, up.stdout


def hashes(platform: Platform, day: date) -> dict[str, str]:
    """A hash of each table's rows."""
    return {table: content_hash.of(platform.rows(table, day)) for table in (*read_back.TABLES, read_back.QUARANTINE)}


def held(platform: Platform, day: date) -> dict[str, object]:
    """What gateway, control plane and Kestra know."""
    s3, emr = platform.client("s3"), platform.client("emr")
    clusters = [each for page in emr.get_paginator("list_clusters").paginate() for each in page["Clusters"]]
    buckets = [
        bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if not bucket["Name"].startswith("drydock-health")
    ]
    return {
        "objects": {
            (bucket, entry["Key"], entry["ETag"])
            for bucket in buckets
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for entry in page.get("Contents", ())
        },
        "roles": sorted(role["Arn"] for role in platform.client("iam").list_roles()["Roles"]),
        "vpcs": sorted(vpc["VpcId"] for vpc in platform.client("ec2").describe_vpcs()["Vpcs"]),
        "clusters": sorted((each["Id"], each["Status"]["State"]) for each in clusters),
        "tables": {table: len(platform.rows(table, day)) for table in ("daily_trends", "cost_analysis")},
    }
