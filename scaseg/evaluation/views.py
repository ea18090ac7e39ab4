"""From an image to the labels that a protocol asks for: its views at the protocol's sizes, and what follows of them."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaseg.data.sizes import Size
from scaseg.evaluation.protocol import Protocol

Image = npt.NDArray[np.uint8]


def view(image: Image, protocol: Protocol, scale: float = 1.0) -> Image:
    """An image (H, W, 3) uint8 at the size at which the protocol shows it to the model."""
    stored: Size = (image.shape[0], image.shape[1])
    height, width = protocol.seen_size(stored, scale)
    if (height, width) == stored:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def views(image: Image, protocol: Protocol) -> list[Image]:
    """One a scale."""
    return [view(image, protocol, scale) for scale in protocol.scales]


def batched(images: Sequence[Image], protocol: Protocol, device: torch.device) -> list[Tensor]:
    """Images of one size -> one tensor (B, 3, h, w) uint8 a scale."""
    return [
        torch.from_numpy(np.stack(same)).permute(0, 3, 1, 2).to(device)
        for same in zip(*(views(image, protocol) for image in images), strict=True)
    ]
