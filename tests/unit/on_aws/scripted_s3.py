"""A bucket in memory, as far as what is deployed is kept in one; and a site whose input bucket it is."""

import io
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any


class NoSuchKey(Exception):
    """As S3's client has it."""


class NoSuchBucket(Exception):
    """As S3's client has it."""


class S3:
    """One bucket, which is there unless a test says otherwise. `written`: the keys, in the order of their writing."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey, NoSuchBucket=NoSuchBucket)

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.written: list[str] = []
        self.exists = True

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if not self.exists:
            raise NoSuchBucket(Bucket)
        if Key not in self.objects:
            raise NoSuchKey(Key)
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: str) -> None:  # noqa: N803
        assert Bucket == "acme-spark-job-data-input"
        self.objects[Key] = Body
        self.written.append(Key)


def site(**clients: Any) -> Any:
    """A site on AWS with these clients, by service."""
    account = SimpleNamespace(
        client=lambda service: clients[service], explained=lambda _: nullcontext(), region="us-east-1"
    )
    return SimpleNamespace(
        account=account,
        name_prefix="acme-",
        platform="acme",
        input_bucket="acme-spark-job-data-input",
        aws_cli="aws",
    )
