"""The two convolutional branches of the cross-layer block: local perception module and mix-FFN."""

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.bands import in_row_bands
from scaseg.models.layers.channel_attention import CHANNEL_ATTENTIONS
from scaseg.models.layers.in_place import relu, residual
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.recompute import not_kept


class LocalPerception(nn.Module):
    """LPM (equations 17-19): y = x + Conv1x1(A(d)), d = DW3x3(ReLU(Conv1x1(x))), A a channel attention.

    hidden: channels of d; None: as many as x has.
    """

    def __init__(self, channels: int, attention: str, hidden: int | None = None) -> None:
        super().__init__()
        hidden = channels if hidden is None else hidden
        self.expand = PointwiseConv(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.attention = CHANNEL_ATTENTIONS[attention](hidden, channels)
        self.project = PointwiseConv(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        detail = self.depthwise(relu(self.expand.tokens(x)).permute(0, 3, 1, 2))
        return residual(self.project.tokens(self.attention(detail).permute(0, 2, 3, 1)), x)


class MixFeedForward(nn.Module):
    """Mix-FFN (SegFormer): Linear C -> 4C, depthwise 3 x 3, GELU, Linear 4C -> C.

    hidden: channels in place of ratio times C.
    recompute: in training, what is computed again for the backward pass in place of being kept. `auto`: GELU and the
    first linear, True: also the depthwise convolution, all in bands; False: nothing.
    """

    def __init__(
        self, channels: int, recompute: bool | str = "auto", ratio: int = 4, hidden: int | None = None
    ) -> None:
        super().__init__()
        self.recompute = recompute
        hidden = channels * ratio if hidden is None else hidden
        self.expand = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        return in_row_bands(self._rows, x, self.expand.out_features, self.recompute is True)

    def _rows(self, x: Tensor) -> Tensor:
        if self.recompute == "auto":
            return not_kept(self._narrow, not_kept(self._wide, x))
        return self._narrow(self._wide(x))

    def _wide(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.depthwise(self.expand(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return hidden

    def _narrow(self, hidden: Tensor) -> Tensor:
        projected: Tensor = self.project(F.gelu(hidden))
        return projected
