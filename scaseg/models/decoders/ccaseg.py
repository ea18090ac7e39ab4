"""The decoder of CCASeg (Yoo et al., WACV 2025): convolutional cross-attention of each stage and a mix of all stages.

Keys and queries meet as products of what convolutions of several sizes find in either, pixel by pixel, so that cost is
linear in pixels. The authors' repository has no licence: nothing of it is here. It was read for the sizes of kernels
and the order of injections, and what it computes is compared with ours.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.conv_norm import ConvNorm
from scaseg.models.layers.fuse import FORMS
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.resize import resize

KERNELS = {4: (3, 5, 9, 13), 3: (5, 7, 11, 21), 2: (5, 7, 11, 21), 1: (5, 7, 11, 21)}  # a square, then strips
FINEST = 2  # whose resolution stage 1 is pooled to


def _depthwise(channels: int, height: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels)


def _normed(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(PointwiseConv(in_channels, channels, bias=False), nn.BatchNorm2d(channels))


class ScaleBranch(nn.Module):
    """BatchNorm, 1x1 convolution, GELU; then a depthwise convolution, and pairs of strip convolutions of its result."""

    def __init__(self, in_channels: int, channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        square, *strips = kernels
        self.norm = nn.BatchNorm2d(in_channels)
        self.project = PointwiseConv(in_channels, channels)
        self.local = _depthwise(channels, square, square)
        self.strips = nn.ModuleList(
            nn.Sequential(_depthwise(channels, 1, strip), _depthwise(channels, strip, 1)) for strip in strips
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C_in, H, W) -> the projected map (B, C, H, W), and one of the same shape for each scale."""
        projected = F.gelu(self.project(self.norm(x)))
        local = self.local(projected)
        return projected, [local, *(strip(local) for strip in self.strips)]


