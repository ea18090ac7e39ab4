"""Pictures of masks: overlays, rows beside each other, a legend."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data import by_pillow
from scaseg.data.labels import IGNORE, Colour, LabelTable, Mask
from scaseg.files import write_bytes
from scaseg.form import Form

Picture = npt.NDArray[np.uint8]
FONT = cv2.FONT_HERSHEY_SIMPLEX
MARGIN = 6
SMALL, LARGE = 0.4, 0.45  # scales of the font
INK = (20, 20, 20)
JPEG_QUALITY = 92


STRETCH = (2, 98)  # percentiles of an image's own numbers, of each channel, that are shown black and white


def as_shown(image: by_pillow.Picture, form: Form) -> Picture:
    """An image of any form (H, W, C) as people see it, RGB: the channels of form.shown; wide numbers by STRETCH."""
    if form.shown == (0, 1, 2) and form.is_rgb:
        return image.astype(np.uint8, copy=False)
    chosen = image[..., list(form.shown)]
    if form.dtype == "uint8":
        return chosen.astype(np.uint8, copy=False)
    low, high = np.percentile(chosen, STRETCH, axis=(0, 1))
    shown: Picture = (255 * np.clip((chosen - low) / np.maximum(high - low, 1e-12), 0, 1)).astype(np.uint8)
    return shown


def overlay(image: Picture, mask: Mask, labels: LabelTable, opacity: float = 0.6) -> Picture:
    """The image (H, W, 3) under its mask's colours (H, W train ids); ignored pixels are the image darkened, striped.

    Darkened alone it would be the image under a black class.
    """
    colours = labels.colourise(mask).astype(np.float32)
    mixed = image * (1 - opacity) + colours * opacity
    ignored = (mask == IGNORE)[..., None]
    if not ignored.any():
        return mixed.astype(np.uint8)
    out: Picture = np.where(ignored, image * 0.4 + stripes(mask.shape), mixed).astype(np.uint8)
    return out


def stripes(size: tuple[int, ...], period: int | None = None) -> npt.NDArray[np.float32]:
    """(H, W, 1): what is added along thin diagonals, 0 between them."""
    height, width = size
    period = period or max(6, min(height, width) // 30)
    diagonal = (np.arange(height)[:, None] + np.arange(width)) % period < max(1, period // 5)
    return 90 * diagonal[..., None].astype(np.float32)


def comparison(image: Picture, truth: Mask, prediction: Mask, labels: LabelTable) -> Picture:
    """Image, truth and prediction beside each other, the image brought to the masks' size."""
    height, width = truth.shape
    if image.shape[:2] != truth.shape:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    gap = np.full((height, MARGIN, 3), 255, np.uint8)
    return np.hstack([image, gap, overlay(image, truth, labels), gap, overlay(image, prediction, labels)])


def legend(
    labels: LabelTable, width: int, shown: Sequence[int] | None = None, more: Mapping[str, Colour | None] | None = None
) -> Picture:
    """A strip of `width` pixels with colour and name of each class (of `shown`, or of all).

    more: what else is in the picture, by its colour, or None for the stripes of what is ignored.
    """
    entries: list[tuple[str, Colour | None]] = [
        (labels.names[i], labels.colours[i]) for i in (range(labels.num_classes) if shown is None else shown)
    ]
    line = 18
    x, y, placed = MARGIN, 0, []
    for name, colour in [*entries, *(more or {}).items()]:
        name = shortened(name, width - line - 3 * MARGIN, SMALL)
        extent = text_width(name, SMALL) + line + 2 * MARGIN
        if x + extent > width and x > MARGIN:
            x, y = MARGIN, y + line
        placed.append((name, colour, x, y))
        x += extent
    strip = np.full((y + line + MARGIN, width, 3), 255, np.uint8)
    for name, colour, left, top in placed:
        swatch = strip[top + 4 : top + 16, left : left + 12]
        swatch[:] = (50 + stripes(swatch.shape[:2], 5)).astype(np.uint8) if colour is None else colour
        cv2.rectangle(strip, (left, top + 4), (left + 11, top + 15), (90, 90, 90), 1)
        write(strip, name, left + line, top + 14, SMALL)
    return strip


def write(picture: Picture, text: str, x: int, y: int, scale: float) -> None:
    """Put text into a picture, its baseline beginning at (x, y)."""
    cv2.putText(picture, text, (x, y), FONT, scale, INK, 1, cv2.LINE_AA)


def text_width(text: str, scale: float) -> int:
    """In pixels."""
    return int(cv2.getTextSize(text, FONT, scale, 1)[0][0])


def shortened(text: str, width: int, scale: float) -> str:
    """The text, without as much of its middle as it takes to fit into `width` pixels; its ends tell names apart."""
    keep = len(text)
    while keep > 2 and text_width(text, scale) > width:
        keep -= 1
        text = f"{text[: (keep + 1) // 2]}..{text[-(keep // 2) :]}"
    return text


def sheet(
    rows: Sequence[Picture],
    labels: LabelTable,
    titles: Sequence[str],
    width: int = 1200,
    shown: Sequence[int] | None = None,
) -> Picture:
    """Rows stacked at one width (at most `width`) under column titles; below, the legend (of `shown`, or of all)."""
    width = min(width, max(max(row.shape[1] for row in rows), 640))
    head = np.full((22, width, 3), 255, np.uint8)
    for i, title in enumerate(titles):
        left, room = MARGIN + i * width // len(titles), width // len(titles) - 2 * MARGIN
        write(head, shortened(title, room, LARGE), left, 15, LARGE)
    parts = [head]
    gap = np.full((MARGIN, width, 3), 255, np.uint8)
    for row in rows:
        height = round(row.shape[0] * width / row.shape[1])
        shrinking = width < row.shape[1]
        way = cv2.INTER_AREA if shrinking else cv2.INTER_NEAREST
        parts += [cv2.resize(row, (width, height), interpolation=way).astype(np.uint8), gap]
    return np.vstack([*parts, legend(labels, width, shown)])


def png(picture: Picture) -> bytes:
    """An RGB picture as the content of a PNG file."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {picture.shape} as PNG")
    return data.tobytes()


def write_png(path: Path, picture: Picture) -> None:
    """Write an RGB picture, so that the file is either whole or not there."""
    write_bytes(path, png(picture), durable=False)


def write_jpeg(path: Path, picture: Picture) -> None:
    """Write an RGB picture; as PNG content where a side is too long for JPEG."""
    ending = ".jpg" if max(picture.shape[:2]) < 65500 else ".png"
    ok, data = cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    write_bytes(path, data.tobytes(), durable=False)
