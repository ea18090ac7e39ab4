"""A suspect as people look at it: image, mask and prediction beside each other, the suspicious regions outlined."""

from collections.abc import Sequence

import cv2
import numpy as np

from scaseg.audit.regions import Region
from scaseg.data import draw
from scaseg.data.by_pillow import Picture
from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.form import Form

OUTLINED = 3  # regions of an image
RED, WHITE = (230, 30, 30), (255, 255, 255)
WIDE = 1500  # pixels of the three together


def sheet(
    image: Picture, mask: Mask, seen: Mask, regions: Sequence[Region], labels: LabelTable, form: Form
) -> draw.Picture:
    """regions: the most suspicious first, numbered from 1."""
    row = draw.comparison(draw.as_shown(image, form), mask, seen, labels)
    step = mask.shape[1] + draw.MARGIN
    thick = max(1, round(mask.shape[1] / 240))
    for number, region in reversed(list(enumerate(regions[:OUTLINED], 1))):
        for left in (0, step, 2 * step):
            _outline(row, region, left, number, thick)
    shown = sorted({int(i) for i in np.unique(np.concatenate([mask.ravel(), seen.ravel()])) if i != IGNORE})
    return draw.sheet([row], labels, ("image", "mask", "what the model sees"), WIDE, shown)


def _outline(row: draw.Picture, region: Region, left: int, number: int, thick: int) -> None:
    lines = [np.add(polygon, (left, 0), dtype=np.int32) for polygon in region.outline]
    for colour, width in ((WHITE, thick + 2), (RED, thick)):
        cv2.polylines(row, lines, True, colour, width, cv2.LINE_AA)
    x, y = left + max(2, region.box[0]), max(14, region.box[1] - 4)
    for colour, width in ((WHITE, 4), (RED, 1)):
        cv2.putText(row, str(number), (x, y), draw.FONT, draw.LARGE, colour, width, cv2.LINE_AA)
