"""How images are evaluated and predicted: at which size, in which views, and over which classes the mean goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from scaseg.data.sizes import Size, evaluation_size


class Mode(Enum):
    """Whole images or sliding windows."""

    whole = "whole"
    slide = "slide"


class Resized(Enum):
    """Logits of a whole image are resized to the mask's size `once`, or `twice`: first to the size that the model saw.

    Twice is mmsegmentation's way.
    """

    once = "once"
    twice = "twice"


class MeanOver(Enum):
    """Classes of which mIoU is the mean: those that the `truth` has, or as in mmsegmentation the `union` of truth and
    predictions, where a class that is predicted and not there counts as 0.
    """

    truth = "truth"
    union = "union"


@dataclass
class Protocol:
    """How images are evaluated: the whole image, or overlapping windows whose logits are averaged.

    Several scales, and flip, are views of one image: the mean of their class probabilities decides.
    """

    mode: Mode = Mode.whole
    box: list[int] | None = None  # (long side, short side), pixels; null: the image's own size
    size_divisor: int = 1  # sides are rounded up to it
    window: list[int] | None = None  # (height, width), pixels
    stride: list[int] | None = None
    scales: list[float] = field(default_factory=lambda: [1.0])  # of the size that box gives
    flip: bool = False  # each view mirrored too
    logits_resized: Resized = Resized.once
    mean_over: MeanOver = MeanOver.truth

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Protocol":
        """From plain values as checkpoints hold them; what older ones lack is as it was for them."""
        kinds = {"mode": Mode, "logits_resized": Resized, "mean_over": MeanOver}
        values: dict[str, Any] = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        return cls(**values | {key: kind(values[key]) for key, kind in kinds.items() if key in values})

    @property
    def windows(self) -> tuple[Size, Size] | None:
        """Size and stride of the sliding windows; None for whole images."""
        if self.mode is Mode.whole or self.window is None or self.stride is None:
            return None
        return (self.window[0], self.window[1]), (self.stride[0], self.stride[1])

    def seen_size(self, size: Size, scale: float = 1.0) -> Size:
        """Size (H, W) at which the model sees an image of this size."""
        return evaluation_size(size, self.box, self.size_divisor, scale)
