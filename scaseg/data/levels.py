"""Brightness and contrast of pictures of any form: what photometric distortion is where there is no RGB of 8 bits."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaseg.data.by_pillow import Picture
from scaseg.form import Form

BRIGHTNESS = 32 / 57.63  # of a channel's deviation: what 32 grey levels are of ImageNet's, the mean of its three
_LIMITS = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "int16": (-32768.0, 32767.0)}  # none of floats


class Shift(NamedTuple):
    """Drawn once a sample: x -> scale x + offset of each channel, kept within the numbers that files can hold."""

    scale: float
    offset: npt.NDArray[np.float32]
    limits: tuple[float, float] | None

    def apply(self, image: Picture) -> Picture:
        """Image (H, W, C) -> the same form."""
        shifted = image * np.float32(self.scale) + self.offset
        if self.limits is not None:
            np.clip(shifted, *self.limits, out=shifted)
        return np.rint(shifted).astype(np.uint8) if image.dtype == np.uint8 else shifted.astype(np.float32, copy=False)


class Levels:
    """Brightness and contrast, each with probability 0.5, by one draw for all channels: their ratios tell most.

    brightness: the most that a channel moves, in its deviations. contrast: range of a factor, about the channel's mean.
    Saturation and hue are of colours, and other channels have none.
    """

    def __init__(self, form: Form, brightness: float = BRIGHTNESS, contrast: Sequence[float] = (0.5, 1.5)) -> None:
        assert form.mean is not None and form.std is not None
        self.mean, self.std = np.array(form.mean, np.float32), np.array(form.std, np.float32)
        self.brightness, self.contrast, self.limits = brightness, contrast, _LIMITS.get(form.dtype)

    def draw(self, random: Random) -> Shift:
        """Draw the parameters of one sample."""
        by = random.uniform(-self.brightness, self.brightness) if random.random() < 0.5 else 0.0
        scale = random.uniform(*self.contrast) if random.random() < 0.5 else 1.0
        return Shift(scale, self.mean * np.float32(1 - scale) + np.float32(by) * self.std, self.limits)
