"""`terraform test`: modules and variables under a mocked provider; and what Terraform itself checks in the sources."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from drydock import settings, terraform, terraform_mirror, terraform_process

TESTS = sorted(file.name for file in (terraform.CONFIGURATION / "tests").glob("*.tftest.hcl"))


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the tests' own in which Terraform is initialised, without its backend."""
    directory = terraform.working_directory(tmp_path_factory.mktemp("configuration"))
    mirror = terraform_mirror.find(settings.versions()["terraform"]["aws_provider"])
    plugins = [f"-plugin-dir={mirror}"] if mirror else []
    result = run(directory, "init", "-backend=false", "-input=false", *plugins)
    assert result.returncode == 0, result.stdout
    return directory


@pytest.mark.parametrize("name", TESTS)
def test_terraform_test(name: str, initialised: Path) -> None:
    result = run(initialised, "test", f"-filter=tests/{name}")
    assert result.returncode == 0, result.stdout
    assert "0 failed" in result.stdout
    assert "Success! 0 passed" not in result.stdout


def test_every_module_has_its_tests() -> None:
    modules = {folder.name for folder in (terraform.CONFIGURATION / "modules").iterdir()}
    assert {name.removesuffix(".tftest.hcl") for name in TESTS} == modules | {"platform"}


def test_the_configuration_is_valid(initialised: Path) -> None:
    result = run(initialised, "validate")
    assert result.returncode == 0, result.stdout
    assert "Warning" not in result.stdout


def test_the_sources_are_formatted() -> None:
    result = run(terraform.CONFIGURATION, "fmt", "-check", "-recursive", "-diff")
    assert result.returncode == 0, result.stdout


def test_a_prefix_has_no_default_and_stands_in_no_profile() -> None:
    """A default would have AWS take the seed's names, which are everybody's."""
    block = next(text for text in "\n".join(sources("variables.tf")).split("\nvariable ") if "name_prefix" in text[:20])
    assert "default" not in block.split("validation")[0]
    for profile in (terraform.CONFIGURATION / "profiles").iterdir():
        assert not re.search(r"^name_prefix", profile.read_text(), re.MULTILINE)


def test_both_profiles_set_only_what_there_is() -> None:
    """A misspelt variable in a profile would only be a warning."""
    declared = {line.split('"')[1] for line in sources("variables.tf") if line.startswith("variable ")}
    for profile in (terraform.CONFIGURATION / "profiles").glob("*.tfvars"):
        names = {line.split("=")[0].strip() for line in profile.read_text().splitlines() if re.match(r"\w+ *=", line)}
        assert names
        assert names <= declared


def test_no_host_of_a_registry_is_spelt_out() -> None:
    for file in terraform.CONFIGURATION.rglob("*.tf"):
        assert "terraform.io" not in file.read_text()


def test_ec2_takes_every_description_of_a_security_group() -> None:
    """Neither the provider nor a gateway knows which characters those may have: AWS refuses them in mid-apply.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"""
    found = [
        text
        for file in terraform.CONFIGURATION.rglob("*.tf")
        for block in re.findall(r'^resource "aws_(?:vpc_)?security_group\w*" .*?^}', file.read_text(), re.M | re.S)
        for text in re.findall(r'^ *(?:description|name) *= "(.*)"$', re.sub(r"\$\{[^}]*}", "x", block), re.M)
    ]
    assert len(found) > 5
    assert [text for text in found if not re.fullmatch(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", text, re.ASCII)] == []


def sources(name: str) -> list[str]:
    return (terraform.CONFIGURATION / name).read_text().splitlines()


def run(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("terraform", path=os.environ["PATH"])
    assert program is not None
    command = [program, arguments[0], "-no-color", *arguments[1:]]
    return subprocess.run(
        command,
        cwd=directory,
        env=terraform_process.environment(settings.Paths()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
