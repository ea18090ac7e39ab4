"""From the ids that a dataset stores to the ids that the model learns, and back: one table a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.errors import UserError

IGNORE = 255
_ILLEGAL = 254  # never a class: at most 254 classes

Mask = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelTable:
    """Names, colours and stored ids of a dataset's classes.

    `raw_ids` maps every id that a mask may hold to a class 0..K-1 or to IGNORE; any other id is an error.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    raw_ids: Mapping[int, int]
    ignore_colour: Colour = (255, 255, 255)

    def __repr__(self) -> str:
        more = f", ... {self.names[-1]}" if len(self.names) > 3 else ""
        return f"<LabelTable of {len(self.names)} classes: {', '.join(self.names[:3])}{more}>"

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colours) or not 0 < len(self.names) < _ILLEGAL:
            raise ValueError(f"{len(self.names)} names, {len(self.colours)} colours (at most 253 of each)")
        if set(self.raw_ids.values()) - {IGNORE} != set(range(len(self.names))):
            raise ValueError(f"raw_ids must reach every class 0..{len(self.names) - 1}, and nothing else")

    @property
    def num_classes(self) -> int:
        """Number of classes, the ignored label not counted."""
        return len(self.names)

    def encode(self, raw: Mask, where: str) -> Mask:
        """Stored ids (H, W) uint8 -> train ids (H, W) uint8; `where` names the file in the error."""
        mask: Mask = cv2.LUT(raw, self._encode)  # type: ignore[assignment]
        illegal = mask == _ILLEGAL
        if illegal.any():
            ids = np.unique(raw[illegal]).tolist()
            raise UserError(
                f"{where}: the mask holds id {_listed(ids)}, which this dataset does not have "
                f"(it has {_spans(self.raw_ids)}). Is it a mask of another dataset, or in another numbering?"
            )
        return mask

    def decode(self, mask: Mask) -> Mask:
        """Train ids (H, W) uint8 -> the dataset's own ids; IGNORE gets the first id that is ignored."""
        raw: Mask = cv2.LUT(mask, self._decode)  # type: ignore[assignment]
        return raw

    def colourise(self, mask: Mask) -> npt.NDArray[np.uint8]:
        """Train ids (H, W) uint8 -> RGB (H, W, 3) uint8."""
        return self._palette[mask]

    @cached_property
    def _encode(self) -> Mask:
        lut = np.full(256, _ILLEGAL, np.uint8)
        for raw, train in self.raw_ids.items():
            lut[raw] = train
        return lut

    @cached_property
    def _decode(self) -> Mask:
        lut = np.full(256, IGNORE, np.uint8)
        for raw, train in reversed(self.raw_ids.items()):  # type: ignore[call-overload]
            lut[train] = raw
        return lut

    @cached_property
    def _palette(self) -> npt.NDArray[np.uint8]:
        palette = np.full((256, 3), self.ignore_colour, np.uint8)
        palette[: self.num_classes] = self.colours
        return palette


def names(text: str) -> tuple[str, ...]:
    """The names in a text that separates them by commas, line breaks being blanks."""
    return tuple(" ".join(name.split()) for name in text.split(","))


def colours(text: str) -> tuple[Colour, ...]:
    """The colours in a text of blank-separated RRGGBB."""
    return tuple((int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in text.split())


@cache
def distinct_colours() -> tuple[Colour, ...]:
    """253 colours for classes that come without: each as unlike the ones before it as can be, the first a dim one.

    Of the colours on a grid the one farthest from all before it, from black, which darkens, and from white, the ignored
    label's; distances by the "redmean" formula in whole numbers, so that they are the same on every machine.
    """
    grid = np.array(list(product(range(0, 256, 42), repeat=3)), np.int64)

    def distances(colour: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        red, (dr, dg, db) = (grid[:, 0] + colour[0]) // 2, (grid - colour).T
        found: npt.NDArray[np.int64] = ((512 + red) * dr**2 >> 8) + 4 * dg**2 + ((767 - red) * db**2 >> 8)
        return found

    chosen = np.array([(0, 0, 0), (255, 255, 255), (84, 84, 126)])
    nearest = np.min([distances(colour) for colour in chosen], axis=0)
    while len(chosen) < 2 + 253:
        chosen = np.vstack([chosen, grid[int(nearest.argmax())]])
        nearest = np.minimum(nearest, distances(chosen[-1]))
    return tuple((int(r), int(g), int(b)) for r, g, b in chosen[2:])


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:8])) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")


def _spans(ids: Mapping[int, int]) -> str:
    """0..20, 255."""
    spans: list[list[int]] = []
    for i in sorted(ids):
        if spans and spans[-1][1] == i - 1:
            spans[-1][1] = i
        else:
            spans.append([i, i])
    return ", ".join(f"{a}..{b}" if a < b else str(a) for a, b in spans)
