"""Files written whole or not at all: beside their place, flushed to disk, then renamed."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scaseg.errors import UserError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path: Path, durable: bool = True, size: int = 0) -> Iterator[Path]:
    """A path beside `path` to write to; when the block ends well it takes the place of `path`, else it is removed.

    Its suffix is that of `path`, as writers go by it. Whenever the program is killed, `path` is what it was before or
    the new file whole; `durable`: so it is after a power cut, at the cost of waiting for the disk. The folder must
    exist. Raises UserError, with the space that is left, where the disk is full; size: bytes that will be written,
    where that is known.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield beside
        put(beside, path, durable)
    except OSError as error:
        written = beside.stat().st_size if beside.exists() else 0
        with suppress(OSError):
            beside.unlink()
        if error.errno in NO_SPACE:
            raise no_space(path, max(size, written)) from error
        raise
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def put(beside: Path, path: Path, durable: bool = True) -> None:
    """Give a file or folder that was written whole beside its place its name; see `replacing`."""
    if durable:
        _flush(beside)
    beside.replace(path)
    if durable:
        _flush(path.parent)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, which must be new or empty, to write files into; it becomes `folder` where all is well.

    Raises UserError where `folder` holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already and is not an empty folder; name another")
    beside = folder.with_name(folder.name + ".part")
    try:
        beside.mkdir(parents=True, exist_ok=True)
        yield beside
        put(beside, folder, durable=False)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def output_file(option: str, path: Path) -> Iterator[Path]:
    """As `replacing`, for a file of the user's choice: its folder is made, and UserError names the option and why not.

    Within the block nothing but this file may be touched: any OSError is taken for one of it.
    """
    check_writable(option, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=False) as beside:
            yield beside
    except OSError as error:
        raise UserError(f"{option}={path} cannot be written ({error.strerror}): name another place") from error


def check_writable(option: str, path: Path) -> None:
    """UserError where nothing can be made at `path`: asked before minutes of work, as the answer may come after."""
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not there.is_dir() and there != path:
        raise UserError(f"{option}={path}: {there} is a file, not a folder; name another place")
    try:
        with tempfile.TemporaryFile(dir=there if there.is_dir() else there.parent):  # more than os.access: of any disk
            pass
    except OSError as error:
        raise UserError(f"{option}={path}: {there} cannot be written to ({error.strerror}); name another") from error


def write_bytes(path: Path, data: bytes | memoryview, durable: bool = True) -> None:
    """Write bytes, whole or not at all; see `replacing`."""
    with replacing(path, durable, len(data)) as beside:
        beside.write_bytes(data)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write UTF-8 text, line ends as they are."""
    write_bytes(path, text.encode(), durable)


def write_json(path: Path, content: Any, durable: bool = True) -> None:
    """Write JSON that any reader takes: nan and infinities are a ValueError."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n", durable)


def no_space(path: Path, needed: int) -> UserError:
    """What to say where `path`, of at least `needed` bytes, does not fit on its disk."""
    left = shutil.disk_usage(path.parent).free
    return UserError(
        f"{path}: no space left on its disk ({left / 2**20:.1f} MB free, {needed / 2**20:.1f} MB needed);"
        " what was there before is kept. Make room, then give the same command"
    )


def _flush(path: Path) -> None:
    """To the disk itself: a rename may outlive a power cut that the content does not."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
            raise
    finally:
        os.close(handle)
