"""Writing several files into a folder, all or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from asnn_deploy.util.files import making_folder, unwritable


def write_files(contents: Mapping[str, str | bytes], folder: Path) -> list[Path]:
    """Write files into a folder, all or none, and return their paths; other files in it stay.

    contents: file name to what it holds, texts in UTF-8. Raises InputError where they cannot be written; what earlier
    files of these names held then stays whole.
    """
    folder = Path(folder)
    with making_folder(folder):
        try:
            with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as scratch:
                for name, content in contents.items():
                    (Path(scratch) / name).write_bytes(content.encode() if isinstance(content, str) else content)
                _swap(Path(scratch), folder, contents)
        except OSError as error:
            raise unwritable(folder, error) from error
    return [folder / name for name in contents]


def _swap(scratch: Path, folder: Path, names: Collection[str]) -> None:
    """Move the new files into place; where one cannot be moved, put the old ones back."""
    kept = scratch / "old"
    kept.mkdir()
    for name in names:
        if (folder / name).exists():
            shutil.copy2(folder / name, kept / name)
    placed = []
    try:
        for name in names:
            os.replace(scratch / name, folder / name)
            placed.append(name)
    except OSError:
        for name in placed:
            if (kept / name).exists():
                os.replace(kept / name, folder / name)
            else:
                (folder / name).unlink()
        raise
