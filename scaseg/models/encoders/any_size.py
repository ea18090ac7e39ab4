"""timm's EfficientFormerV2 (Li et al., ICCV 2023), whose attention is built for one image size, at any size."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.models.efficientformer_v2 import Attention2d, Attention2dDownsample
from torch import Tensor, nn

from scaseg.models.layers.resize import divided_up


def _biases(module: Any, queries_apart: int) -> Tensor:
    """(heads, queries, keys): the learned table, which has a cell for each distance in rows and columns, resized.

    At the size that the model was made for it is the table itself.
    """
    height, width = module.resolution
    table: Tensor = module.attention_biases.unflatten(1, module.made_for)
    if module.made_for != module.resolution:
        table = F.interpolate(table.unsqueeze(0), size=(height, width), mode="bicubic")[0]
    row, column = (torch.arange(side, device=table.device) for side in (height, width))
    rows = (row[::queries_apart, None] - row).abs()[:, None, :, None]
    columns = (column[::queries_apart, None] - column).abs()[None, :, None, :]
    return table[:, rows, columns].flatten(3).flatten(1, 2)


class AnySizeAttention(Attention2d):
    """timm's, told the size of each map that it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape; H and W even where the attention is strided."""
        stride = 1 if self.stride_conv is None else 2
        height, width = (divided_up(side, stride) for side in x.shape[2:])
        self.resolution, self.N = (height, width), height * width
        out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return out

    def get_attention_biases(self, device: torch.device) -> Tensor:
        """(heads, N, N)."""
        return _biases(self, 1)


class AnySizeDownsample(Attention2dDownsample):
    """The same for queries at half the resolution."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / 2), ceil(W / 2))."""
        self.resolution = tuple(x.shape[2:])
        self.resolution2 = tuple(divided_up(side, 2) for side in x.shape[2:])
        self.N, self.N2 = (height * width for height, width in (self.resolution, self.resolution2))
        out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return out

    def get_attention_biases(self, device: torch.device) -> Tensor:
        """(heads, N / 4, N)."""
        return _biases(self, 2)


def take_any_size(net: nn.Module) -> None:
    """Every attention of the model in place: the same parameters under the same names."""
    ours = {Attention2d: AnySizeAttention, Attention2dDownsample: AnySizeDownsample}
    modules: list[Any] = [module for module in net.modules() if type(module) in ours]
    for module in modules:
        module.made_for = module.resolution
        module.__class__ = ours[type(module)]
