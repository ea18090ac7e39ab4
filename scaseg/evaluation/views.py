"""From an image to the labels that a protocol asks for: its views at the protocol's sizes, and what follows of them.

Imports no torch.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data.by_fours import by_fours
from scaseg.data.by_pillow import Picture
from scaseg.data.sizes import Size
from scaseg.evaluation.protocol import Protocol


def view(image: Picture, protocol: Protocol, scale: float = 1.0) -> Picture:
    """An image (H, W, C) at the size at which the protocol shows it to the model."""
    stored: Size = (image.shape[0], image.shape[1])
    height, width = protocol.seen_size(stored, scale)
    if (height, width) == stored:
        return image
    seen: Picture = by_fours(image, lambda some: cv2.resize(some, (width, height), interpolation=cv2.INTER_LINEAR))
    return seen


def views(image: Picture, protocol: Protocol) -> list[Picture]:
    """One a scale."""
    return [view(image, protocol, scale) for scale in protocol.scales]


def batched(images: Sequence[Picture], protocol: Protocol) -> list[npt.NDArray[Any]]:
    """Images of one size -> one array (B, C, h, w) a scale, a view of channels that lie last."""
    return [
        np.stack(same).transpose(0, 3, 1, 2) for same in zip(*(views(image, protocol) for image in images), strict=True)
    ]
