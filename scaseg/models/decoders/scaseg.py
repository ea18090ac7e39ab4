"""The SCASeg decoder: top down, each stage's features query a fused map of all stages.

B batch, C_i channels and N_i tokens of stage i, T = C_1 + .. + C_4, E fuse width, K classes.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.attention import ATTENTIONS, CrossAttention, PooledCrossAttention, heads_for
from scaseg.models.layers.block_branches import LocalPerception, MixFeedForward
from scaseg.models.layers.channel_attention import CHANNEL_ATTENTIONS
from scaseg.models.layers.classifier import CLASSIFIERS
from scaseg.models.layers.classifier_end import scores, scores_in_shares
from scaseg.models.layers.drop import drop_path as stochastic_depth
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.in_place import residual
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.offset_classifier import OffsetClassifier
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.pooled_keys import pooled_keys
from scaseg.models.layers.ranked_attention import RankedCrossAttention
from scaseg.models.layers.recompute import CHOICES
from scaseg.models.layers.resize import divided_up
from scaseg.models.layers.strip_attention import FEWEST_NODES, MODES, NODES

HEADS = (1, 2, 5, 8)
STRIDE_RATIOS = (8, 4, 2, 1)  # from each stage's stride to stride 32
LPMS = (*CHANNEL_ATTENTIONS, "none")


class Gather(nn.Module):
    """M_i: every source pooled onto the coarsest grid, projected where it was pooled, concatenated."""

    def __init__(self, channels: Sequence[int], ratios: Sequence[int]) -> None:
        super().__init__()
        self.ratios = list(ratios)
        self.project = nn.ModuleList(
            PointwiseConv(c, c) if ratio > 1 else nn.Identity() for c, ratio in zip(channels, ratios, strict=True)
        )

    def forward(self, sources: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Sources (B, C_j, h_j, w_j) -> (B, *grid, sum_j C_j), channels last."""
        parts = []
        for source, ratio, project in zip(sources, self.ratios, self.project, strict=True):
            pooled = F.avg_pool2d(source, ratio, ceil_mode=True) if ratio > 1 else source
            if pooled.shape[2:] != grid:  # an encoder that rounds sizes down
                pooled = F.adaptive_avg_pool2d(pooled, grid)
            parts.append(project(pooled))
        return torch.cat(parts, 1).permute(0, 2, 3, 1)


