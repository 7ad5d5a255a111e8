"""The store's files: written whole or not at all, and known for damaged when they are."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock_gateway.errors import Damaged, StoreUnusable
from drydock_gateway.store.folder import FORMAT, Folder
from drydock_gateway.store.records import FOOTER, TAIL_BYTES, OpenRecord, read_body, read_document

NAMES = st.text() | st.sampled_from(["$time", "$$time", "$"])
TIMES = st.datetimes(timezones=st.just(UTC))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | TIMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("store"))


def written(folder: Folder, document: dict[str, object], body: bytes) -> Path:
    record = folder.services / "record"
    folder.write(record, document, body)
    return record


@given(document=DOCUMENTS, body=st.binary(max_size=3 * TAIL_BYTES))
def test_what_is_written_is_read_back(folder: Folder, document: dict[str, object], body: bytes) -> None:
    record = written(folder, document, body)
    assert read_body(record) == (document, body)
    opened = OpenRecord(record)
    assert (opened.size, opened.read_at(len(body) + 100, 0)) == (len(body), body)
    assert opened.read_at(5, 2) == body[2:7]
    assert opened.read_at(5, len(body) + 1) == b""
    opened.close()


@given(document=DOCUMENTS, body=st.binary(max_size=200), data=st.data())
def test_a_record_that_was_cut_short_is_damaged(
    folder: Folder, document: dict[str, object], body: bytes, data: st.DataObject
) -> None:
    record = written(folder, document, body)
    whole = record.read_bytes()
    record.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(Damaged):
        read_document(record)


@given(document=DOCUMENTS, data=st.data())
def test_a_document_or_a_footer_with_another_byte_is_damaged(
    folder: Folder, document: dict[str, object], data: st.DataObject
) -> None:
    record = written(folder, document, b"body")
    whole = bytearray(record.read_bytes())
    sequence = range(len(whole) - FOOTER.size + 16, len(whole) - FOOTER.size + 24)  # any number is a sequence
    place = data.draw(st.integers(4, len(whole) - 1).filter(lambda place: place not in sequence))
    whole[place] ^= data.draw(st.integers(1, 255))
    record.write_bytes(whole)
    with pytest.raises(Damaged):
        read_document(record)


@pytest.mark.parametrize("content", [b"", b"\0" * 5000])
def test_what_a_power_failure_leaves_is_damaged(folder: Folder, content: bytes) -> None:
    record = folder.services / "record"
    record.write_bytes(content)
    with pytest.raises(Damaged):
        read_document(record)


def test_a_reader_keeps_what_it_opened(folder: Folder) -> None:
    record = written(folder, {}, b"the first")
    opened = OpenRecord(record)
    written(folder, {}, b"the second")
    record.unlink()
    assert opened.read_at(100, 0) == b"the first"
    opened.close()


def test_a_draft_that_is_not_published_leaves_nothing(folder: Folder) -> None:
    for seal in (False, True):
        draft = folder.draft()
        draft.append(b"abc")
        if seal:
            draft.seal({}, 1)
        draft.discard()
        draft.discard()
    abandoned = folder.draft()
    abandoned.append(b"abc")
    del abandoned
    assert list((folder.services.parent / "drafts").iterdir()) == []


def test_sequences_grow_past_those_of_a_clock_that_was_ahead(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    future = int(datetime(2050, 1, 1, tzinfo=UTC).timestamp() * 1e9)
    folder.has_seen(future)
    assert future < folder.next_sequence() < folder.next_sequence()


def test_a_store_is_opened_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(StoreUnusable, match="in use by another gateway"):
        Folder(tmp_path)
    folder.close()
    Folder(tmp_path).close()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (json.dumps({"format": FORMAT + 1}), f"has format {FORMAT + 1}, and this Drydock reads format {FORMAT}"),
        ("{}", "does not tell the store's format"),
        ("½", "does not tell the store's format"),
    ],
)
def test_another_format_is_refused_with_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "format.json").write_text(content)
    with pytest.raises(StoreUnusable, match=sentence):
        Folder(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be used: Not a directory"):
        Folder(tmp_path / "file" / "store")


def test_a_killed_writer_s_drafts_are_removed_at_the_next_start(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    left = tmp_path / "drafts" / "left"
    left.mkdir()
    (left / "part").write_text("half")
    folder.close()
    Folder(tmp_path)
    assert list((tmp_path / "drafts").iterdir()) == []
