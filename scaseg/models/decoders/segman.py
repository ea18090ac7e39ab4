"""SegMAN's decoder (Fu et al., CVPR 2025): one selective scan over a map at three scales.

E width, P width of the projected stages.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.segman import FeedForward, MapNorm, depthwise
from scaseg.models.encoders.selective_scan_2d import SelectiveScan2d
from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.conv_norm import ConvNorm
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.resize import divided_up, resize

STRIDE = 4  # of the coarsest scale, where the scan runs
RATIO = 4  # hidden channels of the block's feed-forward over its own


def strided(in_channels: int, channels: int, kernel: int, stride: int, padding: int = 0) -> nn.Sequential:
    """Convolution without bias, BatchNorm, ReLU."""
    conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


class ScanBlock(nn.Module):
    """Positions by a convolution, scan; positions again, feed-forward; each a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cpe1 = depthwise(channels, 3)
        self.norm1 = MapNorm(channels)
        self.scan = SelectiveScan2d(channels)
        self.cpe2 = depthwise(channels, 3)
        self.norm2 = MapNorm(channels)
        self.mlp = FeedForward(channels, RATIO * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        x = x + self.cpe1(x)
        x = x + self.scan(self.norm1(x))
        x = x + self.cpe2(x)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class SegMANDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 8, W / 8).

    Stages 2 to 4, each brought to project_channels, are joined at stage 2's size; the finest map is not used. Where
    stage 2's sides are no multiples of 4, which the published code refuses, its edge is repeated up to them.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        project_channels: int = 192,
        dropout: float = 0.1,
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        for key, value in (("embed", embed_channels), ("project", project_channels)):
            if value < 1:
                raise ValueError(f"decoder.{key}_channels={value}: at least 1")
        width, projected = embed_channels, project_channels
        self.project = nn.ModuleList(PointwiseConv(channels, projected) for channels in in_channels[1:])
        self.join = ConvNorm(3 * projected, width)
        self.local = ConvNorm(width, width)
        self.globally = ConvNorm(width, width)
        self.halve = strided(width, 2 * width, 3, 2, 1)
        self.quarter = strided(width, 4 * width, 5, 4, 1)
        # The published code folds cells of 4 x 4 and 2 x 2 pixels into channels, before 1x1 convolutions: the same.
        self.gather = nn.ModuleList(
            [strided(width, width, 4, 4), strided(2 * width, width, 2, 2), strided(4 * width, width, 1, 1)]
        )
        self.block = ScanBlock(3 * width)
        self.spread = ConvNorm(3 * width, projected)
        self.mix = ConvNorm(5 * width + 3 * projected, width)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        size = features[1].shape[2:]
        stages = [resize(project(x), size) for project, x in zip(self.project, features[1:], strict=True)]
        joined = self.join(torch.cat(stages, 1))
        everywhere = self.globally(F.adaptive_avg_pool2d(joined, 1)).expand_as(joined)
        scanned = self._scanned(joined)
        spread = self.spread(scanned)
        maps = [self.local(joined), everywhere, scanned, *(stage + spread for stage in stages)]
        logits: Tensor = self.classifier(self.mix(torch.cat(maps, 1)))
        return logits

    def _scanned(self, x: Tensor) -> Tensor:
        """(B, E, H, W) -> (B, 3 E, H, W), computed on ceil(H / 4) x ceil(W / 4) pixels."""
        height, width = x.shape[2:]
        tall, wide = (STRIDE * divided_up(side, STRIDE) for side in (height, width))
        even = F.pad(x, (0, wide - width, 0, tall - height), mode="replicate")
        scales = [even, self.halve(even), self.quarter(even)]
        gathered = torch.cat([gather(scale) for gather, scale in zip(self.gather, scales, strict=True)], 1)
        scanned = resize(self.block(gathered), even.shape[2:])
        # Not by a slice, whose strides would bind an exported graph to multiples of 4.
        rows, columns = (torch.arange(side, device=x.device) for side in (height, width))
        return scanned.index_select(2, rows).index_select(3, columns)
