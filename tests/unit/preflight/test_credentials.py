"""Would a bare `aws` in this shell reach real AWS? Names are told, values never."""

from pathlib import Path

import pytest

from drydock.preflight import credentials
from drydock.preflight.finding import Finding, Status

SECRET = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and the platform's ports where they are by default."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DRYDOCK_PORT_OFFSET", "0")
    return tmp_path


def looked(**variables: str) -> Finding:
    (finding,) = credentials.look(variables)
    return finding


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_nothing_is_ok():
    assert looked(AWS_REGION="eu-central-1", AWS_PAGER="").status is Status.OK


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_a_variable_is_named_and_its_value_is_not(name: str):
    found = looked(**{name: SECRET})
    assert found.status is Status.WARNING
    assert found.found.startswith(f"This shell has {name}. What `make` runs never sees")
    assert 'eval "$(make -s env)"' in found.fix
    assert SECRET not in found.found + found.fix


def test_several_are_listed():
    found = looked(AWS_PROFILE="mine", AWS_ACCESS_KEY_ID=SECRET, AWS_SESSION_TOKEN="token", AWS_REGION="eu-west-1")
    assert found.found.startswith("This shell has AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN and AWS_PROFILE. ")


def test_an_endpoint_elsewhere_is_named():
    found = looked(AWS_ENDPOINT_URL="https://s3.example")
    assert found.found.startswith("This shell has AWS_ENDPOINT_URL. ")


def test_after_make_env_all_of_it_stays_here():
    found = looked(AWS_ENDPOINT_URL="http://127.0.0.1:4566", AWS_ACCESS_KEY_ID=SECRET)
    assert (found.status, found.found) == (
        Status.OK,
        "AWS_ENDPOINT_URL leads to this platform: a bare `aws` or `terraform` stays here",
    )


@pytest.mark.parametrize(
    "also", [{"AWS_ENDPOINT_URL_S3": "https://s3.example"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}]
)
def test_unless_something_leads_a_service_away_again(also: dict[str, str]):
    found = looked(AWS_ENDPOINT_URL="http://127.0.0.1:4566", AWS_ACCESS_KEY_ID=SECRET, **also)
    assert found.status is Status.WARNING
    assert next(iter(also)) in found.found


def test_a_default_profile_is_named_by_its_file(home: Path):
    file = write(
        home / ".aws" / "credentials", f"[default]\naws_access_key_id = {SECRET}\naws_secret_access_key = x%y\n"
    )
    found = looked()
    assert found.status is Status.WARNING
    assert f"the default profile in `{file}`" in found.found
    assert SECRET not in found.found


def test_so_is_one_by_single_sign_on(home: Path):
    write(home / ".aws" / "config", "[default]\nsso_session = mine\nregion = eu-west-1\n")
    assert looked().status is Status.WARNING


def test_a_default_profile_without_credentials_is_ok_and_so_are_others(home: Path):
    write(home / ".aws" / "config", "[default]\nregion = eu-west-1\n[profile other]\nrole_arn = arn\n")
    write(home / ".aws" / "credentials", f"[other]\naws_access_key_id = {SECRET}\n")
    assert looked().status is Status.OK


def test_files_are_looked_for_where_variables_name_them(home: Path):
    file = write(home / "elsewhere", f"[default]\naws_access_key_id = {SECRET}\n")
    assert str(file) in looked(AWS_SHARED_CREDENTIALS_FILE=str(file)).found


def test_a_file_that_cannot_be_read_counts(home: Path):
    write(home / ".aws" / "credentials", "no section\n")
    assert looked().status is Status.WARNING
