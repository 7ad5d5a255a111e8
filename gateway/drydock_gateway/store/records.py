"""One file of the store: bytes, then a JSON document about them, then a footer of fixed size.

A record is written under a name without meaning (a draft) and renamed when it is complete. A reader that has opened it
reads what he opened, whatever becomes of the name meanwhile; so readers and writers never wait for each other.
"""

import json
import os
import struct
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from drydock_gateway.errors import Damaged

MAGIC = b"drydock1"
FOOTER = struct.Struct(">8sQQII")  # MAGIC, then the fields of Footer
TAIL_BYTES = 4096  # read at once: the footer, and nearly always the document before it

Document = dict[str, Any]


class Footer(NamedTuple):
    """`sequence` grows with each record that is written: of two, the later one is known."""

    body_bytes: int
    sequence: int
    document_bytes: int
    document_crc: int


class Draft:
    """A record that is being written. It is published once, or discarded."""

    _descriptor = -1

    def __init__(self, folder: Path) -> None:
        self._path = folder / uuid4().hex
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.size = 0

    def append(self, data: bytes) -> None:
        """Add to the bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.size += len(data)

    def read_at(self, count: int, offset: int) -> bytes:
        """Up to `count` of the bytes written so far, from `offset`."""
        return os.pread(self._descriptor, max(0, min(count, self.size - offset)), offset)

    def seal(self, document: Document, sequence: int) -> None:
        """Complete the record; nothing can be appended any more."""
        encoded = json.dumps(_encode(document), separators=(",", ":")).encode()
        footer = Footer(self.size, sequence, len(encoded), zlib.crc32(encoded))
        size = self.size
        self.append(encoded + FOOTER.pack(MAGIC, *footer))
        self.size = size

    def publish(self, path: Path, *, flush: bool = False) -> None:
        """Give the sealed record its name; what had that name before is gone. `flush`: down to the device, too."""
        if flush:
            os.fdatasync(self._descriptor)
        self._path.replace(path)
        self._close()

    def discard(self) -> None:
        """Give up what was not published; again, or after that, it does nothing."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    __del__ = discard


class OpenRecord:
    """A published record, opened for reading; it stays readable when another takes its name."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, or Damaged."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._footer, _ = _read_tail(self._descriptor, FOOTER.size)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        return self._footer.body_bytes

    @property
    def sequence(self) -> int:
        return self._footer.sequence

    def read_at(self, count: int, offset: int) -> bytes:
        """Up to `count` of the bytes, from `offset`."""
        return os.pread(self._descriptor, max(0, min(count, self.size - offset)), offset)

    def close(self) -> None:
        """Again, it does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_document(path: Path | str) -> tuple[Document, Footer]:
    """A record's document. Raises Damaged when the file is no record, or not a whole one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        footer, tail = _read_tail(descriptor, TAIL_BYTES)
        wanted = footer.document_bytes + FOOTER.size
        if len(tail) < wanted:
            tail = os.pread(descriptor, wanted, footer.body_bytes)
    finally:
        os.close(descriptor)
    encoded = tail[-wanted : -FOOTER.size]
    if zlib.crc32(encoded) != footer.document_crc:
        raise Damaged("its document is not what was written")
    document: Document = json.loads(encoded, object_hook=_decode)
    return document, footer


def read_body(path: Path) -> tuple[Document, bytes]:
    """A small record as a whole: its document and its bytes. Raises Damaged."""
    document, footer = read_document(path)
    return document, path.read_bytes()[: footer.body_bytes]


def _read_tail(descriptor: int, count: int) -> tuple[Footer, bytes]:
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, count, max(0, size - count))
    if len(tail) < FOOTER.size:
        raise Damaged(f"it has {size} bytes, fewer than a footer")
    magic, *fields = FOOTER.unpack(tail[-FOOTER.size :])
    if magic != MAGIC:
        raise Damaged("it does not end with a footer")
    footer = Footer(*fields)
    if footer.body_bytes + footer.document_bytes + FOOTER.size != size:
        raise Damaged(f"it has {size} bytes, not as many as its footer tells")
    return footer, tail


def _encode(value: object) -> object:
    """A time is told by a name of its own; a name that begins as that does, such as a user's metadata may have, gets
    another dollar sign."""
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, dict):
        return {f"${name}" if str(name).startswith("$") else name: _encode(each) for name, each in value.items()}
    return [_encode(each) for each in value] if isinstance(value, list | tuple) else value


def _decode(document: Document) -> object:
    if "$time" in document:
        return datetime.fromisoformat(document["$time"])
    if any(name.startswith("$") for name in document):
        return {name.removeprefix("$"): value for name, value in document.items()}
    return document
