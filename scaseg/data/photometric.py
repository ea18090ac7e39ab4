"""Photometric distortion on uint8: tables of 256 values, and one turn through HSV where that is drawn."""

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import albumentations as A
import cv2
import numpy as np

from scaseg.data.folder import Picture
from scaseg.data.labels import Mask


class Distortion(NamedTuple):
    """Drawn once a sample: tables of 256 values, or None; `hue` in 1/256 of a turn."""

    before: Mask | None
    saturation: Mask | None
    hue: int
    after: Mask | None

    def apply(self, image: Picture) -> Picture:
        """Image (H, W, 3) uint8 -> the same."""
        return distort(image, self)


def distort(image: Picture, drawn: Distortion) -> Picture:
    """Apply it to (H, W, 3) uint8 RGB: at most two tables and one turn through HSV."""
    if drawn.before is not None:
        image = cv2.LUT(image, drawn.before)  # type: ignore[assignment]
    if drawn.saturation is not None or drawn.hue:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
        if drawn.saturation is not None:
            cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 1), drawn.saturation), hsv, 1)
        if drawn.hue:  # hue fills the byte, so that the byte's own overflow is the wrap
            rows = hsv.reshape(hsv.shape[0], -1)
            np.add(rows, np.tile(np.array([drawn.hue % 256, 0, 0], np.uint8), hsv.shape[1]), out=rows)
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)  # type: ignore[assignment]
    if drawn.after is not None:
        image = cv2.LUT(image, drawn.after)  # type: ignore[assignment]
    return image


class Photometric(A.ImageOnlyTransform):  # type: ignore[misc]
    """Brightness, contrast, saturation and hue, each with probability 0.5; contrast comes second or last.

    `brightness` in grey levels, `contrast` and `saturation` as ranges of a factor, `hue` in degrees
    (mmsegmentation's 18 are OpenCV's half degrees turned: 36 of ours).
    """

    def __init__(
        self,
        brightness: float = 32,
        contrast: Sequence[float] = (0.5, 1.5),
        saturation: Sequence[float] = (0.5, 1.5),
        hue: float = 18,
        p: float = 1.0,
    ):
        super().__init__(p=p)
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def draw(self, random: Random) -> Distortion:
        """Draw the parameters of one sample."""
        levels = np.arange(256, dtype=np.float32)
        before = after = saturation = None
        turn = 0.0
        if random.random() < 0.5:
            before = _table(levels + random.uniform(-self.brightness, self.brightness))
        if random.random() < 0.5:
            factor = random.uniform(*self.contrast)
            if random.random() < 0.5:
                before = _table(factor * (levels if before is None else before))
            else:
                after = _table(factor * levels)
        if random.random() < 0.5:
            saturation = _table(random.uniform(*self.saturation) * levels)
        if random.random() < 0.5:
            turn = random.uniform(-self.hue, self.hue) / 360 * 256
        return Distortion(before, saturation, round(turn), after)

    def get_params(self) -> dict[str, Any]:
        """Draw from albumentations' own generator."""
        return {"distortion": self.draw(self.py_random)}

    def apply(self, img: Picture, distortion: Distortion, **params: Any) -> Picture:
        """Image (H, W, 3) uint8 -> the same."""
        return distort(img, distortion)


def _table(values: np.ndarray[Any, Any]) -> Mask:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
