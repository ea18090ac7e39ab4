"""The all-attention decoder of EDAFormer (Yu et al., ECCV 2024): embedding-free attention, more of it the deeper."""

from collections.abc import Sequence

from torch import Tensor, nn

from scaseg.models.layers.attention import heads_for
from scaseg.models.layers.block_branches import MixFeedForward
from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.drop import drop_path as stochastic_depth
from scaseg.models.layers.embedding_free import EmbeddingFreeAttention, check_reductions
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.init import init_weights

DEPTHS = {4: 3, 3: 2, 2: 1}
HEADS = {4: 8, 3: 4, 2: 2}
MEMORY_POOL = {4: 1, 3: 2, 2: 4}  # to stage 4's stride


class EmbeddingFreeBlock(nn.Module):
    """Pre-norm embedding-free attention and mix-FFN, each with a residual."""

    def __init__(
        self, channels: int, heads: int, pool: int, inference_reduction: int, mlp_ratio: int, drop_path: float
    ) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(channels)
        self.attention = EmbeddingFreeAttention(channels, heads, pool, inference_reduction, normed=True)
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = MixFeedForward(channels, ratio=mlp_ratio)
        self.drop = stochastic_depth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        x = x + self.drop(self.attention(self.norm_query(x)))
        x = x + self.drop(self.ffn(self.norm_ffn(x)))
        return x


class EDAFormerDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 8, W / 8).

    Stages 2, 3 and 4 have one, two and three blocks; the finest map is not used. mlp_ratio: of the feed-forward's
    hidden channels to its own. inference_reduction: for stages 2, 3 and 4, by what keys are pooled further outside
    training; weights do not depend on it, and the published example of inference spatial reduction is [2, 2, 2]. fuse:
    `native` or `literal`, the same function. Raises ValueError for other values.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        mlp_ratio: int = 2,
        inference_reduction: Sequence[int] = (1, 1, 1),
        drop_path: float = 0.1,
        dropout: float = 0.1,
        fuse: str = "native",
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        check_reductions("decoder.inference_reduction", inference_reduction, 3)
        if mlp_ratio < 1:
            raise ValueError(f"decoder.mlp_ratio={mlp_ratio}: at least 1")
        self.blocks = nn.ModuleDict()
        for stage in (4, 3, 2):
            channels = in_channels[stage - 1]
            heads, reduction = heads_for(channels, HEADS[stage]), inference_reduction[stage - 2]
            self.blocks[str(stage)] = nn.Sequential(
                *(
                    EmbeddingFreeBlock(channels, heads, MEMORY_POOL[stage], reduction, mlp_ratio, drop_path)
                    for _ in range(DEPTHS[stage])
                )
            )
        self.fuse = Fuse(in_channels[1:], embed_channels, fuse)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = [
            self.blocks[str(stage)](features[stage - 1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for stage in (2, 3, 4)
        ]
        logits: Tensor = self.classifier(self.fuse(maps))
        return logits
