"""The decoder of MetaSeg (Kang et al., WACV 2024): self-attention with one query and key channel a head."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.attention import CrossAttention, heads_for
from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.drop import drop_path as stochastic_depth
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.strip_attention import FEWEST_NODES, MODES, NODES

HEADS = {4: 8, 3: 4, 2: 2}
MEMORY_POOL = {4: 2, 3: 4, 2: 8}


class ReducedAttention(nn.Module):
    """Channel reduction attention: of a map over itself pooled, projected, normed and passed through GELU.

    Logits are scaled by the channels a head has in the values, although queries and keys have one.
    """

    def __init__(self, channels: int, heads: int, pool: int, strip: str, nodes: int) -> None:
        super().__init__()
        self.pool = pool
        self.reduce = PointwiseConv(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.attention = CrossAttention(channels, channels, heads, 1, strip, nodes)
        self.attention.scale = (channels // heads) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        kernel = [min(self.pool, side) for side in x.shape[1:3]]
        pooled = self.reduce(F.avg_pool2d(x.permute(0, 3, 1, 2), kernel))
        attended: Tensor = self.attention(x, F.gelu(self.norm(pooled.permute(0, 2, 3, 1))))
        return attended


class MetaBlock(nn.Module):
    """Pre-norm attention and feed-forward of two linears, each with a residual."""

    def __init__(self, channels: int, attention: nn.Module, drop_path: float, ratio: int = 2) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(channels)
        self.attention = attention
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = nn.Sequential(  # the published code drops features here with the rate of its stochastic depth
            nn.Linear(channels, ratio * channels),
            nn.GELU(),
            nn.Dropout(drop_path),
            nn.Linear(ratio * channels, channels),
            nn.Dropout(drop_path),
        )
        self.drop = stochastic_depth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        z: Tensor = x.permute(0, 2, 3, 1)
        z = z + self.drop(self.attention(self.norm_query(z)))
        z = z + self.drop(self.ffn(self.norm_ffn(z)))
        return z.permute(0, 3, 1, 2)


class MetaSegDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 8, W / 8).

    Stages 2 to 4 have a block each; the finest map is not used. strip, strip_nodes: how the attention is computed,
    see strip_attention. fuse: `native` or `literal`, the same function. Raises ValueError for other values.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        drop_path: float = 0.1,
        dropout: float = 0.1,
        fuse: str = "native",
        strip: str = "auto",
        strip_nodes: int = NODES,
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        if strip not in MODES:
            raise ValueError(f"decoder.strip={strip!r}: choose one of {', '.join(MODES)}")
        if strip_nodes < FEWEST_NODES:
            raise ValueError(f"decoder.strip_nodes={strip_nodes}: at least {FEWEST_NODES}")
        self.blocks = nn.ModuleDict()
        for stage in (4, 3, 2):
            channels = in_channels[stage - 1]
            heads = heads_for(channels, HEADS[stage])
            attention = ReducedAttention(channels, heads, MEMORY_POOL[stage], strip, strip_nodes)
            self.blocks[str(stage)] = MetaBlock(channels, attention, drop_path)
        self.fuse = Fuse(in_channels[1:], embed_channels, fuse)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = [self.blocks[str(stage)](features[stage - 1]) for stage in (2, 3, 4)]
        logits: Tensor = self.classifier(self.fuse(maps))
        return logits
