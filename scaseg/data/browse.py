"""A look at the data: a contact sheet of augmented samples, and a histogram of the classes."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data import draw
from scaseg.data.datasets import TrainSamples
from scaseg.data.folder import Picture
from scaseg.data.labels import IGNORE, LabelTable
from scaseg.data.survey import survey

CELL = 300  # pixels, the width of one picture
COLUMNS = 4  # image and mask beside each other, so two samples a row
BAR, BARS = 16, 320  # height of a line and width of the longest bar, in pixels


def contact_sheet(samples: TrainSamples, count: int) -> Picture:
    """The first `count` samples of a training, each as the model sees it and under its mask, with the legend."""
    cells, seen = [], set()
    for n in range(count):
        sample = samples[n]
        image, mask = sample["image"].numpy(), sample["mask"].numpy()
        seen |= set(np.unique(mask).tolist()) - {IGNORE}
        height = max(1, round(CELL * image.shape[0] / image.shape[1]))
        for picture in (image, draw.overlay(image, mask, samples.source.labels)):
            cells.append(cv2.resize(picture, (CELL, height), interpolation=cv2.INTER_AREA).astype(np.uint8))
    while len(cells) % COLUMNS:
        cells.append(np.full_like(cells[0], 255))
    rows = [np.hstack([_framed(cell) for cell in cells[k : k + COLUMNS]]) for k in range(0, len(cells), COLUMNS)]
    strip = draw.legend(samples.source.labels, rows[0].shape[1], sorted(seen))
    return np.vstack([*rows, strip])


def pixels_of(
    source: Any, images: int | None = None, report: Callable[[int, int], None] | None = None
) -> npt.NDArray[np.int64]:
    """Pixels of each class and, last, of the ignored, in `images` masks spread evenly over the split, or in all."""
    return survey(source, images, report, whole=True).pixels


def histogram(pixels: Sequence[int] | npt.NDArray[np.int64], labels: LabelTable, title: str) -> Picture:
    """Bars of the classes' shares of the labelled pixels, on a logarithmic scale, the commonest first."""
    counts = np.asarray(pixels, np.int64)
    shares = 100 * counts[:-1] / max(1, int(counts[:-1].sum()))
    order = np.argsort(-shares, kind="stable").tolist()
    left = 2 * draw.MARGIN + max(cv2.getTextSize(name, draw.FONT, 0.4, 1)[0][0] for name in labels.names)
    width = max(left + BARS + 90, 2 * draw.MARGIN + cv2.getTextSize(title, draw.FONT, 0.45, 1)[0][0])
    picture = np.full((30 + BAR * (len(order) + 1), width, 3), 255, np.uint8)
    _text(picture, title, draw.MARGIN, 16, 0.45)
    for line, i in enumerate(order):
        top = 28 + BAR * line
        _text(picture, labels.names[i], draw.MARGIN, top + 11, 0.4)
        if shares[i] > 0:
            length = round(BARS * (1 + np.clip(np.log10(shares[i] / 100) / 5, -1, 0)))  # 0.001 % to 100 %
            corner = (left + max(1, length), top + BAR - 4)
            cv2.rectangle(picture, (left, top), corner, labels.colours[i], -1)
            cv2.rectangle(picture, (left, top), corner, (90, 90, 90), 1)
            _text(picture, f"{shares[i]:.3f} %", corner[0] + 6, top + 11, 0.38)
        else:
            _text(picture, "absent", left + 4, top + 11, 0.38)
    ignored = 100 * counts[-1] / max(1, int(counts.sum()))
    _text(picture, f"ignored: {ignored:.2f} % of all pixels", draw.MARGIN, 28 + BAR * len(order) + 11, 0.4)
    return picture


def _framed(cell: Picture) -> Picture:
    white = (255, 255, 255)
    framed: Picture = cv2.copyMakeBorder(cell, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=white).astype(np.uint8)
    return framed


def _text(picture: Picture, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(picture, text, (x, y), draw.FONT, scale, (20, 20, 20), 1, cv2.LINE_AA)
