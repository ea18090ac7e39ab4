"""Bring the decoder's four maps to one resolution and mix them by a 1x1 convolution."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FORMS = ("native", "literal")


class Fuse(nn.Module):
    """Resize to the first map's size, concatenate, Conv1x1 without bias, BatchNorm, ReLU.

    A 1x1 convolution and a bilinear resize commute, so form `native` applies each source's share of the weight
    at the source's own resolution and adds the resized results: the same function and the same weights for
    sum_i C_i E N_i multiply-adds in place of the T E N_1 of form `literal`, which is as the paper counts it.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, form: str = "native") -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"fuse form {form!r}: choose one of {', '.join(FORMS)}")
        self.in_channels = list(in_channels)
        self.form = form
        self.conv = nn.Conv2d(sum(in_channels), channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C_i, h_i, w_i), finest first -> (B, channels, h_1, w_1)."""
        size = maps[0].shape[2:]
        if self.form == "literal":
            fused = self.conv(torch.cat([_resize(x, size) for x in maps], 1))
        else:
            weights = self.conv.weight.split(self.in_channels, 1)
            fused = F.conv2d(maps[0], weights[0])
            for x, weight in zip(maps[1:], weights[1:], strict=True):
                fused = fused + _resize(F.conv2d(x, weight), size)
        return F.relu(self.norm(fused))


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear")
