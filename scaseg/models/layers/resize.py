"""Sizes of maps: resizing, and dividing upwards."""

import torch.nn.functional as F
from torch import Tensor


def resize(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), bilinear, corners not aligned; as it is where the size is right already."""
    return x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear")


def divided_up(side: int, divisor: int) -> int:
    """side / divisor rounded up, of a graph's sizes too: ONNX divides toward zero, -(-side // divisor) is not it."""
    return (side + divisor - 1) // divisor
