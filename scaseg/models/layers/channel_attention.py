"""The channel attentions of Table VI. Each maps a (B, C, H, W) map to the same map, reweighted.

like: the channels by which its own width or kernel goes, where the map has others, as after pruning.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """SENet (Hu et al., CVPR 2018), reduction 16."""

    def __init__(self, channels: int, like: int | None = None, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, (like or channels) // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


class EfficientChannelAttention(nn.Module):
    """ECA-Net (Wang et al., CVPR 2020): one 1-D convolution over channels, its kernel growing with log2 C."""

    def __init__(self, channels: int, like: int | None = None) -> None:
        super().__init__()
        size = int(abs((math.log2(like or channels) + 1) / 2))
        size += 1 - size % 2
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.conv(x.mean((2, 3)).unsqueeze(1)).squeeze(1))
        return x * weight[:, :, None, None]


class ConvolutionalBlockAttention(nn.Module):
    """CBAM (Woo et al., ECCV 2018): channel weights from mean and maximum, then a 7 x 7 spatial weight."""

    def __init__(self, channels: int, like: int | None = None, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, (like or channels) // reduction)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))])
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))).sum(0))
        x = x * weight[:, :, None, None]
        return x * torch.sigmoid(self.spatial(torch.cat([x.mean(1, True), x.amax(1, True)], 1)))


class CoordinateAttention(nn.Module):
    """Coordinate attention (Hou et al., CVPR 2021): one weight for each row and one for each column."""

    def __init__(self, channels: int, like: int | None = None, reduction: int = 32) -> None:
        super().__init__()
        hidden = max(8, (like or channels) // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        strips = torch.cat([x.mean(3, True), x.mean(2, True).transpose(2, 3)], 2)  # (B, C, H + W, 1)
        strips = F.hardswish(self.norm(self.squeeze(strips)))
        rows, columns = strips.split([height, width], 2)
        return x * torch.sigmoid(self.rows(rows)) * torch.sigmoid(self.columns(columns.transpose(2, 3)))


CHANNEL_ATTENTIONS: dict[str, type[nn.Module]] = {
    "se": SqueezeExcitation,
    "cbam": ConvolutionalBlockAttention,
    "eca": EfficientChannelAttention,
    "coord": CoordinateAttention,
}
