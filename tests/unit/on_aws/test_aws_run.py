"""`make aws-run`: the flows and the driver that were deployed run, not those that the checkout has meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drydock import aws_run
from drydock.errors import SetupError
from drydock.on_aws import account, bundles, orchestrator
from drydock.on_aws.bundles import Bundle

from .scripted_s3 import S3, site

CONFIG = {"roles": {"kestra_arn": "arn:aws:iam::123456789012:role/acme-kestra-role"}}


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A deployment."""
    where = site(s3=S3())
    where.directory, where.paths = tmp_path, SimpleNamespace(flows=Path("the checkout's flows"))
    where.platform_config = lambda: CONFIG
    monkeypatch.setattr(account, "opened", lambda _: SimpleNamespace(site=where))
    monkeypatch.setattr(account, "held", lambda *_: nullcontext())
    return where


@pytest.fixture
def bundle() -> Bundle:
    return bundles.of_checkout()


def test_a_day_is_given_what_is_deployed(where: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    @contextmanager
    def opened(*asked: Any) -> Iterator[str]:
        given.append(asked)
        yield "the engine"

    monkeypatch.setattr(orchestrator, "opened", opened)
    monkeypatch.setattr(aws_run, "run_day", lambda *asked: given.append(asked) or "r1")
    monkeypatch.setattr(aws_run.summary, "show_day", lambda *_: None)
    bundles.upload(where, "a1", bundle)
    bundles.point(where, "a1", bundle)
    aws_run.aws_run("2026-01-15", "1000")
    assert given == [(where, CONFIG, bundle), (where, "the engine", date(2026, 1, 15), 1000)]


def test_without_flows_that_are_deployed_none_are_taken_instead(where: Any) -> None:
    with pytest.raises(SetupError, match="`make deploy-aws` has not come to its end"):
        aws_run.aws_run("2026-01-15")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the engine was started with."""
    started: dict[str, Any] = {}

    @contextmanager
    def start(_where: Any, _folder: Path, flows: Path, drivers: dict[str, str]) -> Iterator[None]:
        started.update(flows=flows, drivers=drivers)
        yield

    monkeypatch.setattr(orchestrator, "_engine", start)
    monkeypatch.setattr(orchestrator, "served", lambda *_: nullcontext())
    monkeypatch.setattr(orchestrator, "_drivers_aws", lambda *_: {"AWS_REGION": "us-east-1"})
    return started


def test_the_engine_has_flows_and_driver_of_the_bundle(where: Any, bundle: Bundle, engine: dict[str, Any]) -> None:
    with orchestrator.opened(where, CONFIG, bundle):
        assert {each.name: each.read_text() for each in engine["flows"].iterdir()} == bundle.flows
        asked = [sys.executable, "-c", "import drydock_driver; print(drydock_driver.__file__)"]
        driver = subprocess.run(asked, env=engine["drivers"], check=True, capture_output=True, text=True).stdout
    assert Path(driver.strip()).is_relative_to(where.directory)
    assert engine["drivers"]["AWS_REGION"] == "us-east-1"


def test_without_a_bundle_it_has_the_checkouts(where: Any, engine: dict[str, Any]) -> None:
    with orchestrator.opened(where, CONFIG):
        assert engine == {"flows": where.paths.flows, "drivers": {"AWS_REGION": "us-east-1"}}
