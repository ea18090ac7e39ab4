"""Bring the decoder's four maps to one resolution and mix them by a 1x1 convolution."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.pointwise import PointwiseConv, pointwise

FORMS = ("native", "literal")


class Fuse(nn.Module):
    """Resize to the first map's size, concatenate, Conv1x1 without bias, BatchNorm, ReLU.

    A 1x1 convolution and a bilinear resize commute, so form `native` applies each source's share of the weight
    at the source's own resolution and adds the resized results: the same function and the same weights for
    sum_i C_i E N_i multiply-adds in place of the T E N_1 of form `literal`, which is as the paper counts it.
    Outside training `native` folds the norm into the convolution too.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, form: str = "native") -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"fuse form {form!r}: choose one of {', '.join(FORMS)}")
        self.in_channels = list(in_channels)
        self.form = form
        self.conv = PointwiseConv(sum(in_channels), channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C_i, h_i, w_i), finest first -> (B, channels, h_1, w_1)."""
        size = maps[0].shape[2:]
        if self.form == "literal":
            return F.relu(self.norm(self.conv(torch.cat([_resize(x, size) for x in maps], 1))))
        weight, bias = (self.conv.weight, None) if self.training else self._folded()
        weights = weight.split(self.in_channels, 1)
        tokens = [x.permute(0, 2, 3, 1) for x in maps]
        fused = pointwise(tokens[0], weights[0], bias)
        for x, part in zip(tokens[1:], weights[1:], strict=True):
            fused += _resize(pointwise(x, part).permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
        mixed = fused.permute(0, 3, 1, 2)
        return F.relu_(self.norm(mixed)) if self.training else F.relu_(mixed)

    def _folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the convolution and the norm after it as one."""
        norm = self.norm
        assert norm.running_var is not None and norm.running_mean is not None
        factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return self.conv.weight * factor.view(-1, 1, 1, 1), norm.bias - norm.running_mean * factor


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear")
