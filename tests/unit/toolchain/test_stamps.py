"""Stamps: what makes a step of the set-up repeatable and its product whole or absent."""

from pathlib import Path

import pytest

from drydock.errors import SetupError
from drydock.toolchain.stamps import Stamp, fingerprint, replacing


def test_a_fingerprint_depends_on_every_input_and_on_where_one_ends(tmp_path: Path):
    file = tmp_path / "input"
    file.write_text("one")
    first = fingerprint("a", file)
    assert fingerprint("a", file) == first
    assert fingerprint("b", file) != first
    file.write_text("two")
    assert fingerprint("a", file) != first
    file.unlink()
    assert fingerprint("a", file) != first
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_a_stamp_matches_only_what_it_was_written_for(tmp_path: Path):
    stamp = Stamp(tmp_path / "folder" / "stamp", "one")
    assert not stamp.matches
    stamp.write()
    assert stamp.matches
    assert not Stamp(stamp.path, "two").matches
    stamp.forget()
    assert not stamp.matches


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path):
    folder = tmp_path / "product"
    with replacing(folder) as partial:
        (partial / "first").touch()
        assert not folder.exists()
    with pytest.raises(SetupError), replacing(folder) as partial:  # noqa: PT012
        (partial / "second").touch()
        raise SetupError("The network is gone.")
    assert [file.name for file in folder.iterdir()] == ["first"]
    with replacing(folder) as partial:
        (partial / "third").touch()
    assert [file.name for file in folder.iterdir()] == ["third"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["product"]


def test_what_a_killed_set_up_left_is_swept(tmp_path: Path):
    (tmp_path / ".product.partial").mkdir()
    (tmp_path / ".product.partial" / "half").touch()
    with replacing(tmp_path / "product") as partial:
        assert list(partial.iterdir()) == []
