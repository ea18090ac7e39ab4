from torch import Tensor, nn

from scaseg.models.layers.offset_classifier import OffsetClassifier
from scaseg.models.layers.pointwise import PointwiseConv

CLASSIFIERS = ("conv", "offset")


class Classifier(PointwiseConv):
    """What ends decoders: whole channels dropped in training, then a 1x1 convolution to the classes.

    It starts near zero (std 0.01, mmsegmentation's), so that an untrained model finds all classes alike: build it
    after `apply(init_weights)`.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__(channels, num_classes)
        self.dropout = nn.Dropout2d(dropout)
        nn.init.normal_(self.weight, std=0.01)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K, H, W)."""
        return super().forward(self.dropout(x))


def classifier_of(kind: str, channels: int, num_classes: int, dropout: float) -> Classifier | OffsetClassifier:
    """`conv`, what the decoders were published with, or `offset`. Raises ValueError for another."""
    if kind not in CLASSIFIERS:
        raise ValueError(f"classifier={kind!r}: choose one of {', '.join(CLASSIFIERS)}")
    return (Classifier if kind == "conv" else OffsetClassifier)(channels, num_classes, dropout)
