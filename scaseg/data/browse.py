"""A look at the data: a contact sheet of augmented samples, and a histogram of the classes."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data import draw
from scaseg.data.datasets import TrainSamples
from scaseg.data.draw import Picture
from scaseg.data.labels import IGNORE, Colour, LabelTable
from scaseg.data.survey import survey

CELL = 300  # pixels, the width of one picture
COLUMNS = 2  # samples a row, each image and mask beside each other
HEAD = 18  # pixels, the height of a sample's name
BAR, BARS = 16, 320  # height of a line and width of the longest bar, in pixels
NAMES = 260  # pixels that a class's name may take


def contact_sheet(samples: TrainSamples, count: int) -> Picture:
    """The first `count` samples of a training under their names, each as the model sees it and under its mask.

    Below them the legend, of padding and of what is ignored too where there is any.
    """
    cells: list[Picture] = []
    seen: set[int] = set()
    padding: Colour | None = None  # as it is shown
    for n in range(count):
        sample = samples[n]
        seen_by_model, mask = sample["image"].numpy(), sample["mask"].numpy()
        image = draw.as_shown(seen_by_model, samples.form)
        seen |= set(np.unique(mask).tolist())
        fill = np.array(samples.crop.fill, seen_by_model.dtype)
        for edge in (-1, (slice(None), -1)):
            at = (mask[edge] == IGNORE) & (seen_by_model[edge] == fill).all(-1)
            if at.any():
                red, green, blue = image[edge][at][0].tolist()
                padding = red, green, blue
        height = max(1, round(CELL * image.shape[0] / image.shape[1]))
        pair = [
            _framed(cv2.resize(picture, (CELL, height), interpolation=cv2.INTER_AREA).astype(np.uint8))
            for picture in (image, draw.overlay(image, mask, samples.source.labels))
        ]
        source, index = samples.drawn(n)
        cells.append(_named(np.hstack(pair), source.name(index)))
    while len(cells) % COLUMNS:
        cells.append(np.full_like(cells[0], 255))
    rows = [np.hstack(cells[k : k + COLUMNS]) for k in range(0, len(cells), COLUMNS)]
    more: dict[str, Colour | None] = {"ignored": None} if IGNORE in seen else {}
    if padding is not None:
        more |= {"padding (ignored)": padding}
    shown = sorted(seen - {IGNORE})
    return np.vstack([*rows, draw.legend(samples.source.labels, rows[0].shape[1], shown, more)])


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
    names = [draw.shortened(name, NAMES, draw.SMALL) for name in labels.names]
    left = 2 * draw.MARGIN + max(draw.text_width(name, draw.SMALL) for name in names)
    width = max(left + BARS + 90, 2 * draw.MARGIN + draw.text_width(title, draw.LARGE))
    picture = np.full((30 + BAR * (len(order) + 1), width, 3), 255, np.uint8)
    draw.write(picture, title, draw.MARGIN, 16, draw.LARGE)
    for line, i in enumerate(order):
        top = 28 + BAR * line
        draw.write(picture, names[i], draw.MARGIN, top + 11, draw.SMALL)
        if shares[i] > 0:
            length = round(BARS * (1 + np.clip(np.log10(shares[i] / 100) / 5, -1, 0)))  # 0.001 % to 100 %
            corner = (left + max(1, length), top + BAR - 4)
            cv2.rectangle(picture, (left, top), corner, labels.colours[i], -1)
            cv2.rectangle(picture, (left, top), corner, (90, 90, 90), 1)
            draw.write(picture, f"{shares[i]:.3f} %", corner[0] + 6, top + 11, draw.SMALL)
        else:
            draw.write(picture, "absent", left + 4, top + 11, draw.SMALL)
    ignored = 100 * counts[-1] / max(1, int(counts.sum()))
    below = f"ignored: {ignored:.2f} % of all pixels"
    draw.write(picture, below, draw.MARGIN, 28 + BAR * len(order) + 11, draw.SMALL)
    return picture


def _framed(cell: Picture) -> Picture:
    white = (255, 255, 255)
    framed: Picture = cv2.copyMakeBorder(cell, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=white).astype(np.uint8)
    return framed


def _named(pair: Picture, name: str) -> Picture:
    head = np.full((HEAD, pair.shape[1], 3), 255, np.uint8)
    draw.write(head, draw.shortened(name, pair.shape[1] - 2 * draw.MARGIN, draw.SMALL), 4, HEAD - 4, draw.SMALL)
    return np.vstack([head, pair])
