"""How a step of the set-up knows that it has nothing to do, and why it can be interrupted anywhere.

A step's inputs are condensed to a fingerprint. What the step makes appears in one rename, and the stamp that holds the
fingerprint is written after it: a step whose stamp matches is done, and any other is simply done again.

Standard library only: `scripts/prepare.py` imports this before any environment exists.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def fingerprint(*inputs: str | Path) -> str:
    """A SHA-256 over texts and the contents of files. A file that is missing counts as such, and is no error."""
    total = hashlib.sha256()
    for item in inputs:
        content = item.encode() if isinstance(item, str) else _content(item)
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b"missing"


@dataclass(frozen=True)
class Stamp:
    """A file beside (or in) what a step made, holding the fingerprint of what it was made from."""

    path: Path
    fingerprint: str

    @property
    def matches(self) -> bool:
        try:
            return self.path.read_text() == self.fingerprint
        except OSError:
            return False

    def forget(self) -> None:
        """For steps that change their product in place: whatever happens now, the step is not done."""
        self.path.unlink(missing_ok=True)

    def write(self) -> None:
        write_file(self.path, self.fingerprint)


def write_file(path: Path, content: str) -> None:
    """Write a text file that is either whole or not there. Raises OSError, and leaves nothing then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, which takes its place when the block ends without an error."""
    partial = folder.with_name(f".{folder.name}.partial")
    former = folder.with_name(f".{folder.name}.former")
    for leftover in (partial, former):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(former)
    partial.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
