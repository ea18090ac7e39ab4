"""The all-MLP decoder of SegFormer (Xie et al., NeurIPS 2021)."""

from collections.abc import Sequence

from torch import Tensor, nn

from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.conv_norm import ConvNorm
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.init import init_weights

PROJECTIONS = ("linear", "conv_norm")


class LinearProjection(nn.Linear):
    """A linear over the channels of a map."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, E, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SegFormerDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 4, W / 4).

    Every map is projected to embed_channels; resized to the finest, they are mixed by a 1x1 convolution.
    projection: `linear`, the official code's, or `conv_norm`, mmsegmentation's (1x1 convolution, BatchNorm, ReLU),
    which is another model. fuse: `native` or `literal`, the same function. Raises ValueError for other values.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 256,
        projection: str = "linear",
        dropout: float = 0.1,
        fuse: str = "native",
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        if projection not in PROJECTIONS:
            raise ValueError(f"decoder.projection={projection!r}: choose one of {', '.join(PROJECTIONS)}")
        kind = LinearProjection if projection == "linear" else ConvNorm
        self.project = nn.ModuleList(kind(channels, embed_channels) for channels in in_channels)
        self.fuse = Fuse([embed_channels] * len(in_channels), embed_channels, fuse)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = [project(x) for project, x in zip(self.project, features, strict=True)]
        logits: Tensor = self.classifier(self.fuse(maps))
        return logits
