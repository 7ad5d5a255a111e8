"""A bucket that is emptied although S3 refuses some of its objects. (On a gateway: tests/terraform.)"""

from typing import Any

import pytest

from drydock.errors import ServiceFailed
from drydock.on_aws import emptying


class S3:
    """A bucket of versions; `refusals` says how often each key is refused, with which code."""

    def __init__(self, *keys: str, refusals: dict[str, tuple[int, str]]) -> None:
        self.keys, self.refusals = list(keys), refusals
        self.requests: list[list[str]] = []

    def get_paginator(self, operation: str) -> "S3":
        self.operation = operation
        return self

    def paginate(self, **asked: str) -> list[dict[str, Any]]:
        assert asked == {"Bucket": "acme"}
        if self.operation == "list_multipart_uploads":
            return [{}]
        return [{"Versions": [{"Key": key, "VersionId": "1"} for key in self.keys]}]

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        asked = [each["Key"] for each in Delete["Objects"]]
        self.requests.append(asked)
        errors = []
        for key in asked:
            times, code = self.refusals.get(key, (0, ""))
            if times:
                self.refusals[key] = times - 1, code
                errors.append({"Key": key, "VersionId": "1", "Code": code, "Message": "Not now."})
        return {"Errors": errors} if errors else {}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(emptying.time, "sleep", pauses.append)
    return pauses


def test_what_s3_refuses_is_asked_for_again(pauses: list[float]) -> None:
    s3 = S3("a", "b", "c", refusals={"a": (1, "SlowDown"), "c": (2, "InternalError")})
    assert emptying.empty(s3, "acme") == 3
    assert s3.requests == [["a", "b", "c"], ["a", "c"], ["c"]]
    assert pauses == [0.0, 2.0, 4.0]


def test_what_it_goes_on_refusing_is_named() -> None:
    s3 = S3("a", "b", refusals={"b": (99, "AccessDenied")})
    with pytest.raises(ServiceFailed, match=r"does not remove `b` of `acme`: AccessDenied \(Not now\.\)"):
        emptying.empty(s3, "acme")
    assert len(s3.requests) == emptying.ATTEMPTS


def test_of_a_bucket_that_holds_nothing_nothing_is_asked() -> None:
    s3 = S3(refusals={})
    assert emptying.empty(s3, "acme") == 0
    assert s3.requests == []
