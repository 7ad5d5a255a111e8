"""Files that are whole or not there: records survive a crash at any moment."""

import json
import os
from pathlib import Path
from typing import Any

RESERVED_BYTES = 4096


def write_atomically(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write and rename, on disk before it returns; a reader sees the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_json(path: Path, document: Any) -> None:
    """Escaped to ASCII, so that lone surrogates in a caller's strings are kept too."""
    write_atomically(path, json.dumps(document))


def reserve(path: Path) -> None:
    """Take the room that `write_reserved` needs, so that a disk that is full by then is no reason to lose a record."""
    placeholder = _placeholder(path)
    placeholder.write_bytes(b" " * RESERVED_BYTES)


def write_reserved(path: Path, document: Any) -> None:
    """Write a document of at most `RESERVED_BYTES` into the room reserved for it, whole or not at all.

    Raises FileNotFoundError when the room was withdrawn, up to the last moment.
    """
    placeholder = _placeholder(path)
    with placeholder.open("r+b", buffering=0) as file:
        file.write(json.dumps(document).encode().ljust(RESERVED_BYTES))
        os.fsync(file.fileno())
    placeholder.replace(path)


def withdraw(path: Path) -> None:
    """Take the room of a record away, so that it can be written no more; one that is written stays."""
    _placeholder(path).unlink(missing_ok=True)


def read_json(path: Path) -> Any | None:
    """The document, or None when there is none or it cannot be understood."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _placeholder(path: Path) -> Path:
    return path.with_name(f".{path.name}.reserved")
