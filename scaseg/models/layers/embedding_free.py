"""Embedding-free attention (Yu et al., ECCV 2024): no projections to queries, keys and values."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.pointwise import PointwiseConv


class EmbeddingFreeAttention(nn.Module):
    """Multi-head attention of a map over itself pooled, whose pixels are keys and values at once.

    Pooled, the map passes a 1x1 convolution and, with `normed`, LayerNorm and GELU. inference_reduction: by what the
    keys are pooled further outside training (inference spatial reduction); no weight depends on it. key_ratio is a
    further factor, set from the protocol (see scaseg.models.layers.pooled_keys).
    Parameter names are those of the official checkpoints.
    """

    key_ratio = 1

    def __init__(
        self, channels: int, heads: int, pool: int, inference_reduction: int = 1, normed: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.pool = pool
        self.inference_reduction = inference_reduction
        self.sr = PointwiseConv(channels, channels)
        self.norm = nn.LayerNorm(channels) if normed else None
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        query, memory = (y.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (x, self._memory(x)))
        attended = F.scaled_dot_product_attention(query, memory, memory)
        out: Tensor = self.proj(attended.transpose(1, 2).reshape(x.shape))
        return out

    def _memory(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, h, w, C), h = H / ratio rounded down and at least 1."""
        ratio = self.pool if self.training else self.pool * self.inference_reduction * self.key_ratio
        if ratio > 1:
            kernel = [min(ratio, side) for side in x.shape[1:3]]
            x = F.avg_pool2d(x.permute(0, 3, 1, 2), kernel).permute(0, 2, 3, 1)
        x = self.sr.tokens(x)
        return x if self.norm is None else F.gelu(self.norm(x))


def check_reductions(key: str, ratios: Sequence[int], stages: int) -> None:
    """Raise ValueError, naming the key, unless there is one whole number of at least 1 for each stage."""
    numbers = list(ratios) if isinstance(ratios, Sequence) else []
    if len(numbers) != stages or not all(isinstance(number, int) and number >= 1 for number in numbers):
        raise ValueError(f"{key}={ratios}: {stages} whole numbers, one for each stage, at least 1")
