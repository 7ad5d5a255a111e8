"""The store's folder: one gateway at a time, of a format that it knows, with what is damaged set aside."""

import fcntl
import json
import logging
import os
import threading
import time
from pathlib import Path
from shutil import rmtree

from drydock_gateway.errors import StoreUnusable
from drydock_gateway.store.records import Document, Draft

FORMAT = 1
LOG = logging.getLogger(__name__)


class Folder:
    """An open store. Raises StoreUnusable, with a sentence, when it cannot be opened."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._counter = threading.Lock()
        self._last_sequence = 0
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(root)
            _check_format(root)
            self._drafts = root / "drafts"
            rmtree(self._drafts, ignore_errors=True)  # of a process that was killed: nobody was told of them
            for directory in (self._drafts, self.buckets, self.services):
                directory.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreUnusable(f"The store {root} cannot be used: {error.strerror} ({error.filename}).") from error

    @property
    def buckets(self) -> Path:
        return self._root / "buckets"

    @property
    def services(self) -> Path:
        return self._root / "services"

    def draft(self) -> Draft:
        """A new record, without a name yet."""
        return Draft(self._drafts)

    def write(self, path: Path, document: Document, body: bytes = b"") -> None:
        """Write a small record and flush it to the device."""
        draft = self.draft()
        try:
            draft.append(body)
            draft.seal(document, self.next_sequence())
            draft.publish(path, flush=True)
        finally:
            draft.discard()

    def next_sequence(self) -> int:
        """Larger than any before, in this process and in those before it."""
        with self._counter:
            self._last_sequence = max(time.time_ns(), self._last_sequence + 1)
            return self._last_sequence

    def has_seen(self, sequence: int) -> None:
        """A record of an earlier process bears this one. Its clock may have been ahead of ours."""
        self._last_sequence = max(sequence, self._last_sequence)

    def drop_directory(self, path: Path) -> None:
        """Remove a directory with all that is in it: gone at once, or not at all."""
        grave = self._drafts / f"{path.name}-{self.next_sequence()}"
        path.replace(grave)
        rmtree(grave, ignore_errors=True)  # what remains of it goes at the next start

    def set_aside(self, path: Path, why: object) -> None:
        """Take a damaged record out of the way, and say so."""
        place = self._root / "set-aside" / f"{time.strftime('%Y%m%dT%H%M%S')}-{'-'.join(path.parts[-3:])}"
        place.parent.mkdir(exist_ok=True)
        path.replace(place)
        LOG.error("%s is damaged: %s. It was set aside as %s; all else goes on.", path, why, place)

    def close(self) -> None:
        """Let another gateway open it."""
        os.close(self._lock)


def _lock(root: Path) -> int:
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreUnusable(f"The store {root} is in use by another gateway. End that one first.") from error
    return descriptor


def _check_format(root: Path) -> None:
    file = root / "format.json"
    try:
        found = json.loads(file.read_text())["format"]
    except FileNotFoundError:
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps({"format": FORMAT}) + "\n")
        draft.replace(file)
        return
    except (ValueError, KeyError, TypeError) as error:
        raise StoreUnusable(f'{file} does not tell the store\'s format: expected {{"format": {FORMAT}}}.') from error
    if found != FORMAT:
        raise StoreUnusable(
            f"The store {root} has format {found}, and this Drydock reads format {FORMAT}. Use the Drydock that wrote "
            "it, or empty it with `make local-reset`."
        )
