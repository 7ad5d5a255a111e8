"""A bucket's folder: where its records are, and the one lock under which they and what memory knows change together."""

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from drydock_gateway.errors import Damaged
from drydock_gateway.store.folder import Folder
from drydock_gateway.store.records import Document, Draft, Footer, read_document


class BucketFolder:
    """`lock`: whoever holds it sees names and memory agree. It is held for a rename or for opening a file."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._root = folder.buckets / name
        self.lock = threading.RLock()
        self.is_dropped = False
        self.rewriting = threading.Lock()  # for whoever replaces a record's document: one after the other

    def create(self) -> None:
        for directory in (self._objects, self._uploads):
            directory.mkdir(parents=True, exist_ok=True)

    def drop(self) -> None:
        """Remove it. Whoever still writes to it, and has been told of no bucket that takes its place, gets
        FileNotFoundError from `require`."""
        with self.lock:
            self.is_dropped = True
            self._folder.drop_directory(self._root)

    def require(self) -> None:
        """Raises FileNotFoundError when it was dropped; another folder may bear its name by now."""
        if self.is_dropped:
            raise FileNotFoundError(self._root)

    def is_empty(self) -> bool:
        return not any(self._objects.iterdir()) and not any(self._uploads.iterdir())

    @property
    def configuration(self) -> Path:
        return self._root / "configuration"

    def object_record(self, key: str, version_id: str | None) -> Path:
        """Keys have up to 1024 bytes and any character, file names 255 and not every one: hence the hash."""
        return self._objects / hashlib.sha256(f"{key}?{version_id or 'null'}".encode()).hexdigest()

    def upload(self, upload_id: str) -> Path:
        return self._uploads / upload_id

    def part_record(self, upload_id: str, number: int) -> Path:
        return self.upload(upload_id) / str(number)

    def draft(self) -> Draft:
        return self._folder.draft()

    def write_configuration(self, document: Document) -> None:
        self._folder.write(self.configuration, document)

    def seal(self, draft: Draft, document: Document) -> int:
        """Complete a draft; its sequence."""
        sequence = self._folder.next_sequence()
        draft.seal(document, sequence)
        return sequence

    def create_upload(self, upload_id: str, document: Document) -> None:
        draft = self.draft()
        try:
            self.seal(draft, document)
            with self.lock:
                self.require()
                self.upload(upload_id).mkdir()
                draft.publish(self.upload(upload_id) / "upload")
        finally:
            draft.discard()

    def drop_upload(self, upload_id: str) -> None:
        with suppress(FileNotFoundError):  # the bucket went before it
            self._folder.drop_directory(self.upload(upload_id))

    def read_configuration(self) -> Document | None:
        """None when there is none, or it was damaged."""
        with suppress(FileNotFoundError):
            for document, _ in self._read([self.configuration]):
                return document
        return None

    def read_objects(self) -> Iterator[tuple[Document, Footer]]:
        """All objects, versions and delete markers, in no order."""
        with os.scandir(self._objects) as entries:
            yield from self._read(Path(entry.path) for entry in entries)

    def read_uploads(self) -> Iterator[tuple[Document, list[tuple[Document, Footer]]]]:
        """All uploads, each with its parts."""
        for directory in sorted(self._uploads.iterdir()):
            upload = None
            with suppress(FileNotFoundError):
                upload = next(iter(self._read([directory / "upload"])), None)
            if upload is None:  # its id was never told to anybody, or it is damaged
                self._folder.drop_directory(directory)
                continue
            parts = (file for file in directory.iterdir() if file.name != "upload")
            yield upload[0], list(self._read(parts))

    @property
    def _objects(self) -> Path:
        return self._root / "objects"

    @property
    def _uploads(self) -> Path:
        return self._root / "uploads"

    def _read(self, files: Iterable[Path]) -> Iterator[tuple[Document, Footer]]:
        for file in files:
            try:
                document, footer = read_document(file)
            except (Damaged, ValueError) as error:
                self._folder.set_aside(file, error)
                continue
            self._folder.has_seen(footer.sequence)
            yield document, footer
