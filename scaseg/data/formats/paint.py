"""From an image's shapes, or from a mask of numbers, to the ids that its mask is written with."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from scaseg.data.formats.export import Annotated, Numbered, Region, understood
from scaseg.data.formats.numbering import Numbering
from scaseg.data.labels import Mask
from scaseg.data.sizes import Size
from scaseg.errors import UserError


@dataclass
class Painted:
    """A mask (H, W) and what became of its shapes.

    shapes: of each label. over: pixels of (upper label, lower label) where they overlap. invisible: shapes without a
    pixel, being outside the image or thinner than one. dropped: shapes that the table leaves out.
    """

    mask: Mask
    shapes: Counter[str] = field(default_factory=Counter)
    over: Counter[tuple[str, str]] = field(default_factory=Counter)
    invisible: int = 0
    dropped: int = 0


def paint(image: Annotated, size: Size, numbering: Numbering) -> Painted:
    """The mask of an image of such a size, shapes in their order, later ones over earlier ones; of a mask its own."""
    if image.mask is not None:
        return _numbered(image.mask, numbering)
    painted = Painted(np.full(size, numbering.background, np.uint8))
    owner = np.zeros(size, np.uint16)  # the place of its label in `labels`, 0 where nothing is drawn yet
    labels = ["", *dict.fromkeys(shape.label for shape in image.shapes)]
    for shape in image.shapes:
        if shape.label not in numbering.ids:
            raise UserError(f"{image.where}: label {shape.label} is none of the export's own list: export it again")
        number = numbering.ids[shape.label]
        if number is None:
            painted.dropped += 1
            continue
        with understood(image.where):
            region = _within(shape.draw(size), size)
        rows = slice(region.top, region.top + region.inside.shape[0])
        columns = slice(region.left, region.left + region.inside.shape[1])
        place = labels.index(shape.label)
        below = np.bincount(owner[rows, columns][region.inside], minlength=len(labels))
        for under in np.flatnonzero(below[1:]) + 1:
            if under != place:
                painted.over[shape.label, labels[under]] += int(below[under])
        painted.shapes[shape.label] += 1
        painted.invisible += not below.sum()
        painted.mask[rows, columns][region.inside] = number
        owner[rows, columns][region.inside] = place
    return painted


def _numbered(mask: Numbered, numbering: Numbering) -> Painted:
    numbers = mask.read()
    values, inverse = np.unique(numbers, return_inverse=True)
    if unknown := [value for value in values.tolist() if value not in mask.labels]:
        known = ", ".join(mask.shown(value) for value in list(mask.labels)[:8])
        raise UserError(
            f"{mask.path} holds {', '.join(map(mask.shown, unknown[:5]))}{' and more' * (len(unknown) > 5)}, which the"
            f" list of labels does not have (it has {known}{', ...' * (len(mask.labels) > 8)}). Is it smoothed, or of"
            " another export?"
        )
    keys = [mask.labels[value] for value in values.tolist()]
    ids = [numbering.ids[key] for key in keys]
    written = np.array([numbering.background if number is None else number for number in ids], np.uint8)
    return Painted(written[inverse.reshape(numbers.shape)], Counter(dict.fromkeys(keys, 1)), dropped=ids.count(None))


def _within(region: Region, size: Size) -> Region:
    """The part of a region that lies in an image."""
    inside = region.inside[max(0, -region.top) :, max(0, -region.left) :]
    top, left = max(0, region.top), max(0, region.left)
    return Region(inside[: max(0, size[0] - top), : max(0, size[1] - left)], top, left)
