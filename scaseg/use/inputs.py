"""Which files a path, folder or pattern means, and what each one's results are called."""

import glob
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scaseg.errors import UserError
from scaseg.use.pictures import SUFFIXES, VIDEO_SUFFIXES


@dataclass(frozen=True)
class Input:
    """A file and its results' name: its path below the input folder, without suffix where that is unambiguous."""

    path: Path
    name: PurePosixPath

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_inputs(text: str) -> tuple[list[Input], int]:
    """The inputs of a file, a folder (all below it that are called images or videos) or a pattern with *, ? or **.

    Also the number of files in the folder that are called neither. Sorted; hidden files and folders are left out.
    Raises UserError where there is none.
    """
    path = Path(text).expanduser()
    others = 0
    if path.is_dir():
        root, found = path, []
        for file in sorted(path.rglob("*")):
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts):
                if file.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES:
                    found.append(file)
                else:
                    others += 1
    elif path.exists():
        root, found = path.parent, [path]
    else:
        found = sorted(file for match in glob.iglob(str(path), recursive=True) if (file := Path(match)).is_file())  # noqa: PTH207 (Path.glob takes no absolute pattern)
        root = _fixed_part(path)
    if not found:
        what = "holds no image and no video" if path.is_dir() else "no such file, and as a pattern it matches none"
        raise UserError(f"input={text}: {what}")
    plain = [PurePosixPath(file.relative_to(root).with_suffix("").as_posix()) for file in found]
    taken = Counter(str(name).lower() for name in plain)  # file systems may not tell cases apart
    names = [
        name if taken[str(name).lower()] == 1 else PurePosixPath(file.relative_to(root).as_posix())
        for file, name in zip(found, plain, strict=True)
    ]
    return [Input(file, name) for file, name in zip(found, names, strict=True)], others


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before its first wildcard."""
    parts = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
