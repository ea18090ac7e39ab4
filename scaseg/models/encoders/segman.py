"""SegMAN's encoder (Fu et al., CVPR 2025) in plain PyTorch: neighbourhood attention, then a selective scan in 2-d.

Module and parameter names are those of the official checkpoints. Maps are (B, C, H, W), channels last in memory.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.neighbourhood import NeighbourhoodAttention
from scaseg.models.encoders.selective_scan_2d import SelectiveScan2d
from scaseg.models.layers.drop import drop_path as drop_path_layer
from scaseg.models.layers.pointwise import PointwiseConv

EPS = 1e-6
GRID = 7  # side of the coarsest map at the size of pre-training


class MapNorm(nn.LayerNorm):
    """LayerNorm over the channels of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def depthwise(channels: int, kernel: int) -> nn.Conv2d:
    """A biased depthwise convolution that keeps the size."""
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)


class Rotary(nn.Module):
    """Angles of rotary position embedding: the first half of a head's channels turn by the row, the others by the
    column.
    """

    angle: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        angle = 1.0 / 10000 ** torch.linspace(0, 1, channels // 4)
        self.register_buffer("angle", angle.repeat_interleave(2))

    def forward(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Sines and cosines (H, W, 1, d)."""
        rows = torch.arange(height, device=self.angle.device).to(self.angle)[:, None, None] * self.angle
        columns = torch.arange(width, device=self.angle.device).to(self.angle)[:, None] * self.angle
        turned = torch.cat([rows.expand(-1, width, -1), columns.expand(height, -1, -1)], -1).unsqueeze(2)
        return turned.sin(), turned.cos()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of channels of (B, H, W, heads, d) by the angles of `Rotary`."""
    sine, cosine = angles
    pairs = x.unflatten(-1, (-1, 2))
    quarter = torch.stack([-pairs[..., 1], pairs[..., 0]], -1).flatten(-2)
    return x * cosine + quarter * sine


class TokenMixer(nn.Module):
    """Neighbourhood attention whose result is scanned (stages 1 to 3) or attended to globally (stage 4)."""

    def __init__(self, channels: int, heads: int, window: int, last: bool) -> None:
        super().__init__()
        self.heads = heads
        self.last = last
        self.qkv = PointwiseConv(channels, 3 * channels)
        self.lepe = depthwise(channels, 5)
        self.proj = PointwiseConv(channels, channels)
        self.neighbours = NeighbourhoodAttention(window)
        biases = [torch.zeros(heads, 2 * window - 1, 2 * window - 1)]
        if last:
            biases.append(torch.zeros(heads, GRID**2, GRID**2))
        else:
            self.dwconv = nn.Sequential(depthwise(channels, 3), nn.BatchNorm2d(channels))
            self.ssm = SelectiveScan2d(channels)
            self.norm = MapNorm(channels)
        self.rpb = nn.ParameterList(nn.Parameter(bias) for bias in biases)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, channels, height, width = x.shape
        qkv = self.qkv(x)
        local = self.lepe(qkv[:, -channels:])
        query, key, value = qkv.permute(0, 2, 3, 1).unflatten(-1, (3, self.heads, -1)).unbind(3)
        query = rotate(query, angles) * query.shape[-1] ** -0.5
        key = rotate(key, angles)
        near = self.neighbours(query, key, value, self.rpb[0])
        if self.last:
            query, key, near = (y.flatten(1, 2).transpose(1, 2) for y in (query, key, near))
            far = F.scaled_dot_product_attention(query, key, near, self._global_bias(height * width), scale=1.0)
            mixed = far.transpose(1, 2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
        else:
            near = near.flatten(3).permute(0, 3, 1, 2)
            mixed = self.norm(self.ssm(F.silu(self.dwconv(near)))) + near
        out: Tensor = self.proj(mixed + local)
        return out

    def _global_bias(self, pixels: int) -> Tensor:
        bias: Tensor = self.rpb[1].unsqueeze(0)
        if pixels == bias.shape[-1]:
            return bias
        return F.interpolate(bias, size=(pixels, pixels), mode="bicubic", align_corners=False)


class FeedForward(nn.Module):
    """1x1, GELU, a residual 3x3 depthwise convolution, 1x1."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = PointwiseConv(channels, hidden)
        self.dwconv = depthwise(hidden, 3)
        self.fc2 = PointwiseConv(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        hidden = F.gelu(self.fc1(x))
        out: Tensor = self.fc2(hidden + self.dwconv(hidden))
        return out


class LayerScale(nn.Module):
    """A learned factor and offset for each channel."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1, 1), start))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class Block(nn.Module):
    """Positions by a convolution, token mixer; positions again, feed-forward; each a residual.

    layer_scale: where the factors of what mixer and feed-forward add start; None for no factors.
    """

    def __init__(
        self, channels: int, mixer: TokenMixer, ratio: float, drop_path: float, layer_scale: float | None = None
    ) -> None:
        super().__init__()
        self.cpe1 = depthwise(channels, 3)
        self.norm1 = MapNorm(channels)
        self.token_mixer = mixer
        self.cpe2 = depthwise(channels, 3)
        self.norm2 = MapNorm(channels)
        self.mlp = FeedForward(channels, int(ratio * channels))
        self.drop_path = drop_path_layer(drop_path)
        scales = (nn.Identity() if layer_scale is None else LayerScale(channels, layer_scale) for _ in range(2))
        self.layer_scale1, self.layer_scale2 = scales

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        x = x + self.cpe1(x)
        x = x + self.drop_path(self.layer_scale1(self.token_mixer(self.norm1(x), angles)))
        x = x + self.cpe2(x)
        x = x + self.drop_path(self.layer_scale2(self.mlp(self.norm2(x))))
        return x


class Stage(nn.Module):
    """Blocks that share their angles."""

    def __init__(self, channels: int, heads: int, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.rope = Rotary(channels // heads)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        angles = self.rope(x.shape[2], x.shape[3])
        for block in self.blocks:
            x = block(x, angles)
        return x


def strided(in_channels: int, channels: int) -> nn.Sequential:
    """3x3 convolution of stride 2 without bias, BatchNorm."""
    return nn.Sequential(nn.Conv2d(in_channels, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels))


class SegMAN(nn.Module):
    """SegMAN's encoder; the defaults are its T's.

    Args:
        channels: widths C1..C4 of the stages at strides 4, 8, 16, 32.
        depths: blocks in each stage.
        drop_path: stochastic depth of the last block; it grows linearly from 0 over all blocks.
        windows: side of the neighbourhood in each stage; on a smaller map it is the whole map.
        layer_scale: where learned factors of what a block adds start, of B; None for none.
        in_channels: of the images.
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        drop_path: float = 0.0,
        heads: Sequence[int] = (1, 2, 4, 8),
        windows: Sequence[int] = (11, 9, 9, 7),
        mlp_ratios: Sequence[float] = (4, 4, 3, 3),
        layer_scale: float | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        c1, c2, c3, c4 = channels
        self.channels = (c1, c2, c3, c4)
        half = c1 // 2
        same = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        end = nn.Conv2d(c1, c1, 3, padding=1, bias=False), nn.BatchNorm2d(c1)
        self.patch_embed = nn.Sequential(
            *strided(in_channels, half), nn.GELU(), *same, nn.GELU(), *strided(half, c1), nn.GELU(), *end
        )
        rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        self.layers = nn.ModuleList()
        settings = zip(self.channels, depths, heads, windows, mlp_ratios, strict=True)
        for i, (width, depth, number, window, ratio) in enumerate(settings):
            if i:
                self.layers.append(strided(self.channels[i - 1], width))
            blocks = [
                Block(width, TokenMixer(width, number, window, i == 3), ratio, next(rates), layer_scale)
                for _ in range(depth)
            ]
            self.layers.append(Stage(width, number, blocks))
        self.apply(_init)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), H and W at least 32 -> four maps (B, C_i, ceil(H/s), ceil(W/s)), s = 4, 8, 16, 32."""
        x = self.patch_embed(x.contiguous(memory_format=torch.channels_last))
        maps = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, Stage):
                maps.append(x)
        return maps


def _init(module: nn.Module) -> None:
    """The official rule: all convolutions truncated normal, std 0.02, no bias."""
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
