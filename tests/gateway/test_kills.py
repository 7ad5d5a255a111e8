"""A gateway that is killed again and again while it is written to loses nothing that it has answered.

Writers outside of the gateway note what they ask and what was answered. Each has keys of its own and one request at a
time, so that after a kill at most one request of each is open: it has happened in full, or not at all.
"""

import hashlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from .rig import Gateway
from .test_keeping import PART, Life, a_life

BUCKET = "things"
WRITERS = 4
KEYS = 12  # of each writer: few, so that they are overwritten and deleted often
SECONDS_TO_LIVE = (0.05, 1.5)
GONE = None


@dataclass
class Writer:
    """`known` is what was answered: key → SHA-256 of its bytes, or GONE. `open` is what was asked and not answered."""

    name: str
    chance: random.Random
    known: dict[str, str | None] = field(default_factory=dict)
    open: dict[str, str | None] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[int, str]]] = field(default_factory=dict)  # id → key, part → its SHA-256
    answered: int = 0

    def write_until_it_fails(self, gateway: Gateway) -> None:
        s3 = gateway.client("s3")
        actions = [self.put, self.put, self.copy, self.delete, self.delete_many, self.multipart]
        try:
            while True:
                self.chance.choice(actions)(s3)
        except (BotoCoreError, ClientError, ConnectionError):
            return

    def put(self, s3: Any) -> None:
        body = self.chance.randbytes(self.chance.choice((0, 10, 5000, 300_000)))
        with self.asking({self.key(): digest(body)}) as keys:
            s3.put_object(Bucket=BUCKET, Key=keys[0], Body=body, Metadata={"sha256": digest(body)})

    def copy(self, s3: Any) -> None:
        there = [key for key, value in self.known.items() if value is not GONE]
        if there:
            source = self.chance.choice(there)
            with self.asking({self.key(): self.known[source]}) as keys:
                if keys[0] != source:
                    s3.copy_object(Bucket=BUCKET, Key=keys[0], CopySource=f"{BUCKET}/{source}")

    def delete(self, s3: Any) -> None:
        with self.asking({self.key(): GONE}) as keys:
            s3.delete_object(Bucket=BUCKET, Key=keys[0])

    def delete_many(self, s3: Any) -> None:
        with self.asking(dict.fromkeys((self.key() for _ in range(4)), GONE)) as keys:
            s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})

    def multipart(self, s3: Any) -> None:
        """Begin an upload; then complete it, abort it, or leave it as it is."""
        key = self.key()
        bodies = [self.chance.randbytes(PART), self.chance.randbytes(self.chance.randrange(1, 50_000))]
        whole = digest(b"".join(bodies))
        upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key=key, Metadata={"sha256": whole})["UploadId"]
        self.answered += 1
        which = {"Bucket": BUCKET, "Key": key, "UploadId": upload_id}
        self.uploads[upload_id] = (key, {})
        parts = []
        for number, body in enumerate(bodies, 1):
            etag = s3.upload_part(PartNumber=number, Body=body, **which)["ETag"]
            self.answered += 1
            self.uploads[upload_id][1][number] = etag
            parts.append({"PartNumber": number, "ETag": etag})
        end = self.chance.choice(("complete", "complete", "abort", "leave"))
        if end == "complete":
            del self.uploads[upload_id]
            with self.asking({key: whole}):
                s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **which)
        elif end == "abort":
            del self.uploads[upload_id]
            s3.abort_multipart_upload(**which)

    def key(self) -> str:
        return f"{self.name}/{self.chance.randrange(KEYS)}"

    def asking(self, effects: dict[str, str | None]) -> "Asking":
        return Asking(self, effects)

    def check(self, found: dict[str, str]) -> None:
        """Hold what is there against what was answered, and go on from it."""
        for key in {*self.known, *self.open, *(key for key in found if key.startswith(f"{self.name}/"))}:
            allowed = {self.known.get(key, GONE)} | ({self.open[key]} if key in self.open else set())
            assert found.get(key, GONE) in allowed, f"{key} is {found.get(key, GONE)}, expected one of {allowed}"
            self.known[key] = found.get(key, GONE)
        self.open = {}


class Asking:
    """What a request would change; after it has been answered, what is known."""

    def __init__(self, writer: Writer, effects: dict[str, str | None]) -> None:
        self._writer = writer
        self._effects = effects

    def __enter__(self) -> list[str]:
        self._writer.open = self._effects
        return list(self._effects)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._writer.known |= self._effects
            self._writer.open = {}
            self._writer.answered += 1


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with a_life(tmp_path) as life:
        yield life


def kill_while_written_to(life: Life, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    writers = [Writer(f"writer-{number}", random.Random(f"{seed} {number}")) for number in range(WRITERS)]
    life.gateway.client("s3").create_bucket(Bucket=BUCKET)
    for _ in range(kills):
        threads = [threading.Thread(target=writer.write_until_it_fails, args=(life.gateway,)) for writer in writers]
        for thread in threads:
            thread.start()
        threads[0].join(chance.uniform(*SECONDS_TO_LIVE))
        life.crash()
        for thread in threads:
            thread.join()
        life.begin()
        found = stored(life.gateway)
        for writer in writers:
            writer.check(found)
        check_uploads(life.gateway, writers)
    assert "ERROR" not in life.log
    assert sum(writer.answered for writer in writers) > 10 * kills
    print(f"{kills} kills, {sum(writer.answered for writer in writers)} answered writes")


def stored(gateway: Gateway) -> dict[str, str]:
    """Key → SHA-256 of its bytes, which its metadata has to tell as well."""
    s3 = gateway.client("s3", max_pool_connections=WRITERS)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)

    def read(key: str) -> tuple[str, str]:
        answer = s3.get_object(Bucket=BUCKET, Key=key)
        found = digest(answer["Body"].read())
        assert answer["Metadata"] == {"sha256": found}, key
        return key, found

    with ThreadPoolExecutor(WRITERS) as pool:
        return dict(pool.map(read, [entry["Key"] for page in pages for entry in page.get("Contents", [])]))


def check_uploads(gateway: Gateway, writers: list[Writer]) -> None:
    """An upload whose id was answered, and that nobody ended, is there with the parts that were answered."""
    s3 = gateway.client("s3")
    for writer in writers:
        for upload_id, (key, parts) in writer.uploads.items():
            listed = s3.list_parts(Bucket=BUCKET, Key=key, UploadId=upload_id).get("Parts", [])
            assert parts.items() <= {part["PartNumber"]: part["ETag"] for part in listed}.items()
            s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload_id)
        writer.uploads = {}


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_three_kills(life: Life) -> None:
    kill_while_written_to(life, kills=3, seed=1)


@pytest.mark.full
def test_fifty_kills(life: Life) -> None:
    kill_while_written_to(life, kills=50, seed=2)
