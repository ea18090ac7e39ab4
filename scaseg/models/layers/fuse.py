"""Bring the decoder's four maps to one resolution and mix them by a 1x1 convolution."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.add_resized import add_resized
from scaseg.models.layers.pointwise import PointwiseConv, pointwise
from scaseg.models.layers.resize import resize

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
            return F.relu(self.norm(self.conv(torch.cat([resize(x, size) for x in maps], 1))))
        if self.training:
            return F.relu_(self.norm(self.mix(maps)))
        if torch.compiler.is_exporting():
            return self._channels_first(maps)
        return self.share(maps, self.folded())

    def share(self, maps: Sequence[Tensor], folded: tuple[Tensor, Tensor], channels: slice = slice(None)) -> Tensor:
        """These channels of the result outside training: (B, their number, h_1, w_1)."""
        return F.relu_(self._tokens(maps, *(x[channels] for x in folded))).permute(0, 3, 1, 2)

    def mix(self, maps: Sequence[Tensor]) -> Tensor:
        """What `norm` and ReLU make of it is the result: (B, channels, h_1, w_1)."""
        return self._tokens(maps, self.conv.weight, None).permute(0, 3, 1, 2)

    def _tokens(self, maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
        """(B, h_1, w_1, channels)."""
        weights = weight.split(self.in_channels, 1)
        tokens = [x.permute(0, 2, 3, 1) for x in maps]
        fused = pointwise(tokens[0], weights[0], bias)
        for x, part in zip(tokens[1:], weights[1:], strict=True):
            fused = add_resized(fused, pointwise(x, part).permute(0, 3, 1, 2))
        return fused

    def _channels_first(self, maps: Sequence[Tensor]) -> Tensor:
        """The same as `share` of all channels, as other runtimes have it soonest: they resize with channels first."""
        weight, bias = self.folded()
        weights = weight.split(self.in_channels, 1)
        fused = F.conv2d(maps[0], weights[0], bias)
        for x, part in zip(maps[1:], weights[1:], strict=True):
            fused = fused + resize(F.conv2d(x, part), maps[0].shape[2:])
        return F.relu(fused)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the convolution and the norm after it as one."""
        norm = self.norm
        assert norm.running_var is not None and norm.running_mean is not None
        factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return self.conv.weight * factor.view(-1, 1, 1, 1), norm.bias - norm.running_mean * factor
