"""What was made of an export, counted while it is read, and said for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from scaseg.aligned import aligned
from scaseg.data.formats.export import IGNORED, Annotated
from scaseg.data.formats.numbering import Numbering
from scaseg.data.formats.paint import Painted

_PAIRS = 5  # pairs of labels whose overlap is spelled out


@dataclass
class Made:
    """images: written, by split. labels: shapes of each, or masks; in_images: in how many. pixels: of each id.

    over: pixels of (upper label, lower label), over_images: in how many images. passed: what has no area, by kind.
    missing: images that the export names and that are not there. empty: images without a shape. embedded: taken from
    the export itself. turned: whose labels belonged to the pixels as stored.
    """

    images: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    in_images: Counter[str] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    over: Counter[tuple[str, str]] = field(default_factory=Counter)
    over_images: Counter[tuple[str, str]] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    empty: int = 0
    embedded: int = 0
    turned: int = 0
    invisible: int = 0
    dropped: int = 0

    def add(self, image: Annotated, painted: Painted) -> None:
        """One image more."""
        self.labels += painted.shapes
        self.in_images.update(painted.shapes.keys())
        self.over += painted.over
        self.over_images.update(painted.over.keys())
        self.passed.update(image.passed)
        self.invisible += painted.invisible
        self.dropped += painted.dropped
        self.empty += image.mask is None and not painted.shapes
        counts = np.bincount(painted.mask.ravel(), minlength=256)
        self.pixels.update({int(raw): int(counts[raw]) for raw in np.flatnonzero(counts)})

    def lines(self, numbering: Numbering, masks: bool, notes: Sequence[str]) -> list[str]:
        """A table of the labels, and a line about each thing that is not as plain as that.

        masks: whether the export has masks and no shapes.
        """
        names = {row.ids[0]: f"{row.name} (ignored)".strip() if row.ignore else row.name for row in numbering.rows}
        head = ["label", "masks"] if masks else ["label", "shapes", "images"]
        rows = [[*head, "id", "class"]]
        for label, count in sorted(self.labels.items(), key=lambda one: (numbering.ids[one[0]] or 0, one[0])):
            raw = numbering.ids[label]
            called = "(ignored)" if label == IGNORED else label
            counts = [str(count)] if masks else [str(count), str(self.in_images[label])]
            rows.append([called, *counts, *(("-", "dropped") if raw is None else (str(raw), names[raw]))])
        told = [aligned(rows), ""] if self.labels else []
        told.append("images: " + ", ".join(f"{count} {split}".strip() for split, count in self.images.items()))
        for (upper, lower), pixels in self.over.most_common(_PAIRS):
            told.append(f"overlap: {upper} over {lower}, {pixels} pixels in {_of(self.over_images[upper, lower])}")
        if len(self.over) > _PAIRS:
            told.append(f"overlap: {len(self.over) - _PAIRS} more pairs of labels")
        told += [f"not drawn: {count} x {what}" for what, count in self.passed.items()]
        counted = {
            "without a pixel, outside the image or thinner than one": self.invisible,
            "of a label that the table drops": self.dropped,
        }
        told += [f"shapes {what}: {count}" for what, count in counted.items() if count and not masks]
        counted = {
            "without a shape, background throughout": self.empty,
            "whose file lacks, taken from the export's JSON": self.embedded,
            "labelled as stored and not upright, whose masks were turned with them by EXIF": self.turned,
        }
        told += [f"images {what}: {count}" for what, count in counted.items() if count]
        if self.missing:
            told.append(f"left out: {_of(len(self.missing))} not there, such as {self.missing[0]}")
        return [*told, *notes]


def _of(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"
