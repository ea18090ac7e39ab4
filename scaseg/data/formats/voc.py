"""Pascal VOC's layout: SegmentationClass/NAME.png and JPEGImages/NAME.jpg, as CVAT's segmentation masks have it too.

Masks are colours or palette indices. What they mean is, whichever is there first: labelmap.txt (CVAT's, lines of
`label:r,g,b:parts:actions`, https://docs.cvat.ai/docs/dataset_management/formats/format-smask), class_names.txt (of
labelme's labelme2voc: a line a class, the first one __ignore__), else the 21 classes of VOC 2012. Its border colour,
224, 224, 192, is ignored.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scaseg.data.formats.export import IGNORED, Export, Label
from scaseg.data.formats.files import Place
from scaseg.data.formats.numbered import (
    Numbers,
    as_colours,
    hexadecimal,
    listed_splits,
    packed,
    pairs,
    read_upright,
)
from scaseg.data.labels import Colour
from scaseg.data.listing import images_in, masks_in
from scaseg.data.masks import Stored
from scaseg.data.text import read_lines
from scaseg.data.voc import VOC
from scaseg.errors import UserError

MASKS, IMAGES = ("SegmentationClass", "SegmentationClassPNG"), "JPEGImages"
LABELMAP, NAMES = "labelmap.txt", "class_names.txt"
BORDER = packed(VOC.labels.ignore_colour)


def recognised(place: Place) -> list[Path]:
    """The folder of masks, where it is one of these, of the source or of a folder in it."""
    found = [path for name in MASKS for depth in ("", "*/", "*/*/") for path in place.folder.glob(f"{depth}{name}")]
    return [path for path in found if path.is_dir()][:1] if place.source.is_dir() else []


def read(place: Place) -> Export:
    """The masks that have an image; splits are those of ImageSets/Segmentation."""
    found = recognised(place)
    if not found:
        raise UserError(f"source={place.source}: no folder SegmentationClass, as Pascal VOC's layout has it")
    masks, root = found[0], found[0].parent
    folder = root / (IMAGES if place.images == Place.images else place.images)
    if not folder.is_dir():
        raise UserError(
            f"{root}: no folder {folder.name} with the images, which CVAT exports where `Save images` is chosen: name"
            " theirs, dataset.images=FOLDER"
        )
    labels = _labels(root)
    by_colour = _by_colour(labels, root)
    splits = listed_splits(root / "ImageSets/Segmentation")
    read_colours = partial(_colours, [label.colour for label in labels])
    images, notes = pairs(
        images_in(folder, deep=True),
        masks_in(masks, ".png", deep=True),
        read_colours,
        by_colour,
        hexadecimal,
        splits,
    )
    return Export([label for label in labels if label.key != IGNORED], images, notes)


def _by_colour(labels: Sequence[Label], root: Path) -> dict[int, str]:
    found = {BORDER: IGNORED}
    for label in labels:
        colour = packed(label.colour or (0, 0, 0))
        if found.get(colour, label.key) != label.key and colour != BORDER:
            raise UserError(
                f"{root / LABELMAP}: {found[colour]} and {label.key} have one colour, {hexadecimal(colour)}"
            )
        found[colour] = label.key
    return found


def _labels(root: Path) -> list[Label]:
    if (root / LABELMAP).is_file():
        return [_of_line(line, number, root / LABELMAP) for number, line in enumerate(_lines(root / LABELMAP))]
    if (root / NAMES).is_file():
        names = [line.strip() for line in read_lines(root / NAMES)]
        names = names[1:] if names[0] == IGNORED else names
        return [Label(name, name, _palette(number)) for number, name in enumerate(names)]
    table = VOC.labels
    return [Label(name, name, colour) for name, colour in zip(table.names, table.colours, strict=True)]


def _lines(path: Path) -> list[str]:
    return [line for line in read_lines(path) if not line.lstrip().startswith("#")]


def _of_line(line: str, number: int, path: Path) -> Label:
    name, _, rest = line.strip().partition(":")
    text = rest.partition(":")[0]
    try:
        colour = tuple(int(part) for part in text.split(",")) if text.strip() else _palette(number)
        if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
            raise ValueError(text)
    except ValueError as error:
        raise UserError(f"{path}: {line.strip()} is not label:red,green,blue:parts:actions") from error
    return Label(name.strip(), name.strip(), (colour[0], colour[1], colour[2]))


def _palette(number: int) -> Colour:
    """VOClabelcolormap.m: bit k of the number goes, by turns, to the high bits of red, green and blue."""
    red, green, blue = (sum(((number >> (3 * k + c)) & 1) << (7 - k) for k in range(3)) for c in range(3))
    return red, green, blue


def _colours(labels: Sequence[Colour | None], path: str) -> Numbers:
    """Colours, of greys those of the labels in their order, as a mask of one channel means them."""
    found: Numbers | None = read_upright(path, partial(_meant, labels))
    if found is None:
        raise UserError(f"{path} holds 16-bit numbers, and this layout colours or indices: export it again")
    return found


def _meant(labels: Sequence[Colour | None], stored: Stored) -> Numbers | None:
    if stored.values.ndim == 3 or stored.palette is not None:
        return as_colours(stored)
    palette = np.array([_palette(number) for number in range(256)], np.uint8)
    palette[255] = VOC.labels.ignore_colour
    palette[: len(labels)] = [colour or (0, 0, 0) for colour in labels]
    return as_colours(stored._replace(palette=palette))
