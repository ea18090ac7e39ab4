"""Rows of image, truth and predictions, with a box where the predictions differ most."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.compare.collect import Shown
from scaseg.data import draw
from scaseg.data.labels import IGNORE, LabelTable, Mask

BOX = 0.28  # of the image's sides
RED = (230, 30, 30)


def most_different_box(truth: Mask, predictions: Sequence[Mask]) -> tuple[int, int, int, int]:
    """top, left, height, width of the box in which most pixels are right in one prediction and wrong in another.

    The first such box from the top left; pixels that the truth ignores count for nothing.
    """
    right = np.stack([prediction == truth for prediction in predictions])
    differing = (right.any(0) & ~right.all(0) & (truth != IGNORE)).astype(np.float64)
    height, width = (max(1, round(BOX * side)) for side in truth.shape)
    total = cv2.integral(differing)
    inside = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(top), int(left), height, width


def row_of(shown: Shown, labels: LabelTable) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The row of whole pictures with their boxes, and the row of what is in the boxes, enlarged to the same size."""
    height, width = shown.truth.shape
    image = shown.image
    if image.shape[:2] != shown.truth.shape:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    top, left, high, wide = most_different_box(shown.truth, shown.predictions)
    whole, cut = [], []
    for mask in (None, shown.truth, *shown.predictions):
        picture = image.copy() if mask is None else draw.overlay(image, mask, labels)
        part = picture[top : top + high, left : left + wide]
        cut.append(cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST))
        thick = max(1, width // 200)
        whole.append(cv2.rectangle(picture.copy(), (left, top), (left + wide - 1, top + high - 1), RED, thick))
    return _beside(whole), _beside(cut)


def sheet(shown: Sequence[Shown], labels: LabelTable, titles: Sequence[str], enlarged: bool = True) -> draw.Picture:
    """All rows under the titles `image`, `truth` and the models', each followed by its enlarged boxes."""
    rows = []
    for item in shown:
        whole, cut = row_of(item, labels)
        rows += [whole, cut] if enlarged else [whole]
    columns = ("image", "truth", *titles)
    return draw.sheet(rows, labels, columns, width=240 * len(columns))


def _beside(pictures: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    gap = np.full((pictures[0].shape[0], draw.MARGIN, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    joined: npt.NDArray[np.uint8] = np.hstack(parts).astype(np.uint8)
    return joined
