"""Images and masks brought together by their names, by lists too; and where that fails, what to do about it."""

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scaseg.data import images
from scaseg.data.listing import Listing, normal, split_suffix
from scaseg.data.masks import read_mask
from scaseg.data.text import read_lines
from scaseg.errors import UserError

_COLUMN = re.compile(r"\s*[,;\t]\s*|\s+")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_PART = re.compile(r"(?=[_.\- ])")  # where a suffix may begin
_UNREAD = {
    "image": "it is none of the kinds that are read (JPEG, PNG, WebP, TIFF, BMP, ...): save it as one of them",
    "mask": "masks are 8-bit PNG, BMP or TIFF of class ids (JPEG blurs them): export it as one of them",
}


class Pair(NamedTuple):
    """An image and its mask, None in a split without. `name` is the sample's name in lists and in results."""

    name: str
    image: str
    mask: str | None


def listed(path: Path, known: Collection[str], image_suffix: str = "", mask_suffix: str = ".png") -> list[str]:
    """The samples that a list file names, one a line: NAME, with folders and the file's suffix or without.

    known: the images that are there. A line may have a second column, a number or the mask's file, which must then
    be the image's own. A name that is not known stays as it is written. UserError where one comes twice.
    """
    names = [_sample(line, known, image_suffix, mask_suffix, path) for line in read_lines(path)]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise UserError(f"{path} lists {twice} twice. Take one of the two lines out.")
    return names


def paired(
    where: str,
    found: Listing,
    masks: Listing | None,
    names: Sequence[str] | None = None,
    suffixes: tuple[str, str] | None = None,
) -> list[Pair]:
    """Images and masks of one name: of those listed, else of all. UserError for what is missing or left over.

    where: dataset and split, for messages. suffixes: those that were given; None: where none can be.
    """
    every = found.files.keys() | (masks.files.keys() if masks else ())
    wanted = sorted(every) if names is None else names
    for kind, there in ("image", found), ("mask", masks or found):
        missing = [name for name in wanted if name not in there.files]
        if missing:
            what = f"{where}: no {kind} for {missing[0]}"
            what += f" and {len(missing) - 1} more of {len(wanted)}" if len(missing) > 1 else ""
            raise UserError(what + _mend(kind, missing, found, masks, names is not None, suffixes))
    return [Pair(name, found.files[name], None if masks is None else masks.files[name]) for name in wanted]


def masks_among(names: Collection[str]) -> str | None:
    """The suffix by which masks among images are told from them, where a third of the names are others with it."""
    suffixes = Counter(
        name[at:] for name in names for at in _beginnings(name) if name[:at] in names and 0 < at < len(name)
    )
    suffix, count = next(iter(suffixes.most_common(1)), ("", 0))
    return suffix if suffix and 3 * count >= len(names) else None


def _mend(
    kind: str,
    missing: Sequence[str],
    found: Listing,
    masks: Listing | None,
    by_list: bool,
    suffixes: tuple[str, str] | None,
) -> str:
    there = found if kind == "image" else masks or found
    unread = next((path for path in there.others if normal(Path(path).stem) == missing[0].rpartition("/")[2]), None)
    if unread:
        return f", though {unread} is there: {_unread(kind, unread)}"
    case = next((path for name, path in there.files.items() if name.casefold() == missing[0].casefold()), None)
    if case:
        return f", though {case} is there: capitals and small letters are told apart, rename it"
    if suffixes and masks is not None and (ends := _suffixes(found, masks, suffixes)):
        image, mask = ends
        given = f"dataset.image_suffix={image} " if image else ""
        return f". The images are called NAME{image}, the masks NAME{mask}: {given}dataset.mask_suffix={mask}"
    if masks is not None and (starts := _starts(found, masks)):
        return ". The images are called {}NAME, the masks {}NAME, and only ends may differ: rename them".format(*starts)
    return (
        f". Put the {kind} there, or take the name out"
        + (" of the list." if by_list else ": delete the file without a partner.")
        + (" Many at once: an archive may be unpacked in part." if len(missing) > 1 else "")
    )


