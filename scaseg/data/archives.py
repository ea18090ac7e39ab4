"""From a release's archives to its folder: nothing leaves the folder, nothing there is overwritten."""

import gzip
import lzma
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
from scaseg.files import replacing

Report = Callable[[int, int], None]
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error),
    *(EOFError, NotImplementedError),
)


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
    member that would leave the folder, by its name or through a symbolic link in the folder, and for a file that is
    there with another size; also for an archive that is cut short or damaged. The folder itself may be a link.
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
    except _DAMAGE as error:
        why = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise UserError(f"{archive} is cut short or damaged ({why}): download it again") from error
    except OSError as error:
        raise UserError(f"{error.filename or archive}: {error.strerror or error}; {archive} is not unpacked") from error
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
        if not member.target.exists() and (link := link_within(folder, member.target)):
            raise UserError(
                f"{link} is a symbolic link, through which {archive} would be unpacked elsewhere: put a folder or file"
                " of its own in its place; nothing of this archive was unpacked"
            )
        if member.target.exists() and member.target.stat().st_size != member.size:
            raise UserError(
                f"{member.target} is there with {member.target.stat().st_size} bytes, {archive} has"
                f" {member.size} for it: nothing is overwritten; move one of them away"
            )
    return found


def link_within(folder: Path, path: Path) -> Path | None:
    """The first symbolic link on the way from `folder`, itself left out, down to `path`, itself included."""
    steps = [path, *path.parents][: len(path.parts) - len(folder.parts)]
    return next((step for step in reversed(steps) if step.is_symlink()), None)


def _write(source: IO[bytes], member: Member, archive: Path) -> None:
    member.target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(member.target, durable=False) as beside:
        beside.unlink(missing_ok=True)
        with beside.open("xb") as file:  # not through a link of this name
            shutil.copyfileobj(source, file, 1 << 20)
        if beside.stat().st_size != member.size:
            raise UserError(f"{archive} is cut short at {member.name}: download it again")


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
