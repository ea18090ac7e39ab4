"""Decoded files kept for the next epoch, in memory or on disk: what is read is the same to the last bit."""

import hashlib
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from scaseg.errors import UserError
from scaseg.files import replacing

log = logging.getLogger("scaseg")
Kind = TypeVar("Kind", bound=np.generic)
SHARED_MEMORY = Path("/dev/shm")  # a folder in memory, which all loader processes see
_PREFIX = "scaseg-cache-"
_FORM = 2  # of entries; 1 had images as stored, whatever their EXIF orientation


class Cache:
    """Arrays in a folder, each written by whoever decodes its file first, and mapped into memory by all.

    where: `ram`, for a folder in shared memory that goes with this process, or a folder to keep. An entry's name
    holds the file's path, time and size, so that a changed file is decoded anew. Where there is no room left, the
    rest is decoded each time.
    """

    def __init__(self, where: str):
        self.full = False
        if where == "ram":
            self.folder = _in_memory()
            weakref.finalize(self, _remove, str(self.folder), os.getpid())
        else:
            self.folder = Path(where)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"hardware.cache={where}: no such folder can be made ({error.strerror})") from error

    def get(self, path: str, decode: Callable[..., npt.NDArray[Kind]], *options: Any) -> npt.NDArray[Kind]:
        """`decode(path, *options)`, from the cache where it is there. The array may be written to."""
        try:
            stat = os.stat(path)  # noqa: PTH116 (Path is slower)
        except OSError:
            return decode(path, *options)  # which says what is wrong
        key = f"{_FORM} {os.path.abspath(path)} {stat.st_mtime_ns} {stat.st_size} {decode.__name__} {options}"  # noqa: PTH100
        digest = hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
        entry = self.folder / digest[:2] / f"{digest[2:]}.npy"
        try:
            return np.load(entry, mmap_mode="c").view(np.ndarray)  # type: ignore[no-any-return]
        except (OSError, ValueError, EOFError):
            array = decode(path, *options)
        if not self.full:
            self._store(entry, array)
        return array

    def _store(self, entry: Path, array: npt.NDArray[Any]) -> None:
        try:
            entry.parent.mkdir(exist_ok=True)
            with replacing(entry, durable=False) as beside:
                np.save(beside, array)
        except (OSError, UserError) as error:  # the second says that there is no room
            self.full = True
            why = "is full" if isinstance(error, UserError) else f"cannot be written to: {error}"
            log.warning("hardware.cache: %s %s; what is not in it yet is decoded each time", self.folder, why)


def _in_memory() -> Path:
    """A new folder in shared memory, removed when this process ends; those of processes that were killed go now."""
    if not SHARED_MEMORY.is_dir():
        raise UserError(f"hardware.cache=ram needs {SHARED_MEMORY}, which this machine lacks: name a folder instead")
    for old in SHARED_MEMORY.glob(f"{_PREFIX}*"):
        pid = old.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists() and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=SHARED_MEMORY))


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:  # loader processes inherit this
        shutil.rmtree(folder, ignore_errors=True)
