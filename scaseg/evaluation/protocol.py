"""How images are evaluated and predicted: at which size, in which views, and over which classes the mean goes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from scaseg.data.sizes import Size, evaluation_size
from scaseg.errors import UserError
from scaseg.typed import Checked, number


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
class Protocol(Checked):
    """How images are evaluated: the whole image, or overlapping windows whose logits are averaged.

    Several scales, and flip, are views of one image: the mean of their class probabilities decides.
    """

    section = "protocol"
    mode: Mode = Mode.whole
    box: list[int] | None = None  # (long side, short side), pixels; null: the image's own size
    size_divisor: int = number(1, 1)  # sides are rounded up to it
    window: list[int] | None = None  # (height, width), pixels
    stride: list[int] | None = None
    scales: list[float] = field(default_factory=lambda: [1.0])  # of the size that box gives
    flip: bool = False  # each view mirrored too
    logits_resized: Resized = Resized.once
    mean_over: MeanOver = MeanOver.truth
    key_ratio: int = number(1, 1, 16)  # keys and values pooled by it along each side: less time, the same weights

    def check(self) -> None:
        check_box("protocol.box", self.box)
        if not self.scales or not all(0 < scale < inf for scale in self.scales):
            raise UserError(f"protocol.scales={self.scales}: at least one factor above 0; [1.0] is the image as it is")
        if self.mode is Mode.whole:
            return
        if not (self.window and self.stride and len(self.window) == len(self.stride) == 2):
            raise UserError("protocol.mode=slide needs protocol.window=[h,w] and protocol.stride=[h,w]")
        if any(s > w or s < 1 for s, w in zip(self.stride, self.window, strict=True)):
            raise UserError(f"protocol.stride={self.stride} must lie within window={self.window}")

    @property
    def windows(self) -> tuple[Size, Size] | None:
        """Size and stride of the sliding windows; None for whole images."""
        if self.mode is Mode.whole or self.window is None or self.stride is None:
            return None
        return (self.window[0], self.window[1]), (self.stride[0], self.stride[1])

    @property
    def in_words(self) -> str:
        """For people."""
        size = f"in a box of {self.box}" if self.box else "at the image's own size"
        if self.scales != [1.0]:
            size += f", scales {self.scales}"
        if self.flip:
            size += ", flipped too"
        if self.key_ratio > 1:
            size += f", keys pooled by {self.key_ratio}"
        return f"windows {self.window}, stride {self.stride}, {size}" if self.windows else f"whole image {size}"

    def seen_size(self, size: Size, scale: float = 1.0) -> Size:
        """Size (H, W) at which the model sees an image of this size."""
        return evaluation_size(size, self.box, self.size_divisor, scale)


def check_box(key: str, box: Sequence[int] | None) -> None:
    """Raise UserError for what is no (long side, short side)."""
    if box is not None and (len(box) != 2 or min(box) < 1):
        raise UserError(f"{key}={box}: (long side, short side) in pixels, or null for the image's own size")
