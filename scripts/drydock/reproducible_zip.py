"""Zip files that depend on their contents alone: the same sources give the same bytes, anywhere and at any time.

Standard library only: set-up needs it too.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path


def write(archive: Path, folder: Path, files: Iterable[Path]) -> None:
    """Pack `files`, by their paths below `folder`, into `archive`, which is either whole or not there. A folder among
    them is an entry without content.

    Nothing is compressed, which would depend on zlib's version, and no entry has a time, owner or mode of its own.
    """
    draft = archive.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as bundle:
        for file in sorted(files):
            name = file.relative_to(folder).as_posix()
            entry = zipfile.ZipInfo(f"{name}/" if file.is_dir() else name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, whatever the machine
            entry.external_attr = (0o755 if file.is_dir() else 0o644) << 16
            bundle.writestr(entry, b"" if file.is_dir() else file.read_bytes())
    draft.replace(archive)
