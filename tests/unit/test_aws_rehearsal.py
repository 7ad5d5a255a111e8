"""What the rehearsal does without, and what it says that it cannot show. (The rehearsal itself: tests/e2e.)"""

import json
import os
from pathlib import Path

import pytest

from drydock import aws_rehearsal, terraform
from drydock.on_aws import account


def test_what_a_gateway_has_not_is_left_out_whatever_the_profile_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(account.FILES_VARIABLE, raising=False)
    file = aws_rehearsal._variable_files(tmp_path)
    assert json.loads(Path(file).read_text()) == {"kestra_host": None, "budget": None}
    assert capsys.readouterr().err == ""
    profile = tmp_path / "aws.tfvars"
    profile.write_text("kestra_host = {}\n# budget = {}\n")
    monkeypatch.setattr(aws_rehearsal, "PROFILE", profile)
    monkeypatch.setenv(account.FILES_VARIABLE, "/mine.tfvars")
    assert aws_rehearsal._variable_files(tmp_path) == os.pathsep.join(["/mine.tfvars", file])
    assert "aws.tfvars asks for kestra_host: the rehearsal does without." in capsys.readouterr().err


def test_what_is_left_out_are_variables_that_there_are() -> None:
    declared = (terraform.CONFIGURATION / "variables.tf").read_text()
    assert all(f'variable "{name}"' in declared for name in aws_rehearsal.WITHOUT)


def test_what_only_an_account_could_prove_is_what_the_documentation_lists() -> None:
    told = aws_rehearsal.unproven()
    assert len(told) > 10
    assert any(each.startswith("that AWS's EMR starts a cluster") for each in told)
    assert not any("---" in each for each in told)
