"""What the tests of inference compare: labels by a function, a protocol and what `scores` makes of both."""

from collections.abc import Sequence

from torch import Tensor

from scaseg.data.sizes import Size
from scaseg.evaluation.inference import Model, scores
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.row_bands import best_class


def predict_labels(
    model: Model,
    images: Tensor | Sequence[Tensor],
    size: Size,
    protocol: Protocol | None = None,
    window_batch_size: int = 1,
    least: float | None = None,
) -> Tensor:
    """Train ids (B, *size) of images (B, 3, H, W); least: IGNORE where the class is less likely."""
    return best_class(scores(model, images, size, protocol, window_batch_size), least)
