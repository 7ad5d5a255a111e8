"""Which account it is: found, shown, refused when it is the local platform's, and confirmed."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from drydock import aws, settings
from drydock.errors import DrydockError, UsageError
from drydock.on_aws import account
from drydock.terraform import CONFIGURATION, profile_arguments

AWS_VARIABLES = [name for name in os.environ if name.startswith("AWS_")]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a caller who has chosen a region, and nothing else."""
    for name in [*AWS_VARIABLES, account.PREFIX_VARIABLE, account.FILES_VARIABLE]:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


@pytest.fixture
def caller(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What STS answers; tests may change it."""
    answer = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/alice"}
    sts = SimpleNamespace(get_caller_identity=lambda: answer)
    monkeypatch.setattr(aws.CallersAccount, "client", lambda *_: sts)
    return answer


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(tmp_path)


def test_account_region_and_names_are_shown_first(
    caller: dict[str, str], paths: settings.Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    found = account.opened(paths)
    said = capsys.readouterr().out
    assert said.startswith("Profile aws: account 123456789012, eu-central-1, as arn:aws:iam::123456789012:user/alice\n")
    assert "`drydock-123456789012-eu-central-1-`" in said
    assert found.site.input_bucket == "drydock-123456789012-eu-central-1-spark-job-data-input"
    assert len(found.site.name_prefix + "spark-job-data-source-1") <= 63


def test_the_beginning_of_names_can_be_chosen(
    caller: dict[str, str], paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(account.PREFIX_VARIABLE, "acme-")
    assert account.opened(paths).site.state_bucket == "acme-spark-kestra-platform"


@pytest.mark.parametrize("prefix", ["acme", "sg-", "Acme-", "-", f"{'a' * 40}-"])
def test_names_that_terraform_or_aws_would_refuse_are_refused_before_anything_is_made(
    caller: dict[str, str], paths: settings.Paths, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv(account.PREFIX_VARIABLE, prefix)
    with pytest.raises(UsageError, match=r"at most 40 .* end with a hyphen and do not begin with `sg-`"):
        account.opened(paths)


def test_the_rule_for_names_is_that_of_terraform() -> None:
    variables = (CONFIGURATION / "variables.tf").read_text()
    [pattern] = re.findall(r'regex\("(\S+)", var\.name_prefix\)', variables)
    assert pattern == f"^{account.PREFIX.pattern}$"


def test_variables_may_lie_over_those_of_the_profile(
    caller: dict[str, str],
    paths: settings.Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [paths.home / "team.tfvars", paths.home / "mine.tfvars"]
    monkeypatch.setenv(account.FILES_VARIABLE, ":".join(map(str, files)))
    with pytest.raises(UsageError, match=r"names \S+team\.tfvars, \S+mine\.tfvars, which is no file"):
        account.opened(paths)
    for file in files:
        file.touch()
    where = account.opened(paths).site
    assert profile_arguments(where) == ("-var-file=profiles/aws.tfvars", *(f"-var-file={file}" for file in files))
    assert f"those of {files[0]}, {files[1]}" in capsys.readouterr().out


def test_a_region_that_nobody_knows_is_said(
    caller: dict[str, str],
    paths: settings.Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    account.opened(paths)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("AWS_REGION", "us-esat-1")
    account.opened(paths)
    assert "The region `us-esat-1` is none that" in capsys.readouterr().err


def test_an_endpoint_of_the_profile_counts_and_is_handed_on(
    caller: dict[str, str],
    paths: settings.Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = paths.home / "config"
    config.write_text("[default]\nendpoint_url = http://127.0.0.1:9998\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    found = account.opened(paths).site.account
    assert "leads every request to http://127.0.0.1:9998" in capsys.readouterr().err
    with found.environment(paths.home) as variables:
        assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9998"


def test_an_endpoint_that_leads_elsewhere_is_told(
    caller: dict[str, str],
    paths: settings.Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9999")
    account.opened(paths)
    assert "leads every request to http://127.0.0.1:9999" in capsys.readouterr().err


def test_the_local_platform_is_refused(caller: dict[str, str], paths: settings.Paths) -> None:
    caller["Account"] = settings.ACCOUNT_ID
    with pytest.raises(UsageError, match="leads to a local platform"):
        account.opened(paths)


def test_no_region_no_credentials_and_no_such_profile_are_sentences(
    paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"no AWS credentials.*aws sso login"):
        account.opened(paths)
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(UsageError, match=r"No AWS region is chosen.*no AWS credentials.*aws sso login"):
        account.opened(paths)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(UsageError, match=r"No AWS region is chosen\. [^.]* chooses one\.$"):
        account.opened(paths)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for region in ("", "eu-central-1"):
        monkeypatch.setenv("AWS_REGION", region)
        with pytest.raises(UsageError, match=r"nobody.*list-profiles"):
            account.opened(paths)


def test_the_region_of_aws_region_counts_before_that_of_aws_default_region(
    caller: dict[str, str], paths: settings.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert account.opened(paths).site.account.region == "eu-central-1"


@pytest.mark.parametrize(
    ("given", "typed", "message"),
    [
        ("123456789012", None, None),
        ("210987654321", None, "CONFIRM is `210987654321`, and the account is 123456789012"),
        ("", None, "`CONFIRM=123456789012` says yes"),
        ("", "123456789012", None),
        ("", "yes", "That is not its id. Nothing was changed."),
    ],
)
def test_nothing_goes_on_without_the_accounts_id(
    given: str,
    typed: str | None,
    message: str | None,
    caller: dict[str, str],
    paths: settings.Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = account.opened(paths)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: typed is not None))
    monkeypatch.setattr(account.typer, "prompt", lambda *_, **__: typed)
    if message is None:
        account.confirm(found, given, "This changes it.")
    else:
        with pytest.raises(DrydockError, match=message):
            account.confirm(found, given, "This changes it.")


def test_whoever_says_no_is_told_what_was_made_already(caller: dict[str, str], paths: settings.Paths) -> None:
    with pytest.raises(DrydockError, match=r"says yes\. Only a bucket was made\.$"):
        account.confirm(account.opened(paths), "", "This changes it.", "Only a bucket was made.")


def test_one_verb_at_a_time(caller: dict[str, str], paths: settings.Paths) -> None:
    found = account.opened(paths)
    with (
        account.held(found, "deploy-aws"),
        pytest.raises(DrydockError, match=rf"`make deploy-aws` \(pid {os.getpid()}\) is at work on this deployment"),
        account.held(found, "aws-run"),
    ):
        pytest.fail("both have it")
