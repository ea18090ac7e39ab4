"""Embedding-Free Transformer, the encoder of EDAFormer (Yu et al., ECCV 2024).

Module and parameter names are those of the official checkpoints. Maps are kept as in mit.py.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.depthwise import DepthwiseConv
from scaseg.models.encoders.mit import PatchEmbed, from_map, to_map
from scaseg.models.layers.bands import in_row_bands
from scaseg.models.layers.drop import drop_path as drop_path_layer
from scaseg.models.layers.embedding_free import EmbeddingFreeAttention, check_reductions
from scaseg.models.layers.init import init_weights

EPS = 1e-6  # of block and stage norms; the norm after a patch embedding has 1e-5


class FeedForward(nn.Module):
    """Linear, ReLU, 3x3 depthwise convolution, GELU, linear."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        return in_row_bands(self._rows, x, self.fc1.out_features)

    def _rows(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(from_map(self.dwconv(to_map(F.relu(self.fc1(x)))))))
        return out


class Block(nn.Module):
    """Pre-norm embedding-free attention and feed-forward, each with a shortcut and stochastic depth."""

    def __init__(
        self, channels: int, heads: int, pool: int, inference_reduction: int, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=EPS)
        self.attn = EmbeddingFreeAttention(channels, heads, pool, inference_reduction)
        self.norm2 = nn.LayerNorm(channels, eps=EPS)
        self.mlp = FeedForward(channels, int(mlp_ratio * channels))
        self.drop_path = drop_path_layer(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class EFT(nn.Module):
    """EFT-T and EFT-B.

    Args:
        channels: widths C1..C4 of the stages at strides 4, 8, 16, 32.
        depths: blocks in each stage.
        drop_path: stochastic depth of the last block; it grows linearly from 0 over all blocks.
        inference_reduction: for each stage, by what keys are pooled further outside training; weights do not depend on
            it, and the published example of inference spatial reduction is [2, 2, 1, 1]. ValueError unless four whole
            numbers of at least 1.
        in_channels: of the images.
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        drop_path: float = 0.0,
        heads: Sequence[int] = (1, 2, 4, 8),
        pools: Sequence[int] = (8, 4, 2, 1),
        mlp_ratio: float = 4,
        inference_reduction: Sequence[int] = (1, 1, 1, 1),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        check_reductions("backbone.inference_reduction", inference_reduction, 4)
        c1, c2, c3, c4 = channels
        self.channels = (c1, c2, c3, c4)
        rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        stages = zip(self.channels, depths, heads, pools, inference_reduction, strict=True)
        for i, (width, depth, head_count, pool, reduction) in enumerate(stages, start=1):
            kernel, stride = (7, 4) if i == 1 else (3, 2)
            blocks = [Block(width, head_count, pool, reduction, mlp_ratio, next(rates)) for _ in range(depth)]
            self.add_module(f"patch_embed{i}", PatchEmbed(in_channels, width, kernel, stride))
            self.add_module(f"block{i}", nn.ModuleList(blocks))
            self.add_module(f"norm{i}", nn.LayerNorm(width, eps=EPS))
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
