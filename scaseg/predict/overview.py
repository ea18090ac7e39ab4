"""A picture of a large image's labels, small enough for one file: each n-th pixel, gathered as bands are done."""

from dataclasses import replace

import numpy as np

from scaseg.data import draw
from scaseg.data.by_pillow import Picture
from scaseg.data.labels import LabelTable, Mask
from scaseg.data.regions import Regions
from scaseg.data.sizes import Size
from scaseg.form import Form

SIDE = 2048  # pixels of an overview's longer side, at most
_AT_ONCE = 64  # rows that are read at once


class Overview:
    """Of an image (H, W). What it keeps are the three channels that are shown."""

    def __init__(self, size: Size, form: Form) -> None:
        self.step = -(-max(size) // SIDE)
        self._form = form
        height, width = (-(-side // self.step) for side in size)
        self._image: Picture = np.zeros((height, width, 3), np.uint8 if form.dtype == "uint8" else np.float32)
        self._labels: Mask = np.zeros((height, width), np.uint8)

    def add(self, regions: Regions, top: int, labels: Mask) -> None:
        """Labels (h, W) of the rows from `top` on, which `regions` still has."""
        step = self.step
        for first in range(top, top + len(labels), _AT_ONCE):
            last = min(first + _AT_ONCE, top + len(labels))
            kept, place = slice(-first % step, None, step), slice(-(-first // step), -(-last // step))
            part, _ = regions.measured(first, last, 0, regions.size[1])
            self._image[place] = part[kept, ::step, list(self._form.shown)]
            self._labels[place] = labels[first - top : last - top][kept, ::step]

    def picture(self, labels: LabelTable) -> draw.Picture:
        """The image under its labels' colours, RGB."""
        shown = replace(self._form, channels=3, names=(), shown=(0, 1, 2), mean=None, std=None)
        image = draw.as_shown(self._image, shown)
        return draw.overlay(image, self._labels, labels)
