"""What is said of a run's clusters when it is over: gone, being ended, or left."""

from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from drydock import leftovers
from drydock.on_aws import account
from drydock_driver.cluster import END_TIMEOUT_SECONDS

from .on_aws.scripted_emr import NOW, Emr
from .on_aws.scripted_s3 import site


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Emr:
    """Its clock, and that of whoever asks, stand still but for the pauses between looks."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return NOW

    seconds = [0.0]
    monkeypatch.setattr(leftovers, "datetime", Clock)
    monkeypatch.setattr(leftovers.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(leftovers.time, "sleep", lambda pause: seconds.append(seconds.pop() + pause))
    return Emr()


def told(emr: Emr) -> str:
    return leftovers._end(site(emr=emr), "r1")


def test_where_there_is_none_nothing_is_ended(emr: Emr) -> None:
    emr.has(2, "drydock", "WAITING")
    assert told(emr) == "No cluster of this run is alive."
    assert emr.ended == []


def test_one_that_is_left_is_ended(emr: Emr) -> None:
    emr.has(1, "drydock", "WAITING")
    assert told(emr) == "No cluster of this run is alive (ended since, with the operator's key: j-1)."
    assert emr.ended == [["j-1"]]


def test_one_that_emr_is_ending_is_not_told_as_left(emr: Emr) -> None:
    emr.lingers = True
    emr.has(1, "drydock", "TERMINATING")
    assert told(emr) == "EMR is ending j-1, which may take some minutes."
    assert emr.ended == []


def test_one_that_does_not_end_is_told_with_a_way_out(emr: Emr, monkeypatch: pytest.MonkeyPatch) -> None:
    emr.has(1, "drydock", "WAITING")
    monkeypatch.setattr(emr, "terminate_job_flows", lambda **_: None)
    assert told(emr) == "Still alive: j-1. `aws emr terminate-clusters --cluster-ids j-1` ends them."


def test_one_that_may_be_there_is_told_with_how_to_look(emr: Emr, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    def refuse(**_: Any) -> None:
        raise ClientError(refusal, "ListClusters")

    monkeypatch.setattr(emr, "paginate", refuse)
    assert told(emr).endswith("`aws emr list-clusters --active` shows those that are.")


def test_on_aws_a_driver_is_given_the_time_that_it_takes_to_end_a_cluster() -> None:
    assert account.STOPPING_SECONDS > END_TIMEOUT_SECONDS
