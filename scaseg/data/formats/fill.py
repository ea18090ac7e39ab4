"""From outlines to pixels, by one rule for every format but COCO's.

A pixel belongs to an outline if its centre does, (column + 0.5, row + 0.5) in coordinates from the image's top left
corner; by the even-odd rule, so that a ring within another is a hole. A centre on an edge belongs to the side to the
right of it or, on a level edge, below: polygons that share an edge share no pixel and leave none out. What lies
outside the image is cut off. Points are taken to the nearest 1/1024 of a pixel, so that whole numbers decide: the same
masks on every machine, and 319.99999999 is 320.
"""

import math
from collections.abc import Sequence

import numpy as np

from scaseg.data.formats.export import Region, Ring
from scaseg.data.sizes import Size

UNIT = 1024  # of a pixel
_FARTHEST = 2**19  # pixels from the corner: products of two distances fit 64 bits
NOTHING = Region(np.zeros((0, 0), bool))


def polygon(rings: Sequence[Ring], size: Size) -> Region:
    """The pixels of an image (H, W) within the rings; fewer than three points enclose nothing."""
    rings = [ring for ring in rings if len(ring) > 2]
    box = _box(np.concatenate(rings), size) if rings else None
    if box is None:
        return NOTHING
    top, left, bottom, right = box
    # One column more: edges to the right of the box end there, and those to the left of it count at its left.
    crossed = np.zeros((bottom - top, right - left + 1), np.uint8)
    for ring in rings:
        points = np.rint(np.clip(ring, -_FARTHEST, _FARTHEST) * UNIT).astype(np.int64)
        for start, end in zip(points.tolist(), np.roll(points, -1, axis=0).tolist(), strict=True):
            (x0, y0), (x1, y1) = sorted((start, end), key=lambda point: point[1])
            first, last = (-((UNIT // 2 - y) // UNIT) for y in (y0, y1))  # of the rows whose centres are between
            first, last = max(top, first), min(bottom, last)
            if first < last:
                rows, down = np.arange(first, last), y1 - y0
                crossing = x0 * down + (rows * UNIT + UNIT // 2 - y0) * (x1 - x0)  # of their centres, times `down`
                columns = -((UNIT // 2 * down - crossing) // (UNIT * down))
                crossed[rows - top, np.clip(columns, left, right) - left] ^= 1
    return Region(np.bitwise_xor.accumulate(crossed, axis=1)[:, :-1].astype(bool), top, left)


def ellipse(centre: Ring, radii: Ring, degrees: float, size: Size) -> Region:
    """The pixels within an ellipse of such radii, across and down, turned clockwise about its centre (x, y)."""
    box = _box(np.stack([centre - radii.max(), centre + radii.max()]), size)
    if box is None or radii.min() <= 0:
        return NOTHING
    top, left, bottom, right = box
    down, across = np.mgrid[top:bottom, left:right] + 0.5 - centre[::-1, None, None]
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    along, aside = across * cosine + down * sine, down * cosine - across * sine
    return Region((along / radii[0]) ** 2 + (aside / radii[1]) ** 2 < 1, top, left)


def rectangle(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> Ring:
    """Its corners; turned clockwise about its centre."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return turned(corners, degrees, corners.mean(axis=0)) if degrees else corners


def turned(points: Ring, degrees: float, about: Ring) -> Ring:
    """Points turned clockwise, as it looks with y pointing down."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    found: Ring = about + (points - about) @ np.array([[cosine, sine], [-sine, cosine]])
    return found


def _box(points: Ring, size: Size) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of the pixels that points may enclose; None where there is none."""
    least, most = np.clip(points.min(axis=0), 0, size[::-1]), np.clip(points.max(axis=0), 0, size[::-1])
    left, top, right, bottom = math.floor(least[0]), math.floor(least[1]), math.ceil(most[0]), math.ceil(most[1])
    return (top, left, bottom, right) if top < bottom and left < right else None
