"""A day of raw data: where it lies, its block files and its manifest.

<source>/ship_date=YYYY-MM-DD/block-NNNNN.parquet
<source>/ship_date=YYYY-MM-DD/manifest.json         written last: without it the day is not there
"""

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shipments.errors import RawDataDamaged, RawDataMissing
from shipments.storage import Folder, open_folder

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class BlockFile:
    """A block's file as it was written."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a day's raw data is. `injected` counts the rows broken on purpose, by rule."""

    date: dt.date
    seed: int
    broken_share: float
    rows: int
    bytes: int
    injected: Mapping[str, int]
    blocks: Sequence[BlockFile]


def day_uri(source: str, date: dt.date) -> str:
    """The day's folder under the source URI."""
    return f"{source}/ship_date={date.isoformat()}"


def block_name(block: int) -> str:
    return f"block-{block:05d}.parquet"


def is_block_name(name: str) -> bool:
    return re.fullmatch(r"block-\d{5,}\.parquet", name) is not None


def read_manifest(source: str, date: dt.date) -> Manifest:
    """The manifest of a day whose files are exactly those it names, by name and size.

    Raises `RawDataMissing` without a manifest, `RawDataDamaged` when it cannot be read or the files differ.
    """
    folder = open_folder(day_uri(source, date))
    try:
        content = folder.read(MANIFEST_NAME)
    except FileNotFoundError:
        raise RawDataMissing(
            f"There is no {folder.uri}/{MANIFEST_NAME}: the raw data of {date} was never generated, or its generation "
            f"was interrupted. Run data_generator.py --date {date} first."
        ) from None
    try:
        manifest = _manifest_from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(source, date, f"its manifest cannot be read ({error!r})") from error
    if manifest.date != date:
        raise damaged(source, date, f"its manifest is of {manifest.date}")
    if sum(block.rows for block in manifest.blocks) != manifest.rows:
        raise damaged(source, date, "the rows of its manifest's blocks do not add up")
    _check_sizes(source, folder, manifest)
    return manifest


def damaged(source: str, date: dt.date, what: str) -> RawDataDamaged:
    """The error that says what is wrong with the day, and what to do."""
    uri = day_uri(source, date)
    return RawDataDamaged(f"The raw data in {uri} is damaged: {what}. Run data_generator.py --date {date} again.")


def manifest_to_json(manifest: Manifest) -> bytes:
    document = {"format": MANIFEST_FORMAT, **asdict(manifest), "date": manifest.date.isoformat()}
    return (json.dumps(document, indent=1) + "\n").encode()


def _manifest_from_json(content: bytes) -> Manifest:
    """`ValueError`, `KeyError`, `TypeError` or `AttributeError` when the content is no manifest of this format."""
    document: dict[str, Any] = json.loads(content)
    if document.pop("format") != MANIFEST_FORMAT:
        raise ValueError(f"its format is not {MANIFEST_FORMAT}")
    document["date"] = dt.date.fromisoformat(document["date"])
    document["blocks"] = [BlockFile(**block) for block in document["blocks"]]
    return Manifest(**document)


def _check_sizes(source: str, folder: Folder, manifest: Manifest) -> None:
    found = {name: size for name, size in folder.sizes().items() if is_block_name(name)}
    named = {block.name: block.bytes for block in manifest.blocks}
    for name in sorted(found.keys() | named.keys()):
        if name not in found:
            raise damaged(source, manifest.date, f"{name} is missing")
        if name not in named:
            raise damaged(source, manifest.date, f"its manifest does not name {name}")
        if found[name] != named[name]:
            difference = f"{name} has {found[name]} bytes, its manifest says {named[name]}"
            raise damaged(source, manifest.date, difference)
