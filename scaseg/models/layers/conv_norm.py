from torch import nn


class ConvNorm(nn.Sequential):
    """Convolution without bias, BatchNorm, ReLU; no padding."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
