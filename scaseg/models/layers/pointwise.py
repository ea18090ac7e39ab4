"""1x1 convolutions computed as linears over the channels.

On channels-last memory this copies nothing, where torch's own 1x1 convolution on a CPU goes through an NCHW copy.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """1x1 convolution; the weight keeps its (out, in, 1, 1) shape."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W), channels last in memory."""
        if torch.compiler.is_exporting():  # other runtimes know the convolution, and lay channels out as they like
            return super().forward(x)
        return self.tokens(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def tokens(self, x: Tensor) -> Tensor:
        """(B, H, W, in) -> (B, H, W, out)."""
        return pointwise(x, self.weight, self.bias)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (B, H, W, in), weight (out, in, 1, 1), bias (out) -> (B, H, W, out)."""
    return F.linear(x, weight.flatten(1), bias)