def _unread(kind: str, path: str) -> str:
    """Why a file of the right name is no partner: what it holds, or what it is called."""
    with suppress(UserError):
        height, width = images.size_and_turn(path)[0] if kind == "image" else read_mask(path).shape
        named = Path(path).stem + ".png"
        return f"it holds one, {width}x{height}, and files are looked for by their endings: call it {named}"
    return _UNREAD[kind]


def _suffixes(found: Listing, masks: Listing, given: tuple[str, str]) -> tuple[str, str] | None:
    """What follows the common name of an image and of its mask, where no two are called alike but for that."""
    if found.files.keys() & masks.files.keys():
        return None
    shown, drawn = _stems(found, given[0]), _stems(masks, split_suffix(given[1])[0])
    kinds = Counter(split_suffix(path)[1] for path in masks.files.values() or masks.others)
    for image in _endings(shown):
        for mask in _endings(drawn):
            bare = {name[: len(name) - len(image)] for name in shown}
            if bare & {name[: len(name) - len(mask)] for name in drawn} and "" not in bare:
                return image, mask + kinds.most_common(1)[0][0]
    return None


def _starts(found: Listing, masks: Listing) -> tuple[str, str] | None:
    """What comes before the common name of an image and of its mask, where no two are called alike but for that."""
    if not (found.files and masks.files) or found.files.keys() & masks.files.keys():
        return None
    shared = (_start(listing.files) for listing in (found, masks))
    image, mask = (start[: max(_beginnings(start), default=-1) + 1] for start in shared)
    same = {name[len(image) :] for name in found.files} & {name[len(mask) :] for name in masks.files}
    return (image, mask) if same else None


def _stems(listing: Listing, ending: str) -> list[str]:
    """Names with the ending that was looked for; where none has it, of what is there."""
    others = [path for path in listing.others if _bare(path) != path]
    return [name + ending for name in listing.files] or [normal(Path(path).stem) for path in others]


def _endings(names: Collection[str]) -> list[str]:
    """Nothing, and what all names end with, from a place where a suffix may begin; the shortest first."""
    if not names:
        return []
    common = _start([name[::-1] for name in names])[::-1]
    return ["", *(common[at:] for at in reversed(_beginnings(common)) if at < len(common))]


def _start(names: Collection[str]) -> str:
    """What all names begin with."""
    one, other = min(names), max(names)  # what these share, all do
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]


def _beginnings(text: str) -> list[int]:
    return [match.start() for match in _PART.finditer(text)]


def _sample(line: str, known: Collection[str], image_suffix: str, mask_suffix: str, path: Path) -> str:
    text = normal(line)
    for form in (text, text.strip()):
        if (name := _known(form, known, image_suffix)) is not None:
            return name
    text = text.strip()
    for gap in reversed(list(_COLUMN.finditer(text))):  # names may hold blanks: the longest that is known
        name, rest = _known(text[: gap.start()], known, image_suffix), text[gap.end() :]
        if name is not None and _NUMBER.fullmatch(rest):
            return name
        if name is not None and os.path.splitext(rest)[1].lower() in images.SUFFIXES:  # noqa: PTH122
            if _known(rest, (name,), split_suffix(mask_suffix)[0]) is None:
                raise UserError(
                    f"{path}: {text[: gap.start()]} is listed with {rest}, and a mask has its image's name: rename it"
                )
            return name
    return _bare(text)


def _known(text: str, known: Collection[str], ending: str) -> str | None:
    """The name that a path in a list means: with fewer and fewer of its folders, with its suffix or without."""
    parts = text.replace("\\", "/").split("/")
    for start in range(len(parts)):
        whole = "/".join(parts[start:])
        for name in (whole, _bare(whole), _bare(whole).removesuffix(ending)):
            if name in known:
                return name
    return text if text in known else None


def _bare(name: str) -> str:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return stem if suffix.lower() in images.SUFFIXES else name
