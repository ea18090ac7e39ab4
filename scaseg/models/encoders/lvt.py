"""Lite Vision Transformer (Yang et al., CVPR 2022), as used for segmentation: no norm at the end of a stage.

Module and parameter names are those of the official checkpoint. Inside a stage a map is (B, H, W, C).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.mit import PatchEmbed, from_map, to_map
from scaseg.models.layers.drop import drop_path as drop_path_layer
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.pooled_keys import pooled_keys

KERNEL, STRIDE = 3, 2  # of convolutional self-attention
POSITIONS = KERNEL * KERNEL
DILATIONS = (1, 3, 5)


def overlap_add(windows: Tensor, height: int, width: int) -> Tensor:
    """Sum of overlapping 3x3 windows of stride 2 and padding 1; `F.fold` for channels-last memory.

    (B, ceil(H/2), ceil(W/2), heads, 9, d) -> (B, H, W, heads * d).
    """
    windows = windows.reshape(*windows.shape[:4], KERNEL, KERNEL, -1)
    top, centre, bottom = windows.unbind(4)  # an even row is a window's centre, an odd one lies in two windows
    odd = bottom + F.pad(top[:, 1:], (0, 0) * (top.ndim - 2) + (0, 1))
    rows = torch.stack((centre, odd), dim=2).flatten(1, 2)[:, :height]
    left, centre, right = rows.unbind(4)
    odd = right + F.pad(left[:, :, 1:], (0, 0) * (left.ndim - 3) + (0, 1))
    return torch.stack((centre, odd), dim=3).flatten(2, 3)[:, :, :width].flatten(3)


class ConvolutionalSelfAttention(nn.Module):
    """CSA: in 3x3 windows of stride 2, weights from the pooled map mix the 9 positions' values.

    Each of the 9 positions has a value matrix of its own; overlapping windows add up.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.attn = nn.Linear(channels, heads * POSITIONS * POSITIONS)
        self.weight = nn.Conv2d(POSITIONS * channels, POSITIONS * channels, 1, groups=POSITIONS, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        batch, height, width, channels = x.shape
        pooled = from_map(F.avg_pool2d(to_map(x), STRIDE, ceil_mode=True))
        rows, columns = pooled.shape[1:3]
        weights = self.attn(pooled).view(batch, rows, columns, self.heads, POSITIONS, POSITIONS)
        weights = (weights * self.scale).softmax(-1)
        windows = F.pad(x, (0, 0, 1, 1, 1, 1)).unfold(1, KERNEL, STRIDE).unfold(2, KERNEL, STRIDE)
        positions = windows.permute(0, 1, 2, 4, 5, 3).reshape(batch, rows, columns, POSITIONS * channels)
        value = from_map(self.weight(to_map(positions)))
        value = value.reshape(batch, rows, columns, POSITIONS, self.heads, -1).transpose(3, 4)
        mixed = weights @ value  # (B, h, w, heads, 9, C / heads)
        out: Tensor = self.proj(overlap_add(mixed, height, width))
        return out


class SharedDilatedConv(nn.Module):
    """Sum over the dilations of SiLU(3x3 depthwise convolution), one kernel for all of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        scales = [
            F.silu(F.conv2d(x, self.weight, padding=dilation, dilation=dilation, groups=x.shape[1]))
            for dilation in DILATIONS
        ]
        return scales[0] + scales[1] + scales[2]


class RecursiveAtrousSelfAttention(nn.Module):
    """RASA: attention with multi-scale queries and reduced keys and values, twice with the same weights."""

    key_ratio = 1  # see scaseg.models.layers.pooled_keys

    def __init__(self, channels: int, heads: int, sr_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels, bias=False)
        self.kv = nn.Linear(channels, 2 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)
        self.ds = SharedDilatedConv(channels)
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(channels, channels, sr_ratio, sr_ratio)
            self.norm = nn.LayerNorm(channels)

    def attend(self, x: Tensor) -> Tensor:
        """One step of the recursion, (B, H, W, C) -> the same shape."""
        batch, height, width, channels = x.shape
        query = from_map(self.ds(to_map(self.q(x))))
        query = query.reshape(batch, height * width, self.heads, -1).transpose(1, 2)
        context = self.norm(from_map(self.sr(to_map(x)))) if self.sr_ratio > 1 else x
        context = pooled_keys(context, self.key_ratio, self.training)
        key_value = self.kv(context).view(batch, -1, 2, self.heads, channels // self.heads)
        key, value = key_value.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(batch, height, width, channels))
        return projected

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        x = F.silu(self.attend(x)) + x
        return F.silu(self.attend(x))


class LinearMlp(nn.Module):
    """Linear, GELU, linear (stage 1)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class ConvMlp(nn.Module):
    """1x1, 3x3 depthwise convolution, GELU, 1x1 (stages 2-4)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = PointwiseConv(channels, hidden)
        self.depconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = PointwiseConv(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        return from_map(self.fc2(F.gelu(self.depconv(self.fc1(to_map(x))))))


class Block(nn.Module):
    """Pre-norm attention and MLP, each with a shortcut and stochastic depth."""

    def __init__(self, channels: int, attn: nn.Module, mlp: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = attn
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = mlp
        self.drop_path = drop_path_layer(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class LVT(nn.Module):
    """Lite Vision Transformer: convolutional self-attention in stage 1, recursive atrous in the others.

    Args:
        channels: widths C1..C4 of the stages at strides 4, 8, 16, 32.
        depths: blocks in each stage.
        drop_path: stochastic depth of the last block (the authors use none); it grows linearly from 0.
        sr_ratios: reduction of keys and values; stage 1 has none of its own and ignores its entry.
        in_channels: of the images.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 64, 160, 256),
        depths: Sequence[int] = (2, 2, 2, 2),
        drop_path: float = 0.0,
        heads: Sequence[int] = (2, 2, 5, 8),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        mlp_ratios: Sequence[int] = (4, 8, 4, 4),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        c1, c2, c3, c4 = channels
        self.channels = (c1, c2, c3, c4)
        rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        self.backbone = nn.ModuleList()
        stages = zip(self.channels, depths, heads, sr_ratios, mlp_ratios, strict=True)
        for i, (width, depth, head_count, sr_ratio, ratio) in enumerate(stages):
            blocks = nn.Sequential()
            for _ in range(depth):
                attn: nn.Module
                mlp: nn.Module
                if i == 0:
                    attn, mlp = ConvolutionalSelfAttention(width, head_count), LinearMlp(width, ratio * width)
                else:
                    attn = RecursiveAtrousSelfAttention(width, head_count, sr_ratio)
                    mlp = ConvMlp(width, ratio * width)
                blocks.append(Block(width, attn, mlp, next(rates)))
            kernel, stride = (7, 4) if i == 0 else (3, 2)
            self.backbone.append(nn.Sequential(PatchEmbed(in_channels, width, kernel, stride), blocks))
            in_channels = width
        self._init_weights()

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, ConvMlp):
                continue
            for child in module.children():
                init_weights(child)
        for module in self.modules():
            if isinstance(module, ConvolutionalSelfAttention):
                nn.init.normal_(module.weight.weight, std=math.sqrt(2 / module.weight.out_channels))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), H and W at least 32 -> four maps (B, C_i, ceil(H/s), ceil(W/s)), s = 4, 8, 16, 32."""
        maps = []
        x = from_map(x)
        for stage in self.backbone:
            x = stage(x)
            maps.append(to_map(x))
        return maps
