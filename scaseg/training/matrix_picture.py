"""The confusion matrix as a picture, for loggers that show pictures alone."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data import draw

WIDTH = 640  # pixels of the matrix at most, but for cells of at least 3
NAMED, COUNTED = 12, 26  # cells of so many pixels have room for names, and for numbers
LONGEST = 104  # pixels of a name
LIGHT, DARK = np.array((255, 255, 255.0)), np.array((20, 60, 140.0))


def matrix_picture(matrix: npt.NDArray[Any], names: Sequence[str]) -> draw.Picture:
    """Counts (K, K), a row a true class -> RGB (H, W, 3): the share of each class's pixels that went to each class.

    Names and percentages are left out where there are too many classes to read them; a class without pixels is white.
    """
    count = len(names)
    cell = min(36, max(3, WIDTH // count))
    totals = matrix.sum(1, keepdims=True)
    share = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    colours = (LIGHT + share[..., None] * (DARK - LIGHT)).astype(np.uint8)
    body = np.kron(colours, np.ones((cell, cell, 1), np.uint8))
    if cell >= COUNTED:
        for i, j in np.argwhere(share >= 0.005):
            text = f"{100 * share[i, j]:.0f}"
            left = j * cell + (cell - draw.text_width(text, draw.SMALL)) // 2
            ink = draw.INK if share[i, j] < 0.5 else (255, 255, 255)
            cv2.putText(
                body, text, (int(left), int(i * cell + cell // 2 + 4)), draw.FONT, draw.SMALL, ink, 1, cv2.LINE_AA
            )
    body = cv2.copyMakeBorder(body, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(150, 150, 150)).astype(np.uint8)
    if cell >= NAMED:
        shown = [draw.shortened(name, LONGEST, draw.SMALL) for name in names]
        above, beside = np.rot90(_strip(shown, cell, right=False)), _strip(shown, cell, right=True)
        corner = np.full((above.shape[0], beside.shape[1], 3), 255, np.uint8)
        body = np.vstack([np.hstack([corner, above]), np.hstack([beside, body])])
    head = np.full((22, max(body.shape[1], 440), 3), 255, np.uint8)
    draw.write(head, "rows: truth, columns: prediction; percent of each row", draw.MARGIN, 15, draw.LARGE)
    return np.vstack([head, np.pad(body, ((0, 0), (0, head.shape[1] - body.shape[1]), (0, 0)), constant_values=255)])


def _strip(names: Sequence[str], cell: int, right: bool) -> draw.Picture:
    """The names below each other, one a row of the matrix, at the right or the left; with the frame's two pixels."""
    widths = [draw.text_width(name, draw.SMALL) for name in names]
    width = max(widths) + 2 * draw.MARGIN
    strip = np.full((len(names) * cell + 2, width, 3), 255, np.uint8)
    for i, name in enumerate(names):
        left = width - draw.MARGIN - widths[i] if right else draw.MARGIN
        draw.write(strip, name, left, i * cell + cell // 2 + 5, draw.SMALL)
    return strip
