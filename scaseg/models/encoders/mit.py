"""Mix Transformer, the encoder of SegFormer (Xie et al., NeurIPS 2021).

Module and parameter names are those of the official checkpoints. Inside a stage a map is kept as
(B, H, W, C): norms and linears act on the last axis, and `permute(0, 3, 1, 2)` shows the same memory to a
convolution as a channels-last map, so that nothing is copied on the way between tokens and maps.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.depthwise import DepthwiseConv
from scaseg.models.encoders.widths import ffn_widths
from scaseg.models.layers.bands import in_row_bands
from scaseg.models.layers.drop import drop_path as drop_path_layer
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pooled_keys import pooled_keys


def to_map(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), the same memory."""
    return x.permute(0, 3, 1, 2)


def from_map(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), the same memory."""
    return x.permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Overlapping patches: strided convolution, then LayerNorm."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C_in) -> (B, ceil(H/stride), ceil(W/stride), C)."""
        out: Tensor = self.norm(from_map(self.proj(to_map(x))))
        return out


class Attention(nn.Module):
    """Self-attention whose keys and values come from the map reduced by a convolution of `sr_ratio`."""

    key_ratio = 1  # see scaseg.models.layers.pooled_keys

    def __init__(self, channels: int, heads: int, sr_ratio: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(channels, channels, sr_ratio, sr_ratio)
            self.norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        batch, height, width, channels = x.shape
        context = self.norm(from_map(self.sr(to_map(x)))) if self.sr_ratio > 1 else x
        context = pooled_keys(context, self.key_ratio, self.training)
        query = self.q(x).view(batch, height * width, self.heads, -1).transpose(1, 2)
        key_value = self.kv(context).view(batch, -1, 2, self.heads, channels // self.heads)
        key, value = key_value.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(batch, height, width, channels))
        return projected


class MixFFN(nn.Module):
    """Linear, 3x3 depthwise convolution, GELU, linear."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        return in_row_bands(self._rows, x, self.fc1.out_features)

    def _rows(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(from_map(self.dwconv(to_map(self.fc1(x))))))
        return out


class Block(nn.Module):
    """Pre-norm attention and mix-FFN, each with a shortcut and stochastic depth."""

    def __init__(
        self,
        channels: int,
        heads: int,
        sr_ratio: int,
        hidden: int,
        drop_path: float,
        eps: float,
        reduction_eps: float,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attn = Attention(channels, heads, sr_ratio, reduction_eps)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = MixFFN(channels, hidden)
        self.drop_path = drop_path_layer(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class MiT(nn.Module):
    """MiT-B0 to B5.

    Args:
        channels: widths C1..C4 of the stages at strides 4, 8, 16, 32.
        depths: blocks in each stage.
        drop_path: stochastic depth of the last block; it grows linearly from 0 over all blocks.
        in_channels: of the images.
        ffn_channels: hidden channels of the mix-FFNs, a list a stage, a number a block, in place of mlp_ratio C_i (see
            scaseg.prune).
        eps: of block and stage norms.
        reduction_eps: of the norms after a strided convolution (patch embedding, key and value reduction).

    The defaults of both eps are the official code's, with which the weights were trained. mmsegmentation has
    1e-6 and Hugging Face 1e-5 for both: give those for their outputs to the last digit.
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        drop_path: float = 0.0,
        heads: Sequence[int] = (1, 2, 5, 8),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        mlp_ratio: int = 4,
        eps: float = 1e-6,
        reduction_eps: float = 1e-5,
        in_channels: int = 3,
        ffn_channels: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        hidden = ffn_widths(ffn_channels, depths, [mlp_ratio * width for width in channels])
        self.in_channels = in_channels
        c1, c2, c3, c4 = channels
        self.channels = (c1, c2, c3, c4)
        rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        stages = zip(self.channels, hidden, heads, sr_ratios, strict=True)
        for i, (width, hiddens, head_count, sr_ratio) in enumerate(stages, start=1):
            kernel, stride = (7, 4) if i == 1 else (3, 2)
            blocks = [Block(width, head_count, sr_ratio, own, next(rates), eps, reduction_eps) for own in hiddens]
            embed = PatchEmbed(in_channels, width, kernel, stride, reduction_eps)
            self.add_module(f"patch_embed{i}", embed)
            self.add_module(f"block{i}", nn.ModuleList(blocks))
            self.add_module(f"norm{i}", nn.LayerNorm(width, eps=eps))
            in_channels = width
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), H and W at least 32 -> four maps (B, C_i, ceil(H/s), ceil(W/s)), s = 4, 8, 16, 32."""
        maps = []
        x = from_map(x)
        for stage in (1, 2, 3, 4):
            x = getattr(self, f"patch_embed{stage}")(x)
            for block in getattr(self, f"block{stage}"):
                x = block(x)
            x = getattr(self, f"norm{stage}")(x)
            maps.append(to_map(x))
        return maps
