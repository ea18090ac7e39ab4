"""From a release's archives to its folder: nothing leaves the folder, nothing there is overwritten."""

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from scaseg.errors import UserError

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Member:
    """A regular file in an archive, and where it goes."""

    name: str
    size: int
    target: Path


class Opened(Protocol):
    """What zip and tar have in common: (name, size, whether it is a link or device), and a member's bytes."""

    def members(self) -> Iterator[tuple[str, int, bool]]: ...
    def open(self, name: str) -> IO[bytes]: ...


def unpack(archive: Path, places: Mapping[str, str], folder: Path, report: Report | None = None) -> tuple[int, int]:
    """Write the archive's members into the folder, by `places` (prefix there -> prefix here).

    Returns how many files were written and how many were there already, of the same size. Each is written beside its
    place and renamed, so that a call that was cut off can be repeated. UserError, before anything is written, for a
    member that would leave the folder and for a file that is there with another size; also for an archive that is
    cut short or damaged.
    """
    try:
        with _opened(archive) as opened:
            wanted = _wanted(opened, archive, places, folder)
            total, done, kept = sum(member.size for member in wanted), 0, 0
            for member in wanted:
                if member.target.exists():
                    kept += 1
                else:
                    with opened.open(member.name) as source:
                        _write(source, member, archive)
                done += member.size
                if report is not None:
                    report(done, total)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise UserError(f"{archive} is cut short or damaged ({why}): download it again") from error
    if not wanted:
        raise UserError(f"{archive} holds nothing under {', '.join(places)}: is it the archive it is named after?")
    return len(wanted) - kept, kept


def _wanted(opened: Opened, archive: Path, places: Mapping[str, str], folder: Path) -> list[Member]:
    found: list[Member] = []
    for name, size, special in opened.members():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or (path.parts and path.parts[0].endswith(":")):
            raise UserError(f"{archive}: member {name} would leave {folder}; nothing of this archive was unpacked")
        prefix = next((prefix for prefix in places if str(path).startswith(prefix)), None)
        if prefix is None or any(part.startswith((".", "__MACOSX")) for part in path.parts):
            continue
        if special:
            raise UserError(f"{archive}: member {name} is a link or device; nothing of this archive was unpacked")
        found.append(Member(name, size, folder / (places[prefix] + str(path)[len(prefix) :])))
    for member in found:
        if member.target.exists() and member.target.stat().st_size != member.size:
            raise UserError(
                f"{member.target} is there with {member.target.stat().st_size} bytes, {archive} has"
                f" {member.size} for it: nothing is overwritten; move one of them away"
            )
    return found


def _write(source: IO[bytes], member: Member, archive: Path) -> None:
    member.target.parent.mkdir(parents=True, exist_ok=True)
    beside = member.target.with_name(member.target.name + ".part")
    with beside.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if beside.stat().st_size != member.size:
        beside.unlink()
        raise UserError(f"{archive} is cut short at {member.name}: download it again")
    os.replace(beside, member.target)  # noqa: PTH105


@contextmanager
def _opened(archive: Path) -> Iterator[Opened]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield _Zip(packed)
    elif archive.suffix == ".zip":
        raise UserError(f"{archive} is no whole zip file (its end is missing): download it again")
    else:
        with tarfile.open(archive) as tar:
            yield _Tar(tar)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile):
        self.archive = archive

    def members(self) -> Iterator[tuple[str, int, bool]]:
        for info in self.archive.infolist():
            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16)
                yield info.filename, info.file_size, kind not in (0, stat.S_IFREG)

    def open(self, name: str) -> IO[bytes]:
        return self.archive.open(name)  # its end compares the checksum


class _Tar:
    def __init__(self, archive: tarfile.TarFile):
        self.archive = archive

    def members(self) -> Iterator[tuple[str, int, bool]]:
        for info in self.archive.getmembers():
            if not info.isdir():
                yield info.name, info.size, not info.isreg()

    def open(self, name: str) -> IO[bytes]:
        file = self.archive.extractfile(name)
        assert file is not None
        return file
