"""What every model in use offers, whatever runs it: its classes and its predictions. Imports no torch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
from numpy import uint8
from PIL import Image

from scaseg.data.labels import LabelTable, Mask
from scaseg.data.sizes import Size
from scaseg.evaluation.levels import thresholds_asked
from scaseg.evaluation.protocol import Protocol
from scaseg.form import Form
from scaseg.trained.images import Picture, as_picture


class Predictor(ABC):
    """classes: names in the order of the ids that `predict` returns; colours (K, 3) uint8, so that `colours[labels]`
    is a picture. protocol: the size and windows at which the model was evaluated, and at which it predicts. task: see
    scaseg.tasks; thresholds: of its probabilities, of the last classes, where it has some. confidence: what is less
    likely, by the largest softmax probability of a pixel, is IGNORE (255); None: nothing is.
    """

    classes: tuple[str, ...]
    colours: npt.NDArray[uint8]
    protocol: Protocol
    thresholds: tuple[float, ...]
    confidence: float | None = None

    @property
    @abstractmethod
    def task(self) -> str:
        """By name."""

    @property
    def labels(self) -> LabelTable:
        """Names and colours as the drawing functions take them."""
        colours = tuple((int(r), int(g), int(b)) for r, g, b in self.colours)
        return LabelTable(self.classes, colours, {i: i for i in range(len(self.classes))})

    @property
    @abstractmethod
    def form(self) -> Form:
        """Of the images that it takes."""

    def decide_from(self, threshold: float | None) -> None:
        """Say yes from this probability on, in place of its own thresholds; None leaves them as they are.

        Raises UserError for a model without thresholds, or whose own cannot be changed.
        """
        self.thresholds = thresholds_asked(threshold, self.thresholds, self.task)

    def predict(self, image: str | Path | Image.Image | npt.NDArray[Any]) -> Mask:
        """Class ids (H, W), uint8, of a file, a PIL image or an RGB array (H, W, 3) uint8, at the image's own size.

        Files and PIL images are turned upright by their EXIF orientation first. The labels are those that
        `python -m scaseg.evaluate` counts. A model of another `form` takes files and arrays (H, W, C) of that.
        Raises UserError for what is no image, or of another form.
        """
        return self.predict_batch([as_picture(image, self.form)])[0]

    @abstractmethod
    def predict_batch(self, images: Sequence[Picture]) -> list[Mask]:
        """The same of several arrays (H, W, C) of one size, RGB uint8 or of the model's form, as it reads files."""

    def seen_size(self, size: Size, scale: float = 1.0) -> Size:
        """Size (H, W) at which the protocol shows the model an image of this size."""
        return self.protocol.seen_size(size, scale)

    def refusal(self, size: Size) -> str | None:
        """Why it cannot predict an image of this size; None where it can."""
        return None

    @property
    def untold(self) -> str | None:
        """Why it cannot tell how likely its answers are; None where it can."""
        if self.thresholds:
            return f"task={self.task} compares with a threshold, which threshold= moves; only task=semantic tells"
        return None

    @abstractmethod
    def digest(self) -> str:
        """A short hash of what determines its predictions: the same model by whatever path."""
