"""Writing files and folders whole or not at all, and one process at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asnn_deploy.errors import InputError

LOCK = ".lock"
"""In a folder that a process is writing to."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`; it takes its place when the block ends well, else it goes.

    Raises InputError naming the path where the disk is full or the folder cannot be written.
    """
    path = Path(path).resolve()  # what a link points to is replaced, not the link
    temporary: Path | None = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            yield path  # a device or a pipe is written to, never replaced
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _next_to(path, lambda name: name.touch(exist_ok=False))
        mode = (path if path.exists() else temporary).stat().st_mode & 0o777
        yield temporary
        temporary.chmod(mode)  # in the end: some writers put a file of their own there
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, check: Callable[[Path], None]) -> Iterator[Path]:
    """Like `replacing`, for a folder: the old one stays whole until the new one is.

    check: raises if a folder is not to be replaced. What stands at `path` in the end is looked at where nobody else
    can reach it, so that what another process has put there meanwhile stays too.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _next_to(path, Path.mkdir)
        yield temporary
        _take_place(temporary, path, check)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _next_to(path: Path, make: Callable[[Path], None]) -> Path:
    """Make something under a new name next to `path`, with the permissions that the user's umask gives."""
    while True:
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
        with suppress(FileExistsError):
            make(temporary)
            return temporary


def _take_place(new: Path, path: Path, check: Callable[[Path], None]) -> None:
    """Put a folder where another one may be; whatever happens, `path` is the old one or the new one."""
    if not path.exists():
        os.replace(new, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    try:
        os.replace(path, aside / path.name)
        check(aside / path.name)
        os.replace(new, path)
    except BaseException as error:
        if (aside / path.name).exists() and not path.exists():
            os.replace(aside / path.name, path)
        if isinstance(error, InputError):
            check(path)  # says the same, with the name that the user knows
        raise
    else:
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        with suppress(OSError):  # not empty: the only copy is there, better under an odd name than gone
            aside.rmdir()


def check_place(path: Path, folder: bool = True) -> None:
    """Raise InputError if it is plain, before anything is written, that nothing can be written at `path`.

    folder: whether it may be a folder that is there.
    """
    if not folder and path.is_dir():
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    place = next(parent for parent in (path.absolute(), *path.absolute().parents) if os.path.lexists(parent))
    if place != path.absolute() and not place.is_dir():
        raise unwritable(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not os.access(place, os.W_OK):
        code = errno.EACCES if place.exists() else errno.ENOENT
        raise unwritable(path, OSError(code, os.strerror(code)))


def unwritable(path: Path, error: OSError) -> InputError:
    """The one line for a write that failed."""
    return InputError(f"{path}: cannot be written ({error.strerror or error}); free space or choose another place")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def making_folder(path: Path) -> Iterator[None]:
    """Make a folder and its parents; those that this made, and no one else, go in the end if they are empty.

    Raises InputError if one cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in (*reversed(path.parents), path):
            try:
                folder.mkdir()
                made.append(folder)
            except OSError as error:
                if not folder.is_dir():
                    raise unwritable(path, error) from error
        yield
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # refused by the system if it holds anything
                folder.rmdir()


@contextmanager
def holding_folder(path: Path) -> Iterator[None]:
    """Make a folder if it is absent, and be the only process that writes to it. What is looked for in the block, and
    not there, is not there until the block writes it.

    Raises InputError if another process holds the folder, or if it cannot be written.
    """
    with making_folder(path):
        try:
            descriptor = _lock(path / LOCK)
        except BlockingIOError:
            raise InputError(
                f"{path}: another process is writing to it; wait until it has ended, or choose another folder"
            ) from None
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            yield
        finally:
            (path / LOCK).unlink(missing_ok=True)
            os.close(descriptor)


def _lock(file: Path) -> int:
    """Open and lock a file. Raises BlockingIOError if another process has locked it."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            _lock_descriptor(descriptor)
            if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor
        except FileNotFoundError:
            pass  # whoever held it has ended since it was opened: this lock is on a name that is gone
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock_descriptor(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # no locks on this system
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # no locks on this file system
        return


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    value = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            value.update(block)
    return value.hexdigest()


def claim_folder(path: Path, marker: str) -> None:
    """`path` may be written: it is absent, empty, or holds what `marker` shows to be ours. Raises InputError."""
    if path.is_dir() and ((path / marker).is_file() or all(entry.name == LOCK for entry in path.iterdir())):
        return
    if path.exists():
        what = (
            "exists and is a file"
            if path.is_file()
            else f"exists and was not made by this command (it has no {marker})"
        )
        raise InputError(f"{path}: {what}; choose another place")


DAMAGE = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError),
)
"""What reading a damaged .npz file or a foreign header may raise."""


def describe(error: Exception) -> str:
    """An exception's text on one line, its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
