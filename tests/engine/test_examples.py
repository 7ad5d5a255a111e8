"""The flow of `examples/your-own-job`, as Kestra takes it. It is run in tests/platform/test_your_own_job.py."""

import datetime as dt
from typing import Any

import pytest
import yaml

from drydock import settings
from drydock.kestra import Kestra
from tests.engine.engine_rig import NAMESPACE

SOURCE = (settings.REPOSITORY / "examples" / "your-own-job" / "carrier_monthly.yaml").read_text()

TELL_THE_MONTH = """
tasks:
  - id: nothing
    type: io.kestra.plugin.core.log.Log
    message: nothing
"""


def test_it_is_valid(client: Kestra) -> None:
    assert client.validate(SOURCE) is None


@pytest.fixture
def month(client: Kestra) -> str:
    """A flow with its inputs and its output alone; its id."""
    written: dict[str, Any] = yaml.safe_load(SOURCE)
    parts = {name: written[name] for name in ("inputs", "variables", "outputs")}
    client.register(f"id: month\nnamespace: {NAMESPACE}\n{yaml.safe_dump(parts)}{TELL_THE_MONTH}")
    return "month"


def test_its_month_is_the_one_that_is_given_or_that_of_the_day_before(client: Kestra, month: str) -> None:
    given = client.run(NAMESPACE, month, {"month": "2026-02"})
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    not_given = client.run(NAMESPACE, month, {})
    after = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    assert client.outputs(given["id"]) == {"month": "2026-02"}
    assert client.outputs(not_given["id"])["month"] in {f"{before:%Y-%m}", f"{after:%Y-%m}"}
