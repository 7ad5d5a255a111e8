"""`make flow` on the engine: flows that run no cluster. With one: tests/platform/test_your_own_job.py."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drydock import aws, flow, settings, site
from drydock.errors import RunFailed, UsageError
from drydock.kestra import Kestra
from tests.engine.conftest import SAY
from tests.engine.engine_rig import NAMESPACE

BOTH = "tasks:" + "".join(
    f"""
  - id: {name}
    type: io.kestra.plugin.core.flow.Subflow
    namespace: {NAMESPACE}
    flowId: {name}
    wait: true
    transmitFailed: true"""
    for name in ("say", "fail")
)
NEEDS = SAY.replace("    defaults: hello\n", "")


class NoClusters:
    """An EMR that has none."""

    def get_paginator(self, _: str) -> "NoClusters":
        return self

    def paginate(self, **_: Any) -> list[dict[str, list[Any]]]:
        return [{"Clusters": []}]


class Account(aws.LocalAccount):
    def client(self, service: str) -> Any:
        assert service == "emr"
        return NoClusters()


@pytest.fixture
def where(tmp_path: Path) -> site.Site:
    paths, ports = settings.Paths(tmp_path), settings.Ports(0)
    return replace(site.local(paths, ports), account=Account(paths, ports))


def test_a_flow_runs_with_its_inputs_and_its_outputs_are_told(
    client: Kestra, where: site.Site, capsys: pytest.CaptureFixture[str]
) -> None:
    flow.run_once(where, client, "say", flow.read_inputs("say", "", '{"word": "ahoy", "day": "2026-11-30"}'))
    told = capsys.readouterr().out
    assert re.search(r"✓ Ran say \(word=ahoy, day=2026-11-30\) \(\d+ s\)\n  word: ahoy\n$", told), told


def test_a_flow_that_fails_has_its_task_s_log_shown(
    client: Kestra, where: site.Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunFailed) as failed:
        flow.run_once(where, client, f"{NAMESPACE}.fail", {})
    assert "    it is broken\n" in capsys.readouterr().out
    assert re.match(
        r"Running fail failed: task `breaks` of execution \w+ \(fail\) is FAILED \(exit code 3\): it is broken "
        r"No cluster of this run is alive\.",
        str(failed.value),
    )


def test_of_flows_that_a_flow_runs_the_one_that_failed_is_told(
    client: Kestra, where: site.Site, capsys: pytest.CaptureFixture[str]
) -> None:
    client.register(f"id: both\nnamespace: {NAMESPACE}\n{BOTH}\n")
    with pytest.raises(RunFailed, match=r"Running both failed: task `breaks` of execution \w+ \(fail\) is FAILED"):
        flow.run_once(where, client, "both", {})
    assert "    it is broken\n" in capsys.readouterr().out


def test_kestra_s_own_document_of_a_flow_tells_what_it_needs(client: Kestra, where: site.Site) -> None:
    client.register(f"id: needs\nnamespace: {NAMESPACE}\n{NEEDS}")
    with pytest.raises(UsageError, match=r"The flow needs needs `word` \(STRING\): "):
        flow.run_once(where, client, "needs", {})
    with pytest.raises(UsageError, match=r"has no input `wrod`\. Its inputs: `word` \(STRING\), `day` \(DATE\)\."):
        flow.run_once(where, client, "needs", {"wrod": "ahoy"})
    with pytest.raises(UsageError, match=r"Kestra refuses .*`word`.*\.$"):
        flow.run_once(where, client, "needs", {"word": "7"})
