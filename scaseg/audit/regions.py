"""Regions in which a model contradicts a mask: connected, of one class of the mask and one that the model sees."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.audit.evidence import Evidence
from scaseg.data.labels import IGNORE, Mask

DENIED, MISSING, EDGE = "denied", "missing", "edge"
MOST_OF = 0.5  # of a part of the mask, or of what the model sees, that a region must cover to be that part
DIAGONALS = 300  # what is thinner than twice the image's diagonal over this is the model's own blur at edges
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """given, seen: train ids. confidence, own: mean probabilities of the two. box: left, top, right, bottom, the last
    two not in it. width: of its thickest place, in pixels. outline: polygons of (x, y).

    kind: `denied`, most of a part of the mask; `missing`, most of a part that the model sees; `edge`, neither.
    """

    kind: str
    given: int
    seen: int
    pixels: int
    confidence: float
    own: float
    width: int
    box: list[int]
    outline: list[list[list[int]]]

    @property
    def weight(self) -> float:
        """Pixels times how much surer the model is of what it sees than of what the mask has."""
        return self.pixels * (self.confidence - self.own)

    def reason(self, names: tuple[str, ...]) -> str:
        """In words."""
        given, seen, sure = names[self.given], names[self.seen], f"{self.confidence:.2f}"
        if self.kind == DENIED:
            return f"region of '{given}' where the model sees '{seen}' at {sure}"
        if self.kind == MISSING:
            return f"'{seen}' that the model sees at {sure} and the mask lacks: it has '{given}' there"
        return f"'{given}' some {self.width} pixels into what the model sees as '{seen}' at {sure}"


def regions_of(found: Evidence, mask: Mask, least: int) -> list[Region]:
    """Of a mask (H, W) all of at least so many pixels, what is thin left out; where IGNORE is, there is none."""
    radius = max(1, round(float(np.hypot(*mask.shape)) / DIAGONALS))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    contradicted = (mask != IGNORE) & (found.seen != mask)
    pairs = np.where(contradicted, mask.astype(np.int32) * 256 + found.seen, -1)
    numbers, counts = np.unique(pairs, return_counts=True)
    regions = []
    for pair in numbers[(numbers >= 0) & (counts >= least)].tolist():
        given, seen = divmod(pair, 256)
        of_mask, of_seen = _parts(mask == given), _parts(found.seen == seen)
        thick = cv2.morphologyEx((pairs == pair).astype(np.uint8), cv2.MORPH_OPEN, disc)
        count, numbered, stats, _ = cv2.connectedComponentsWithStats(thick, connectivity=8)
        for number in range(1, count):
            if stats[number, cv2.CC_STAT_AREA] >= least:
                where = numbered == number
                kind = DENIED if _is_most(where, of_mask) else MISSING if _is_most(where, of_seen) else EDGE
                regions.append(_region(kind, given, seen, where, stats[number], found))
    return sorted(regions, key=lambda one: -one.weight)


def _region(kind: str, given: int, seen: int, where: npt.NDArray[np.bool_], stats: Bits, found: Evidence) -> Region:
    left, top, wide, high, pixels = (int(value) for value in stats)
    cut = np.pad(where[top : top + high, left : left + wide].astype(np.uint8), 1)  # the image's border ends it too
    contours, _ = cv2.findContours(cut, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1, offset=(left - 1, top - 1))
    width = 2 * float(cv2.distanceTransform(cut, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()) - 1
    return Region(
        kind,
        given,
        seen,
        pixels,
        float(found.confidence[where].mean(dtype=np.float64)),
        float(found.own[where].mean(dtype=np.float64)),
        round(width),
        [left, top, left + wide, top + high],
        [contour[:, 0].tolist() for contour in contours],
    )


def _parts(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    _, numbered = cv2.connectedComponents(where.astype(np.uint8), connectivity=4)
    return numbered.astype(np.int32, copy=False)


def _is_most(where: npt.NDArray[np.bool_], parts: npt.NDArray[np.int32]) -> bool:
    """Whether a region is most of the parts that it touches."""
    touched = np.unique(parts[where])
    return int(where.sum()) >= MOST_OF * int(np.isin(parts, touched).sum())
