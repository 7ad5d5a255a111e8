"""Whether the platform's description is there: not there, and not to be had, are two things."""

import io
from dataclasses import replace
from typing import Any

import pytest
from botocore.session import Session
from botocore.stub import Stubber

from drydock import aws, settings, site
from drydock.errors import ServiceFailed, SetupError
from drydock.site import Site

ASKED = {"Bucket": "acme-spark-job-data-input", "Key": "config/platform.json"}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client whose answers are told."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    client = Session().create_client("s3", region_name="us-east-1")
    monkeypatch.setattr(aws.CallersAccount, "client", lambda *_: client)
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def where() -> Site:
    account = aws.CallersAccount(Session(), "us-east-1")
    return replace(site.local(settings.Paths(), settings.Ports(0)), account=account, name_prefix="acme-")


def test_it_is_read(s3: Stubber, where: Site) -> None:
    s3.add_response("get_object", {"Body": io.BytesIO(b'{"format": 1}')}, ASKED)
    assert where.platform_config() == {"format": 1}


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket"])
def test_what_is_not_there_is_to_be_made(s3: Stubber, where: Site, code: str) -> None:
    s3.add_client_error("get_object", code, http_status_code=404)
    with pytest.raises(SetupError, match=r"config/platform\.json` is not there\. `make local-up` makes it"):
        where.platform_config()


@pytest.mark.parametrize(
    ("code", "status"), [("AccessDenied", 403), ("ExpiredToken", 400), ("SlowDown", 503), ("PermanentRedirect", 301)]
)
def test_what_is_refused_is_not_taken_for_missing(s3: Stubber, where: Site, code: str, status: int) -> None:
    s3.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(ServiceFailed, match=rf"AWS refuses to read .*{code}"):
        where.platform_config()


def test_a_platform_has_its_prefix_for_a_name(where: Site) -> None:
    assert where.platform == "acme"
    assert replace(where, name_prefix="acme--").platform == "acme-"
    assert replace(where, name_prefix="").platform == "drydock"
    terraform = (settings.REPOSITORY / "terraform" / "main.tf").read_text()
    assert 'platform = var.name_prefix == "" ? "drydock" : trimsuffix(var.name_prefix, "-")' in terraform
