"""The decoder of FeedFormer (Shim et al., AAAI 2023): deep features query the finest encoder map."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.attention import CrossAttention, heads_for
from scaseg.models.layers.block_branches import MixFeedForward
from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.drop import drop_path as stochastic_depth
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.resize import resize

HEADS = {4: 8, 3: 5, 2: 2}
MEMORY_POOL = {4: 8, 3: 4, 2: 2}  # from stage 1's stride to the stage's own


class Reduce(nn.Module):
    """Average pooling, 1x1 convolution, LayerNorm, GELU; channels last."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.conv = PointwiseConv(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, h, w, C), h = H / ratio rounded down and at least 1."""
        kernel = [min(self.ratio, side) for side in x.shape[1:3]]
        pooled = self.conv(F.avg_pool2d(x.permute(0, 3, 1, 2), kernel))
        return F.gelu(self.norm(pooled.permute(0, 2, 3, 1)))


class FeedBlock(nn.Module):
    """Pre-norm attention of a stage over the pooled finest map, then mix-FFN, each with a residual."""

    def __init__(
        self, channels: int, memory_channels: int, heads: int, memory_pool: int, query_pool: int, drop_path: float
    ) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(channels)
        self.norm_memory = nn.LayerNorm(memory_channels)
        self.reduce_query = Reduce(channels, query_pool) if query_pool > 1 else None
        self.reduce_memory = Reduce(memory_channels, memory_pool * query_pool)
        self.attention = CrossAttention(channels, memory_channels, heads, channels // heads)
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = MixFeedForward(channels)
        self.drop = stochastic_depth(drop_path)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x (B, C, H, W), memory (B, C_1, H_1, W_1) -> (B, C, H, W)."""
        z: Tensor = x.permute(0, 2, 3, 1)
        z = z + self.drop(self._attend(self.norm_query(z), self.norm_memory(memory.permute(0, 2, 3, 1))))
        z = z + self.drop(self.ffn(self.norm_ffn(z)))
        return z.permute(0, 3, 1, 2)

    def _attend(self, query: Tensor, memory: Tensor) -> Tensor:
        size = query.shape[1:3]
        if self.reduce_query is not None:
            query = self.reduce_query(query)
        attended = self.attention(query, self.reduce_memory(memory))
        return resize(attended.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)


class FeedFormerDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 4, W / 4).

    query_pool: 2 is the Cityscapes form, whose queries and keys are pooled once more. fuse: `native` or `literal`,
    the same function. Raises ValueError for other values.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        query_pool: int = 1,
        drop_path: float = 0.1,
        dropout: float = 0.1,
        fuse: str = "native",
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        if query_pool < 1:
            raise ValueError(f"decoder.query_pool={query_pool}: at least 1")
        self.blocks = nn.ModuleDict(
            {
                str(stage): FeedBlock(
                    in_channels[stage - 1],
                    in_channels[0],
                    heads_for(in_channels[stage - 1], HEADS[stage]),
                    MEMORY_POOL[stage],
                    query_pool,
                    drop_path,
                )
                for stage in (4, 3, 2)
            }
        )
        self.fuse = Fuse(in_channels, embed_channels, fuse)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = list(features)
        for stage, block in self.blocks.items():
            maps[int(stage) - 1] = block(maps[int(stage) - 1], features[0])
        logits: Tensor = self.classifier(self.fuse(maps))
        return logits
