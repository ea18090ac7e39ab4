"""OpenCV's functions on pictures of any channels: they take four at the most, and drop the axis of a single one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def by_fours(image: Array, function: Callable[[Array], Any]) -> Any:
    """`function` of an image (H, W, C), which treats each channel alike, on up to four channels at a time."""
    channels = image.shape[2]
    if channels == 3:
        return function(image)
    parts = [function(np.ascontiguousarray(image[..., first : first + 4])) for first in range(0, channels, 4)]
    return np.concatenate([part[..., None] if part.ndim == 2 else part for part in parts], 2)
