"""Folders of objects on S3 or on local disk, by URI: the jobs' own files, beside what Spark reads and writes.

S3 is spoken to with boto3, on the driver and in Spark's Python workers, where no JVM can be asked. It is AWS's own
client: endpoint, credentials (environment, container endpoint, instance profile) and region are found as everywhere
else on AWS, and S3 needs no region to be known beforehand.
"""

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shipments.errors import StorageError


class Folder(ABC):
    """A flat folder of objects. Every method raises `StorageError`, with the object's URI in its message."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Names of the objects right in the folder with their sizes in bytes; empty when there is no such folder."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The object's bytes. `FileNotFoundError` when it is not there."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write the object, whole or not at all."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete the object; nothing happens when it is not there."""


def open_folder(uri: str) -> Folder:
    """The folder at an `s3://` or `file:///` URI (see `arguments.folder`). Nothing is created or looked at yet."""
    return S3Folder(uri) if urlsplit(uri).scheme == "s3" else LocalFolder(uri)


class S3Folder(Folder):
    """A prefix of a bucket."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._bucket, _, key = self.uri.removeprefix("s3://").partition("/")
        self._prefix = f"{key}/" if key else ""

    def sizes(self) -> dict[str, int]:
        with self._told("list", ""):
            pages = (
                _s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix, Delimiter="/")
            )
            objects = {
                o["Key"].removeprefix(self._prefix): int(o["Size"]) for p in pages for o in p.get("Contents", [])
            }
        objects.pop("", None)  # the empty object by which consoles show a folder
        return objects

    def read(self, name: str) -> bytes:
        with self._told("read", name):
            try:
                content: bytes = _s3().get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()
            except _s3().exceptions.NoSuchKey:
                raise FileNotFoundError(f"{self.uri}/{name}") from None
            return content

    def write(self, name: str, content: bytes) -> None:
        with self._told("write", name):
            _s3().put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)

    def delete(self, name: str) -> None:
        with self._told("delete", name):
            _s3().delete_object(Bucket=self._bucket, Key=self._prefix + name)

    @contextmanager
    def _told(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StorageError(f"Could not {action} {self.uri}/{name}: {error}") from error


class LocalFolder(Folder):
    """A directory, made when something is written into it."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._path = Path(unquote(urlsplit(self.uri).path))

    def sizes(self) -> dict[str, int]:
        with self._told("list", ""):
            if not self._path.exists():
                return {}
            return {path.name: path.stat().st_size for path in self._path.iterdir() if path.is_file()}

    def read(self, name: str) -> bytes:
        with self._told("read", name):
            return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        with self._told("write", name):
            self._path.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path, prefix=".", delete=False) as file:
                file.write(content)
            Path(file.name).chmod(0o644)
            os.replace(file.name, self._path / name)  # noqa: PTH105 - the two names belong on one line

    def delete(self, name: str) -> None:
        with self._told("delete", name):
            (self._path / name).unlink(missing_ok=True)

    @contextmanager
    def _told(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"Could not {action} {self.uri}/{name}: {error.strerror}") from error


@cache
def _s3() -> Any:
    """One client a process: Spark keeps its Python workers from task to task."""
    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