class CrossLayerBlock(nn.Module):
    """CLB (equations 5-7), pre-norm: attention over the memory, local perception, mix-FFN, each with a residual.

    pools: whether the memory is among the keys that protocol.key_ratio pools (scaseg.models.layers.pooled_keys).
    """

    def __init__(
        self,
        channels: int,
        memory_channels: int,
        attention: nn.Module,
        lpm: str,
        drop_path: float,
        recompute: bool | str = "auto",
        lpm_channels: int | None = None,
        ffn_channels: int | None = None,
        pools: bool = False,
    ) -> None:
        super().__init__()
        self.key_ratio: int | None = 1 if pools else None
        self.norm_query = nn.LayerNorm(channels)
        self.norm_memory = nn.LayerNorm(memory_channels)
        self.attention = attention
        self.norm_lpm = nn.LayerNorm(channels) if lpm != "none" else None
        self.lpm = LocalPerception(channels, lpm, lpm_channels) if lpm != "none" else None
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = MixFeedForward(channels, recompute, hidden=ffn_channels)
        self.drop = stochastic_depth(drop_path)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x (B, C, H, W), memory (B, h, w, T) -> (B, C, H, W)."""
        z: Tensor = x.permute(0, 2, 3, 1)
        memory = pooled_keys(self.norm_memory(memory), self.key_ratio or 1, self.training)
        z = residual(self.drop(self.attention(self.norm_query(z), memory)), z)
        if self.lpm is not None and self.norm_lpm is not None:
            z = residual(self.drop(self.lpm(self.norm_lpm(z))), z)
        z = residual(self.drop(self.ffn(self.norm_ffn(z))), z)
        return z.permute(0, 3, 1, 2)


class SCASegDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 4, W / 4).

    attn: `sca` (strip cross-attention), `ca` (vanilla cross-attention) or `sa` (self-attention: keys and values
    from the own stage alone). lpm: channel attention of the local perception module, or `none` for no module.
    qk_channels: query/key channels a head, for `sca`. clb_stages: the stages that have a block, a top-down
    prefix of 4, 3, 2, 1. ranks: of each of these stages the query/key channels of every head, in place of those that
    attn has, the largest first (see scaseg.rank). ffn_channels, lpm_channels, value_channels: of each of these stages
    the hidden channels of mix-FFN and LPM and the value channels a head, in place of 4 C_i, C_i and C_i / heads (see
    scaseg.prune). query_pool: 2 is the Cityscapes block. fuse: `native` or `literal`, the same function.
    strip: how strip attention is computed, `auto`, `exact` or `spline`, the last with strip_nodes samples a head.
    recompute: what training computes twice in place of keeping it. `auto`: what is cheap (of the mix-FFNs the first
    linear and GELU, of the classifier's input all but the fused map); true: also the mix-FFNs' convolutions; false:
    nothing.
    Raises ValueError for any other value.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        attn: str = "sca",
        lpm: str = "se",
        qk_channels: int = 1,
        clb_stages: Sequence[int] = (4, 3, 2, 1),
        query_pool: int = 1,
        drop_path: float = 0.1,
        dropout: float = 0.1,
        fuse: str = "native",
        strip: str = "auto",
        strip_nodes: int = NODES,
        recompute: bool | str = "auto",
        classifier: str = "conv",
        ranks: Sequence[Sequence[int]] | None = None,
        ffn_channels: Sequence[int] | None = None,
        lpm_channels: Sequence[int] | None = None,
        value_channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if attn not in ATTENTIONS:
            raise ValueError(f"decoder.attn={attn!r}: choose one of {', '.join(ATTENTIONS)}")
        if lpm not in LPMS:
            raise ValueError(f"lpm={lpm!r}: choose one of {', '.join(LPMS)}")
        if not clb_stages or list(clb_stages) != [4, 3, 2, 1][: len(clb_stages)]:
            raise ValueError(f"decoder.clb_stages={list(clb_stages)}: a top-down prefix of [4, 3, 2, 1]")
        if strip not in MODES:
            raise ValueError(f"decoder.strip={strip!r}: choose one of {', '.join(MODES)}")
        if strip_nodes < FEWEST_NODES:
            raise ValueError(f"decoder.strip_nodes={strip_nodes}: at least {FEWEST_NODES}")
        for key, value in (("embed", embed_channels), ("qk", qk_channels)):
            if value < 1:
                raise ValueError(f"decoder.{key}_channels={value}: at least 1")
        if recompute not in CHOICES:
            raise ValueError(f"decoder.recompute={recompute!r}: choose one of auto, true, false")
        if query_pool < 1:
            raise ValueError(f"decoder.query_pool={query_pool}: at least 1")
        if classifier not in CLASSIFIERS:
            raise ValueError(f"classifier={classifier!r}: choose one of {', '.join(CLASSIFIERS)}")
        heads_of = {stage: heads_for(in_channels[stage - 1], HEADS[stage - 1]) for stage in clb_stages}
        ranks_of = _ranks(ranks, heads_of) if ranks is not None else {}
        ffns = _widths("ffn", ffn_channels, clb_stages)
        lpms = _widths("lpm", lpm_channels, clb_stages)
        values = _widths("value", value_channels, clb_stages)
        self.query_pool = query_pool
        self.recompute = recompute
        self.self_attention = attn == "sa"
        self.gathers = nn.ModuleDict()
        self.blocks = nn.ModuleDict()
        for stage in clb_stages:
            channels = in_channels[stage - 1]
            sources = [stage - 1] if self.self_attention else range(4)
            memory_channels = sum(in_channels[j] for j in sources)
            attention: nn.Module
            strips = strip, strip_nodes, values.get(stage)
            pools = False  # what takes time linear in the keys loses by fewer of them, and gains nothing
            if ranks_of:
                attention = RankedCrossAttention(channels, memory_channels, ranks_of[stage], *strips)
            else:
                each = qk_channels if attn == "sca" else channels // heads_of[stage]
                attention = CrossAttention(channels, memory_channels, heads_of[stage], each, *strips)
                pools = each > 2
            if query_pool > 1:
                attention = PooledCrossAttention(attention, channels, memory_channels, query_pool)
            self.gathers[str(stage)] = Gather(
                [in_channels[j] for j in sources], [STRIDE_RATIOS[j] * query_pool for j in sources]
            )
            self.blocks[str(stage)] = CrossLayerBlock(
                channels, memory_channels, attention, lpm, drop_path, recompute, lpms.get(stage), ffns.get(stage), pools
            )
        self.fuse = Fuse(in_channels, embed_channels, fuse)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier: PointwiseConv | OffsetClassifier = PointwiseConv(embed_channels, num_classes)
        self.apply(init_weights)
        # The rule for convolutions (fan-out) would start a classifier of few classes with logits of a standard
        # deviation of 4 and more, which takes Adam hundreds of steps to undo; this is mmsegmentation's start.
        nn.init.normal_(self.classifier.weight, std=0.01)
        if classifier == "offset":
            self.classifier = OffsetClassifier(embed_channels, num_classes, 0.0)  # after the dropout here

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = list(features)
        height, width = maps[3].shape[2:]
        grid = divided_up(height, self.query_pool), divided_up(width, self.query_pool)
        for stage, block in self.blocks.items():
            i = int(stage) - 1
            sources = [maps[i]] if self.self_attention else maps
            maps[i] = block(maps[i], self.gathers[stage](sources, grid))
        classifier = self.classifier
        if isinstance(classifier, PointwiseConv) and self.recompute is not False and self.fuse.form == "native":
            if not self.training:
                return scores_in_shares(self.fuse, maps, classifier)
            return scores(self.fuse.mix(maps), self.fuse.norm, self.dropout, classifier)
        logits: Tensor = classifier(self.dropout(self.fuse(maps)))
        return logits


def _ranks(given: Sequence[Sequence[int]], heads: Mapping[int, int]) -> dict[int, Sequence[int]]:
    """Ranks by stage, in the order of the blocks; ValueError where they are not one number a head."""
    if [len(of_stage) for of_stage in given] != list(heads.values()):
        stages = ", ".join(f"{number} of stage {stage}" for stage, number in heads.items())
        raise ValueError(f"decoder.ranks={[list(one) for one in given]}: a list a stage, a number a head: {stages}")
    return dict(zip(heads, given, strict=True))


def _widths(key: str, given: Sequence[int] | None, stages: Sequence[int]) -> dict[int, int]:
    """Channels by stage, none where none are given; ValueError where they are not one number a stage."""
    if given is None:
        return {}
    if len(given) != len(stages) or min(given) < 1:
        of_stages = ", ".join(map(str, stages))
        raise ValueError(f"decoder.{key}_channels={list(given)}: a number from 1 on for each of the stages {of_stages}")
    return dict(zip(stages, given, strict=True))
