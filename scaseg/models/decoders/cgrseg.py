"""The decoder of CGRSeg (Ni et al., ECCV 2024): rectangles attended to, and class prototypes that weigh channels.

B batch, C_i channels of stage i, E width, K classes, N pixels of stage 2.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.resize import divided_up, resize

LAYER_SCALE = 1e-6
RATIO = 2  # hidden channels of a block over its own


def pooled(x: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) -> (B, C, height, width): adaptive average pooling, which a graph with free sizes cannot hold."""
    return _means(x.shape[2], height, x) @ x @ _means(x.shape[3], width, x).t()


def _means(side: int, cells: int, like: Tensor) -> Tensor:
    """(cells, side): the weight of each pixel in a cell, which reaches from i to i + 1 times side / cells."""
    pixel = torch.arange(side, device=like.device)
    cell = torch.arange(cells, device=like.device).unsqueeze(1)
    inside = ((cell * side < (pixel + 1) * cells) & (pixel * cells < (cell + 1) * side)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class RectangularAttention(nn.Module):
    """RCA: means of rows and of columns add up to rectangles, two strip convolutions calibrate their shape.

    band: length of the strips.
    """

    def __init__(self, channels: int, band: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.horizontal = nn.Conv2d(channels, channels, (1, band), padding=(0, band // 2), groups=channels)
        self.norm = nn.BatchNorm2d(channels)
        self.vertical = nn.Conv2d(channels, channels, (band, 1), padding=(band // 2, 0), groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        rectangles = x.mean(3, keepdim=True) + x.mean(2, keepdim=True)
        attention = torch.sigmoid(self.vertical(F.relu(self.norm(self.horizontal(rectangles)))))
        attended: Tensor = attention * self.local(x)
        return attended


class RectangularBlock(nn.Module):
    """RCM: attention, BatchNorm and a feed-forward of two 1x1 convolutions, scaled, in one residual."""

    def __init__(self, channels: int, band: int) -> None:
        super().__init__()
        self.attention = RectangularAttention(channels, band)
        self.norm = nn.BatchNorm2d(channels)
        self.expand = PointwiseConv(channels, RATIO * channels)
        self.project = PointwiseConv(RATIO * channels, channels)
        self.layer_scale = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        mixed: Tensor = self.project(F.gelu(self.expand(self.norm(self.attention(x)))))
        return x + mixed * self.layer_scale.view(-1, 1, 1)


class Injection(nn.Module):
    """A stage's map and its part of the pyramid's context, both brought to E channels; the context gates the map."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(PointwiseConv(channels, width, bias=False), nn.BatchNorm2d(width))
        self.gate = nn.Sequential(PointwiseConv(channels, width, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (B, C, H, W), context (B, C, h, w) -> (B, E, H, W)."""
        gated: Tensor = self.project(x) * resize(F.hardsigmoid(self.gate(context)), x.shape[2:])
        return gated


class PrototypeGuidance(nn.Module):
    """The dynamic prototype guided head: of each class the pixels that a first prediction finds, their mixture gates
    channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(channels, 1, bias=False)  # a bias would leave the softmax over classes as it is
        self.squeeze = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.excite = nn.Linear(channels, channels)

    def forward(self, x: Tensor, logits: Tensor) -> Tensor:
        """x (B, E, H, W), logits (B, K, H, W) of a first prediction -> (B, E, H, W)."""
        prototypes = torch.softmax(logits.flatten(2), 2) @ x.flatten(2).transpose(1, 2)  # (B, K, E)
        mixture = (torch.softmax(self.weigh(prototypes), 1) * prototypes).sum(1)
        gate = torch.sigmoid(self.excite(F.relu(self.norm(self.squeeze(mixture)))))
        return x + x * gate[:, :, None, None]


class CGRSegDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 8, W / 8).

    Stages 2 to 4, pooled to half the coarsest map, pass through `repeats` blocks together; each stage takes its part
    back as context, from the coarsest down. The finest map is not used. band: length of the strip convolutions, odd.
    Raises ValueError for other values.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 128,
        repeats: int = 5,
        band: int = 11,
        dropout: float = 0.1,
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        if repeats < 0:
            raise ValueError(f"decoder.repeats={repeats}: at least 0")
        if band < 1 or band % 2 == 0:
            raise ValueError(f"decoder.band={band}: an odd number of pixels")
        widths = list(in_channels[1:])
        self.pyramid = nn.Sequential(*(RectangularBlock(sum(widths), band) for _ in range(repeats)))
        self.blocks = nn.ModuleList(RectangularBlock(channels, band) for channels in widths)
        self.inject = nn.ModuleList(Injection(channels, embed_channels) for channels in widths)
        self.lateral = nn.ModuleList(PointwiseConv(embed_channels, channels) for channels in widths[:-1])
        self.first = nn.Sequential(
            nn.Conv2d(embed_channels, embed_channels, 1, groups=embed_channels, bias=False),
            nn.BatchNorm2d(embed_channels),
            nn.ReLU(),
        )
        self.guide = PrototypeGuidance(embed_channels)
        self.apply(init_weights)
        nn.init.zeros_(self.guide.excite.weight)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = list(features[1:])
        height, width = (divided_up(side, 2) for side in maps[-1].shape[2:])
        pyramid = self.pyramid(torch.cat([pooled(x, height, width) for x in maps], 1))
        contexts = pyramid.split([x.shape[1] for x in maps], 1)
        x = maps[-1]
        for i in reversed(range(len(maps))):
            if i + 1 < len(maps):
                x = maps[i] + self.lateral[i](resize(x, maps[i].shape[2:]))
            x = self.inject[i](self.blocks[i](x), contexts[i])
        guided = self.guide(x, self.classifier(self.first(x)))
        logits: Tensor = self.classifier(guided)
        return logits
