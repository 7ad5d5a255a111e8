"""The clusters of one deployment, in an account that has another's: found, shown, ended."""

from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from drydock import aws_status
from drydock.errors import RunFailed
from drydock.on_aws import clusters

from .scripted_emr import NOW, Emr
from .scripted_s3 import site


@pytest.fixture
def emr() -> Emr:
    return Emr()


@pytest.fixture
def where(emr: Emr, monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return NOW

    monkeypatch.setattr(clusters, "datetime", Clock)
    monkeypatch.setattr(aws_status, "datetime", Clock)
    monkeypatch.setattr(clusters, "POLL_SECONDS", 0.0)
    return site(emr=emr)


def test_those_of_another_deployment_are_not_ours(emr: Emr, where: Any) -> None:
    ours = emr.has(1, "acme", "WAITING", days=2)
    for number, another in enumerate(("drydock", "acme-two", "acme-data"), 2):
        emr.has(number, another, "WAITING")
    newer = emr.has(5, "acme", "RUNNING")
    assert [each.id for each in clusters.active(where)] == [newer, ours]
    assert [each.id for each in clusters.recent(where, 7, 10)] == [newer, ours]


def test_one_that_lives_is_recent_however_old_it_is(emr: Emr, where: Any) -> None:
    emr.has(1, "acme", "TERMINATED", days=8)
    forgotten = emr.has(2, "acme", "WAITING", days=30)
    ended = emr.has(3, "acme", "TERMINATED", days=1)
    assert [each.id for each in clusters.recent(where, 7, 10)] == [ended, forgotten]


def test_each_is_ended_once_and_all_are_waited_for(emr: Emr, where: Any) -> None:
    ids = [emr.has(number, "acme", "WAITING", days=number) for number in range(23)]
    emr.has(99, "drydock", "WAITING")
    told: list[str] = []
    assert clusters.end(where, told.append) == ids
    assert emr.ended == [[each] for each in ids]
    assert told[0].startswith("j-0 WAITING, j-1 WAITING")
    assert emr.clusters["j-99"]["Status"]["State"] == "WAITING"
    assert clusters.end(where, told.append) == []


def test_one_that_has_begun_to_end_meanwhile_may_refuse_it(
    emr: Emr, where: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = emr.has(1, "acme", "WAITING")
    monkeypatch.setattr(emr, "set_termination_protection", refused_by(emr, "TERMINATING"))
    assert clusters.end(where, lambda _: None) == [ended]


def test_one_that_refuses_it_and_lives_is_a_failure(emr: Emr, where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    emr.has(1, "acme", "WAITING")
    monkeypatch.setattr(emr, "set_termination_protection", refused_by(emr, "WAITING"))
    with pytest.raises(ClientError, match="AccessDenied"):
        clusters.end(where, lambda _: None)


def refused_by(emr: Emr, state: str) -> Any:
    """A call that is refused by clusters of that state."""

    def call(*, JobFlowIds: list[str], **_: Any) -> None:  # noqa: N803
        for cluster_id in JobFlowIds:
            emr.clusters[cluster_id]["Status"]["State"] = state
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "SetTerminationProtection")

    return call


def test_one_that_does_not_end_is_named(emr: Emr, where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "END_SECONDS", -1)
    emr.has(1, "acme", "WAITING")
    with pytest.raises(RunFailed, match=r"Still alive after .*j-1"):
        clusters.end(where, lambda _: None)


class TestStatus:
    def test_without_any_it_says_so(self, where: Any, capsys: pytest.CaptureFixture[str]) -> None:
        aws_status._show_clusters(where)
        assert capsys.readouterr().out == "Clusters: none is alive, none in the last 7 days\n"

    def test_what_is_alive_is_shown_below_however_many_are_newer(
        self, emr: Emr, where: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        emr.has(0, "acme", "WAITING", days=30, job="cluster-check")
        for number in range(1, aws_status.SHOWN_CLUSTERS + 3):
            emr.has(number, "acme", "TERMINATED", days=number / 10)
        aws_status._show_clusters(where)
        said = capsys.readouterr()
        lines = said.out.splitlines()
        assert lines[0].strip() == "Clusters that are alive, or of the last 7 days"
        assert lines[2].split()[:3] == ["j-1", "data-processing-2026-01-15-r1", "TERMINATED"]
        assert lines[-1].split()[:3] == ["j-0", "cluster-check-2026-01-15-r0", "WAITING"]
        assert len(lines) == 2 + aws_status.SHOWN_CLUSTERS + 1
        assert "Alive, and paid for: j-0." in said.err
