from torch import Tensor, nn


class DepthwiseConv(nn.Module):
    """Biased 3x3 depthwise convolution; a module of its own because the official keys say `dwconv.dwconv`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        out: Tensor = self.dwconv(x)
        return out
