"""Exports whose labels are mask files: numbers or colours, paired with images by name."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.data.formats.export import Annotated, Numbered, split_of
from scaseg.data.labels import Colour
from scaseg.data.listing import Listing, normal
from scaseg.data.masks import Stored, read_stored
from scaseg.data.orientation import upright
from scaseg.data.text import read_lines

Numbers = npt.NDArray[np.int32]


def hexadecimal(colour: int | Colour) -> str:
    """#rrggbb."""
    return f"#{colour if isinstance(colour, int) else packed(colour):06x}"


def packed(colour: Sequence[int]) -> int:
    """Red, green and blue as one number."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def as_colours(stored: Stored) -> Numbers | None:
    """Each pixel's colour as one number, that of palette indices by the palette, greys with three equal parts.

    None for numbers of 16 bits.
    """
    bands = stored.values
    if bands.dtype == np.uint16:
        return None
    if bands.ndim == 2:
        grey = np.arange(256)[:, None].repeat(3, axis=1)
        palette = grey if stored.palette is None else np.zeros((256, 3), np.int64)
        if stored.palette is not None:
            palette[: len(stored.palette)] = stored.palette
        table = np.array([packed(colour) for colour in palette.tolist()], np.int32)
        found: Numbers = table[bands]
        return found
    wide = bands.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def as_numbers(stored: Stored) -> Numbers | None:
    """Ids as they are stored, of colours the grey; None for colours that are no greys."""
    bands = stored.values
    if bands.ndim == 2:
        return bands.astype(np.int32)
    if (bands[..., 0] == bands[..., 1]).all() and (bands[..., 0] == bands[..., 2]).all():
        return bands[..., 0].astype(np.int32)
    return None


def read_upright(path: str, meaning: Callable[[Stored], Any]) -> Any:
    """A mask's numbers, turned by an EXIF orientation of its own."""
    stored = read_stored(path)
    numbers = meaning(stored)
    return numbers if numbers is None else upright(numbers, stored.turn)


def pairs(
    images: Listing,
    masks: Listing,
    read: Callable[[str], Numbers],
    labels: Mapping[int, str],
    shown: Callable[[int], str],
    splits: Mapping[str, str] | None = None,
) -> tuple[list[Callable[[], Annotated]], list[str]]:
    """Those that have both an image and a mask, and lines about the others.

    splits: by name, those of train and val being all that count; None: the folders in names tell.
    """
    both = [name for name in images.files if name in masks.files]
    notes = []
    if splits and {"train", "val"} <= set(splits.values()):
        listed = [name for name in both if name in splits]
        if len(listed) < len(both):
            notes.append(f"{len(both) - len(listed)} images are in no list of a split: left out")
        both = listed
    for kind, one, other in (("masks", masks, images), ("images", images, masks)):
        alone = [name for name in one.files if name not in other.files]
        if alone:
            what = "image" if kind == "masks" else "mask"
            notes.append(f"{len(alone)} {kind} without {'an' if what == 'image' else 'a'} {what}, such as {alone[0]}")
    found: list[Callable[[], Annotated]] = []
    for name in both:
        path = masks.files[name]
        split = splits.get(name) if splits is not None else split_of(*name.split("/")[:-1][:1])
        plain = name.split("/", 1)[1] if split and splits is None else name
        mask = Numbered(path, partial(read, path), labels, shown)
        found.append(partial(Annotated, plain, (), path, mask=mask, split=split, path=images.files[name]))
    return found, notes


def listed_splits(folder: Path) -> dict[str, str]:
    """The split of each name in train.txt, val.txt and test.txt of a folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.txt")) if folder.is_dir() else ():
        if split := split_of(path.stem):
            found |= {normal(line.split()[0]): split for line in read_lines(path)}
    return found
