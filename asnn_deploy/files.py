"""Writing files and folders whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asnn_deploy.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well, and goes when it does not.

    Raises InputError naming the path where the disk is full or the folder cannot be written.
    """
    path = Path(path).resolve()  # what a link points to is replaced, not the link
    temporary: Path | None = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            yield path  # a device or a pipe is written to, never replaced
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Like `replacing`, for a folder: the old one stays whole until the new one is."""
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        temporary.chmod(0o755)
        yield temporary
        _take_place(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _take_place(new: Path, path: Path) -> None:
    """Put a folder where another one may be; whatever happens, `path` is the old one or the new one."""
    if not path.exists():
        os.replace(new, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    try:
        os.replace(path, aside / path.name)
        os.replace(new, path)
    except BaseException:
        if (aside / path.name).exists() and not path.exists():
            os.replace(aside / path.name, path)
        raise
    finally:
        if path.exists():  # else the only copy is there: better under an odd name than gone
            shutil.rmtree(aside, ignore_errors=True)


def unwritable(path: Path, error: OSError) -> InputError:
    """The one line for a write that failed."""
    return InputError(f"{path}: cannot be written ({error.strerror or error}); free space or choose another place")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
