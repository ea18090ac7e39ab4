"""The decoder of U-MixFormer (Yeom and von Klitzing, WACV 2025): each stage queries a mix of all stages.

T = C_1 + .. + C_4.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.decoders.scaseg import Gather
from scaseg.models.layers.attention import CrossAttention, PooledCrossAttention, heads_for
from scaseg.models.layers.block_branches import MixFeedForward
from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.drop import drop_path as stochastic_depth
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.resize import divided_up

HEADS = (1, 2, 5, 8)
STRIDE_RATIOS = (8, 4, 2, 1)  # from each stage's stride to stride 32


class MixAttention(CrossAttention):
    """Vanilla cross-attention whose keys and values see GELU(memory)."""

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query (B, H, W, C), memory (B, h, w, T) -> (B, H, W, C)."""
        return super().forward(query, F.gelu(memory))


class MixBlock(nn.Module):
    """Attention over the memory, then mix-FFN; the residuals carry the normalised maps."""

    def __init__(self, channels: int, memory_channels: int, heads: int, query_pool: int, drop_path: float) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(channels)
        self.norm_memory = nn.LayerNorm(memory_channels)
        attention: nn.Module
        if query_pool > 1:
            plain = CrossAttention(channels, memory_channels, heads, channels // heads)
            attention = PooledCrossAttention(plain, channels, memory_channels, query_pool)
        else:
            attention = MixAttention(channels, memory_channels, heads, channels // heads)
        self.attention = attention
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = MixFeedForward(channels)
        self.drop = stochastic_depth(drop_path)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x (B, C, H, W), memory (B, h, w, T) -> (B, C, H, W)."""
        z: Tensor = self.norm_query(x.permute(0, 2, 3, 1))
        z = self.norm_ffn(z + self.drop(self.attention(z, self.norm_memory(memory))))
        z = z + self.drop(self.ffn(z))
        return z.permute(0, 3, 1, 2)


class UMixFormerDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 4, W / 4).

    Stages go top down; the memory of each holds the decoder's maps of the stages that are done. query_pool: 2 is
    the Cityscapes form. fuse: `native` or `literal`, the same function. Raises ValueError for other values.
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
        self.query_pool = query_pool
        self.gathers = nn.ModuleDict()
        self.blocks = nn.ModuleDict()
        for stage in (4, 3, 2, 1):
            channels = in_channels[stage - 1]
            heads = heads_for(channels, HEADS[stage - 1])
            self.gathers[str(stage)] = Gather(in_channels, [ratio * query_pool for ratio in STRIDE_RATIOS])
            self.blocks[str(stage)] = MixBlock(channels, sum(in_channels), heads, query_pool, drop_path)
        self.fuse = Fuse(in_channels, embed_channels, fuse)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = list(features)
        height, width = maps[3].shape[2:]
        grid = divided_up(height, self.query_pool), divided_up(width, self.query_pool)
        for stage, block in self.blocks.items():
            maps[int(stage) - 1] = block(maps[int(stage) - 1], self.gathers[stage](maps, grid))
        logits: Tensor = self.classifier(self.fuse(maps))
        return logits