class ConvolutionalCrossAttention(nn.Module):
    """x + W(q W(sum_s q_s k_s)), q_s and k_s what query and key are at scale s, W one 1x1 convolution.

    Then x + the feed-forward of BatchNorm, 1x1, 3x3 depthwise convolution, GELU, 1x1.
    """

    def __init__(self, channels: int, key_channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.query = ScaleBranch(channels, channels, kernels)
        self.key = ScaleBranch(key_channels, channels, kernels)
        self.mix = PointwiseConv(channels, channels)
        self.norm_ffn = nn.BatchNorm2d(channels)
        self.expand = PointwiseConv(channels, channels)
        self.depthwise = _depthwise(channels, 3, 3)
        self.project = PointwiseConv(channels, channels)

    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        """x (B, C, H, W), key (B, T, H, W) -> (B, C, H, W)."""
        query, of_query = self.query(x)
        _, of_key = self.key(key)
        attention = of_query[0] * of_key[0]
        for at_query, at_key in zip(of_query[1:], of_key[1:], strict=True):
            attention = attention + at_query * at_key
        x = x + self.mix(query * self.mix(attention))
        out: Tensor = x + self.project(F.gelu(self.depthwise(self.expand(self.norm_ffn(x)))))
        return out


class Injection(nn.Module):
    """Of a second map into a first: f(first) g(second) + g(second), f and g each a 1x1 convolution with BatchNorm.

    g(second) is resized to the first map. activated: f ends in ReLU.
    """

    def __init__(self, channels: int, injected_channels: int, activated: bool = False) -> None:
        super().__init__()
        self.local = _normed(channels, injected_channels)
        self.activation = nn.ReLU() if activated else nn.Identity()
        self.injected = _normed(injected_channels, injected_channels)

    def forward(self, x: Tensor, injected: Tensor) -> Tensor:
        """x (B, C, H, W), injected (B, C', h, w) -> (B, C', H, W)."""
        gate = resize(self.injected(injected), x.shape[2:])
        out: Tensor = self.activation(self.local(x)) * gate + gate
        return out


class Pool(nn.Module):
    """Average pooling by `ratio` and a 1x1 convolution."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.project = PointwiseConv(channels, channels)

    def forward(self, x: Tensor, grid: torch.Size) -> Tensor:
        """(B, C, H, W) -> (B, C, *grid)."""
        pooled = F.avg_pool2d(x, self.ratio, ceil_mode=True)
        if pooled.shape[2:] != grid:  # an encoder that rounds sizes down
            pooled = F.adaptive_avg_pool2d(pooled, (grid[0], grid[1]))
        out: Tensor = self.project(pooled)
        return out


class CCASegDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 8, W / 8).

    From the coarsest stage on, each one's map queries a key, in which all stages are injected into each other: finer
    ones pooled, coarser ones as the decoder made them. first_stage: 1, or 2 where the finest map is not used. depth: of
    attentions a stage. fuse: `literal` resizes coarser maps before they are injected, `native` after their projection,
    the same function. Where 32 does not divide the image's sides, which the published code refuses, pooling windows are
    cut at the edge. Raises ValueError for other values.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        first_stage: int = 1,
        depth: int = 3,
        dropout: float = 0.1,
        fuse: str = "native",
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        if first_stage not in (1, 2):
            raise ValueError(f"decoder.first_stage={first_stage}: 1 or 2")
        if depth < 1:
            raise ValueError(f"decoder.depth={depth}: at least 1")
        if fuse not in FORMS:
            raise ValueError(f"decoder.fuse={fuse!r}: choose one of {', '.join(FORMS)}")
        self.stages = range(first_stage, 5)
        self.literal = fuse == "literal"
        channels = dict(enumerate(in_channels, 1))
        self.pools = nn.ModuleDict(  # of stage i's map to the resolution of stage j's
            {f"{i}_{j}": Pool(channels[i], 2 ** (j - i)) for j in (2, 3, 4) for i in range(first_stage, j)}
        )
        self.keys = nn.ModuleDict({str(stage): self._chain(channels) for stage in self.stages})
        self.attentions = nn.ModuleDict(
            {
                str(stage): nn.ModuleList(
                    ConvolutionalCrossAttention(channels[stage], channels[4], KERNELS[stage]) for _ in range(depth)
                )
                for stage in self.stages
            }
        )
        self.renew = nn.ModuleDict({str(i): Injection(channels[i], channels[i], activated=True) for i in self.stages})
        self.join = self._chain(channels)
        self.fuse = ConvNorm(channels[4], embed_channels)
        for part in (self.keys, self.renew, self.join, self.fuse):
            part.apply(init_weights)  # the rest keeps torch's smaller weights: attentions multiply three maps
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def _chain(self, channels: dict[int, int]) -> nn.ModuleDict:
        """What injects each stage's map into the mix of all finer ones."""
        return nn.ModuleDict({str(i): Injection(channels[i - 1], channels[i]) for i in self.stages[1:]})

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = dict(enumerate(features, 1))
        pooled = {key: pool(maps[int(key[0])], maps[int(key[2])].shape[2:]) for key, pool in self.pools.items()}
        decoded: dict[int, Tensor] = {}
        for stage in reversed(self.stages):
            grid = max(stage, FINEST)
            own = maps[stage] if stage == grid else pooled[f"{stage}_{grid}"]
            sources = []
            for i in self.stages:
                if i > stage:
                    sources.append(resize(decoded[i], own.shape[2:]) if self.literal else decoded[i])
                else:
                    sources.append(own if i == stage else pooled[f"{i}_{grid}"])
            key = _injected(self.keys[str(stage)], sources)
            x = own
            for attention in self.attentions[str(stage)].children():
                x = attention(x, key)
            decoded[stage] = self.renew[str(stage)](own, x)
        joined = _injected(self.join, [decoded[stage] for stage in self.stages])
        logits: Tensor = self.classifier(self.fuse(joined))
        return logits


def _injected(chain: nn.Module, maps: Sequence[Tensor]) -> Tensor:
    """The second map into the first, the third into that, and so on."""
    x = maps[0]
    for injection, injected in zip(chain.children(), maps[1:], strict=True):
        x = injection(x, injected)
    return x
