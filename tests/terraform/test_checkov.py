"""What checkov finds in the configuration of AWS, with all that can be asked for, is mended or left with a reason."""

import json
import os
import re
import subprocess

import pytest

from drydock import settings, terraform
from drydock.toolchain import environments

ASKED_FOR = """
kestra_host = { instance_type = "t3.large", volume_gb = 30, monitoring = true }
budget      = { usd_a_month = 25, email = "ops@example.com" }
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """What checkov says of each check: `failed_checks`, `skipped_checks`, `passed_checks`."""
    variables = tmp_path_factory.mktemp("variables") / "aws.tfvars"
    variables.write_text((terraform.CONFIGURATION / "profiles" / "aws.tfvars").read_text() + ASKED_FOR)
    paths = settings.Paths()
    if not environments.stamp(paths, "checkov").matches:
        environments.create(paths, "checkov", lambda _: None)
    ended = subprocess.run(
        [
            paths.environment("checkov") / "bin" / "checkov",
            *("--directory", str(terraform.CONFIGURATION), "--framework", "terraform"),
            *("--var-file", str(variables)),
            *("--output", "json", "--skip-download"),
        ],
        env={"PATH": os.defpath, "HOME": str(paths.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    results: dict[str, list[dict[str, str]]] = json.loads(ended.stdout)["results"]
    return results


@pytest.mark.full
def test_nothing_is_found_that_is_not_said_to_be_left_alone(found: dict[str, list[dict[str, str]]]) -> None:
    told = {f"{each['check_id']} {each['check_name']}: {each['resource']}" for each in found["failed_checks"]}
    assert told == set()
    assert found["parsing_errors"] == []
    assert len(found["passed_checks"]) > 80
    assert "module.kestra_host.aws_instance.this" in {each["resource"] for each in found["passed_checks"]}


def test_each_exception_has_a_reason() -> None:
    comments = [
        line.strip()
        for file in terraform.CONFIGURATION.rglob("*.tf")
        for line in file.read_text().splitlines()
        if "checkov:skip" in line
    ]
    assert comments
    for comment in comments:
        assert re.fullmatch(r"# checkov:skip=CKV2?_AWS_\d+: \S.{15,}", comment), comment
