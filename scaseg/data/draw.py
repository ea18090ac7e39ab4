"""Pictures of masks: overlays, rows beside each other, a legend."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.files import write_bytes

Picture = npt.NDArray[np.uint8]
FONT = cv2.FONT_HERSHEY_SIMPLEX
MARGIN = 6


def overlay(image: Picture, mask: Mask, labels: LabelTable, opacity: float = 0.6) -> Picture:
    """The image (H, W, 3) under its mask's colours (H, W train ids); ignored pixels keep the image, darkened."""
    colours = labels.colourise(mask).astype(np.float32)
    mixed = image * (1 - opacity) + colours * opacity
    ignored = (mask == IGNORE)[..., None]
    out: Picture = np.where(ignored, image * 0.4, mixed).astype(np.uint8)
    return out


def comparison(image: Picture, truth: Mask, prediction: Mask, labels: LabelTable) -> Picture:
    """Image, truth and prediction beside each other, the image brought to the masks' size."""
    height, width = truth.shape
    if image.shape[:2] != truth.shape:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    gap = np.full((height, MARGIN, 3), 255, np.uint8)
    return np.hstack([image, gap, overlay(image, truth, labels), gap, overlay(image, prediction, labels)])


def legend(labels: LabelTable, width: int, shown: Sequence[int] | None = None) -> Picture:
    """A strip of `width` pixels with colour and name of each class (of `shown`, or of all)."""
    scale, line = 0.4, 18
    x, y, placed = MARGIN, 0, []
    for i in range(labels.num_classes) if shown is None else shown:
        extent = cv2.getTextSize(labels.names[i], FONT, scale, 1)[0][0] + line + 2 * MARGIN
        if x + extent > width and x > MARGIN:
            x, y = MARGIN, y + line
        placed.append((i, x, y))
        x += extent
    strip = np.full((y + line + MARGIN, width, 3), 255, np.uint8)
    for i, left, top in placed:
        cv2.rectangle(strip, (left, top + 4), (left + 11, top + 15), labels.colours[i], -1)
        cv2.rectangle(strip, (left, top + 4), (left + 11, top + 15), (90, 90, 90), 1)
        cv2.putText(strip, labels.names[i], (left + line, top + 14), FONT, scale, (20, 20, 20), 1, cv2.LINE_AA)
    return strip


def sheet(rows: Sequence[Picture], labels: LabelTable, titles: Sequence[str], width: int = 1200) -> Picture:
    """Rows stacked at one width (at most `width`) under column titles, with the legend below."""
    width = min(width, max(max(row.shape[1] for row in rows), 640))
    head = np.full((22, width, 3), 255, np.uint8)
    for i, title in enumerate(titles):
        left = MARGIN + i * width // len(titles)
        cv2.putText(head, title, (left, 15), FONT, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    parts = [head]
    gap = np.full((MARGIN, width, 3), 255, np.uint8)
    for row in rows:
        height = round(row.shape[0] * width / row.shape[1])
        shrinking = width < row.shape[1]
        way = cv2.INTER_AREA if shrinking else cv2.INTER_NEAREST
        parts += [cv2.resize(row, (width, height), interpolation=way).astype(np.uint8), gap]
    return np.vstack([*parts, legend(labels, width)])


def write_png(path: Path, picture: Picture) -> None:
    """Write an RGB picture, so that the file is either whole or not there."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {picture.shape} as PNG")
    write_bytes(path, data.tobytes(), durable=False)
