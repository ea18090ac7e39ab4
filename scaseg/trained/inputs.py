"""Which files a path, folder or pattern means, and what each one's results are called."""

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scaseg.data.georeference import is_map
from scaseg.data.images import ARRAY, SUFFIXES
from scaseg.data.listing import walk
from scaseg.errors import UserError
from scaseg.trained.record import Results, clashes

VIDEO_SUFFIXES = frozenset(
    (
        *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts", ".m2ts"),
        *(".ogv", ".flv", ".m2v", ".vob", ".asf"),
    )
)
# How their content begins: MP4 and MOV, Matroska, AVI, Ogg, FLV, MPEG, WMV, transport streams, bare H.264.
_VIDEO = re.compile(
    rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI |OggS|FLV\x01|\0\0\x01[\xb3\xba]|\x30\x26\xb2\x75\x8e\x66"
    rb"|G.{187}G|.{4}G.{191}G|\0\0\0\x01[\x27\x67]",
    re.DOTALL,
)
_IMAGE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM.{4}\0{4}|RIFF.{4}WEBP|II[*+]\0|MM\0[*+]|.{4}ftyp(hei|hev|mif|avi)", re.DOTALL
)
LONGEST = 180  # bytes of a name: what is added to it must fit into a file's


@dataclass(frozen=True)
class Input:
    """A file and its results' name: its path below the input folder, without suffix where that is unambiguous.

    is_map: see scaseg.data.georeference.
    """

    path: Path
    name: PurePosixPath
    is_video: bool
    is_map: bool = False


class Found(NamedTuple):
    """The inputs; how many other files lie beside them; how many results of ours were passed over."""

    inputs: list[Input]
    others: int
    results: int


def find_inputs(text: str, output: str | None = None) -> Found:
    """The inputs of a file, a folder (all below it that are called images or videos) or a pattern with *, ? or **.

    Of a folder without either, its arrays.

    Sorted; hidden files and folders are left out, and links are followed. What a call of ours wrote is no
    input, wherever it lies. Raises UserError where there is none, and where `output` is the folder of inputs itself.
    """
    path = Path(text).expanduser()
    earlier, others = Results(), 0
    if path.is_dir():
        if output is not None and Path(output).resolve() == path.resolve():
            raise UserError(
                f"output={output} is the input's own folder, and results would lie among the images: name another,"
                f" such as output={path / 'predictions'}"
            )
        below = [Path(file) for file, _ in walk(str(path), deep=True)]
        root, called = path, SUFFIXES | VIDEO_SUFFIXES
        if not any(file.suffix.lower() in called for file in below):
            called |= {ARRAY}
        found = [file for file in below if file.suffix.lower() in called]
        others = sum(file.suffix.lower() not in called and not earlier.holds(file) for file in below)
    elif path.exists():
        root, found = path.parent, [path]
    else:
        found = sorted(file for match in glob.iglob(str(path), recursive=True) if (file := Path(match)).is_file())  # noqa: PTH207 (Path.glob takes no absolute pattern)
        root = _fixed_part(path)
    kept = [file for file in found if not earlier.holds(file)]
    results = len(found) - len(kept)
    if not kept:
        what = "holds no image and no video" if path.is_dir() else "no such file, and as a pattern it matches none"
        if results:
            what = f"is results of scaseg alone ({results} files), which are no inputs"
        raise UserError(f"input={text}: {what}")
    videos = [is_video(file) for file in kept]
    named = zip(kept, _names(kept, videos, root), videos, strict=True)
    return Found([Input(*each, is_map(str(each[0]))) for each in named], others, results)


def is_video(file: Path) -> bool:
    """By its content, where that tells, as images are read; else by its name."""
    start = b""
    with suppress(OSError), file.open("rb") as opened:  # who reads it says what is wrong
        start = opened.read(256)
    if _IMAGE.match(start):
        return False
    return bool(_VIDEO.match(start)) or file.suffix.lower() in VIDEO_SUFFIXES


def _names(files: Sequence[Path], videos: Sequence[bool], root: Path) -> list[PurePosixPath]:
    """A name for each, so that no results of two share a place: without suffix, else with it, else with a hash."""
    whole = [PurePosixPath(file.relative_to(root).as_posix()) for file in files]
    forms = [(_short(_bare(name)), _short(name), _hashed(name)) for name in whole]
    level = [0] * len(files)
    while hit := clashes(
        zip((form[k] for form, k in zip(forms, level, strict=True)), videos, strict=True), inner=False
    ):
        least = min(level[i] for i in hit)
        if least == len(forms[0]) - 1:
            raise UserError(f"the results of {files[min(hit)]} would take the place of others: rename it")
        level = [k + (i in hit and k == least) for i, k in enumerate(level)]
    return [form[k] for form, k in zip(forms, level, strict=True)]


def _bare(name: PurePosixPath) -> PurePosixPath:
    stem, _ = os.path.splitext(name.name)  # noqa: PTH122 (pathlib takes "..jpg" for no name at all)
    return name.with_name(stem) if stem.strip(".") else name


def _short(name: PurePosixPath) -> PurePosixPath:
    return name if len(os.fsencode(name.name)) <= LONGEST else _hashed(name)


def _hashed(name: PurePosixPath) -> PurePosixPath:
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return name.with_name(os.fsencode(name.name)[:LONGEST].decode(errors="ignore") + f"-{digest}")


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before its first wildcard."""
    parts = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
