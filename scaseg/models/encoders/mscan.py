"""Multi-Scale Convolutional Attention Network, the encoder of SegNeXt (Guo et al., NeurIPS 2022).

Module and parameter names are those of the official checkpoints.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.depthwise import DepthwiseConv
from scaseg.models.encoders.widths import ffn_widths
from scaseg.models.layers.drop import drop_path as drop_path_layer
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv


class Stem(nn.Module):
    """Two strided convolutions, stride 4 in all."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3, 2, 1),
            nn.BatchNorm2d(channels // 2),
            nn.GELU(),
            nn.Conv2d(channels // 2, channels, 3, 2, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C, ceil(H/4), ceil(W/4))."""
        out: Tensor = self.proj(x)
        return out


class PatchEmbed(nn.Module):
    """Overlapping patches: convolution of stride 2, then BatchNorm."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, 3, 2, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C, ceil(H/2), ceil(W/2))."""
        out: Tensor = self.norm(self.proj(x))
        return out


class SpatialGatingUnit(nn.Module):
    """Multi-scale attention: a 5x5 and three pairs of strip convolutions, mixed by 1x1, gate the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()

        def depthwise(height: int, width: int) -> nn.Conv2d:
            padding = (height // 2, width // 2)
            return nn.Conv2d(channels, channels, (height, width), padding=padding, groups=channels)

        self.conv0 = depthwise(5, 5)
        self.conv0_1, self.conv0_2 = depthwise(1, 7), depthwise(7, 1)
        self.conv1_1, self.conv1_2 = depthwise(1, 11), depthwise(11, 1)
        self.conv2_1, self.conv2_2 = depthwise(1, 21), depthwise(21, 1)
        self.conv3 = PointwiseConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        local = self.conv0(x)
        scales = local + self.conv0_2(self.conv0_1(local))
        scales = scales + self.conv1_2(self.conv1_1(local))
        scales = scales + self.conv2_2(self.conv2_1(local))
        gate: Tensor = self.conv3(scales)
        return gate * x


class SpatialAttention(nn.Module):
    """1x1, GELU, gating unit, 1x1, with a shortcut of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_1 = PointwiseConv(channels, channels)
        self.spatial_gating_unit = SpatialGatingUnit(channels)
        self.proj_2 = PointwiseConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        out: Tensor = self.proj_2(self.spatial_gating_unit(F.gelu(self.proj_1(x))))
        return out + x


class MixFFN(nn.Module):
    """1x1, 3x3 depthwise convolution, GELU, 1x1."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = PointwiseConv(channels, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = PointwiseConv(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        out: Tensor = self.fc2(F.gelu(self.dwconv(self.fc1(x))))
        return out


class Block(nn.Module):
    """Pre-norm spatial attention and mix-FFN, each with layer scale, shortcut and stochastic depth."""

    def __init__(self, channels: int, hidden: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attn = SpatialAttention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = MixFFN(channels, hidden)
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), 0.01))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), 0.01))
        self.drop_path = drop_path_layer(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        x = torch.addcmul(x, self.layer_scale_1[:, None, None], self.drop_path(self.attn(self.norm1(x))))
        x = torch.addcmul(x, self.layer_scale_2[:, None, None], self.drop_path(self.mlp(self.norm2(x))))
        return x


class MSCAN(nn.Module):
    """MSCAN-T, S and B.

    Args:
        channels: widths C1..C4 of the stages at strides 4, 8, 16, 32.
        depths: blocks in each stage.
        drop_path: stochastic depth of the last block; it grows linearly from 0 over all blocks.
        in_channels: of the images.
        ffn_channels: hidden channels of the mix-FFNs, a list a stage, a number a block, in place of mlp_ratio C_i (see
            scaseg.prune).
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        drop_path: float = 0.0,
        mlp_ratios: Sequence[int] = (8, 8, 4, 4),
        in_channels: int = 3,
        ffn_channels: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        ratios = zip(mlp_ratios, channels, strict=True)
        hidden = ffn_widths(ffn_channels, depths, [ratio * width for ratio, width in ratios])
        self.in_channels = in_channels
        c1, c2, c3, c4 = channels
        self.channels = (c1, c2, c3, c4)
        rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        for i, (width, hiddens) in enumerate(zip(self.channels, hidden, strict=True), start=1):
            embed = Stem(in_channels, width) if i == 1 else PatchEmbed(in_channels, width)
            self.add_module(f"patch_embed{i}", embed)
            self.add_module(f"block{i}", nn.ModuleList(Block(width, own, next(rates)) for own in hiddens))
            self.add_module(f"norm{i}", nn.LayerNorm(width))
            in_channels = width
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), H and W at least 32 -> four maps (B, C_i, ceil(H/s), ceil(W/s)), s = 4, 8, 16, 32."""
        maps = []
        x = x.contiguous(memory_format=torch.channels_last)
        for stage in (1, 2, 3, 4):
            x = getattr(self, f"patch_embed{stage}")(x)
            for block in getattr(self, f"block{stage}"):
                x = block(x)
            x = getattr(self, f"norm{stage}")(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            maps.append(x)
        return maps
