"""Which files a path, folder or pattern means, and what each one's results are called."""

import glob
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scaseg.data.images import SUFFIXES
from scaseg.data.listing import walk
from scaseg.errors import UserError
from scaseg.trained.record import Results, clashes

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts", ".m2ts")
)
LONGEST = 180  # bytes of a name: what is added to it must fit into a file's


@dataclass(frozen=True)
class Input:
    """A file and its results' name: its path below the input folder, without suffix where that is unambiguous."""

    path: Path
    name: PurePosixPath

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES


class Found(NamedTuple):
    """The inputs; how many other files lie beside them; how many results of this command were passed over."""

    inputs: list[Input]
    others: int
    results: int


def find_inputs(text: str, output: str | None = None) -> Found:
    """The inputs of a file, a folder (all below it that are called images or videos) or a pattern with *, ? or **.

    Sorted; hidden files and folders are left out, and links are followed. What a call of this command wrote is no
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
        root, called = path, SUFFIXES | VIDEO_SUFFIXES
        below = [Path(file) for file, _ in walk(str(path), deep=True)]
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
            what = f"is predictions of this command alone ({results} files), which are no inputs"
        raise UserError(f"input={text}: {what}")
    return Found([Input(file, name) for file, name in zip(kept, _names(kept, root), strict=True)], others, results)


def _names(files: Sequence[Path], root: Path) -> list[PurePosixPath]:
    """A name for each, so that no results of two share a place: without suffix, else with it, else with a hash."""
    whole = [PurePosixPath(file.relative_to(root).as_posix()) for file in files]
    forms = [(_short(_bare(name)), _short(name), _hashed(name)) for name in whole]
    videos = [file.suffix.lower() in VIDEO_SUFFIXES for file in files]
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
