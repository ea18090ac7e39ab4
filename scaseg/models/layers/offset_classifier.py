"""Offset learning (Zhang et al., ICCV 2025): classes move towards the image, pixels towards the classes.

Written from the paper, of which the numbers of the equations are. Its authors' own code is licensed for non-commercial
use and says that the method is patented: nothing of it is here, and whoever sells what this trains should ask them.

B batch, E channels, K classes, N pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STD = 0.02
FEWEST = 3  # classes: the norm of two values keeps their order alone


class OffsetClassifier(nn.Module):
    """Stands where a decoder ends in a 1x1 convolution to the classes, whole channels dropped before it in training.

    The paper's two MLPs are one linear each, which its 0.1 M more parameters leave room for; the LayerNorm over classes
    that the published models end with is not in the equations. Raises ValueError for fewer than 3 classes.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        if num_classes < FEWEST:
            raise ValueError(f"classifier=offset with {num_classes} classes: it norms over them and needs 3 or more")
        self.in_channels, self.out_channels = channels, num_classes
        self.dropout = nn.Dropout2d(dropout)
        self.weight = nn.Parameter(torch.empty(num_classes, channels))  # W
        self.class_offset = nn.Linear(channels, channels, bias=False)
        self.pixel_offset = nn.Linear(channels, channels, bias=False)
        self.gain = nn.Parameter(torch.ones(num_classes))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        for weight in (self.weight, self.class_offset.weight, self.pixel_offset.weight):
            nn.init.trunc_normal_(weight, std=STD)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, H, W) -> logits (B, K, H, W)."""
        pixels = self.dropout(x).permute(0, 2, 3, 1).flatten(1, 2)
        coupled = F.linear(pixels, self.weight)  # (B, N, K), equation 4
        found = torch.softmax(coupled, 1).transpose(1, 2) @ pixels  # (B, K, E), 5 and 6
        classes = self.weight + self.class_offset(found)  # 7 and 8
        expected = torch.softmax(coupled, 2) @ self.weight  # (B, N, E), 9 and 10
        moved = pixels + self.pixel_offset(expected)  # 11 and 12
        scores = F.layer_norm(moved @ classes.transpose(1, 2), (self.out_channels,), self.gain, self.bias)  # 13
        logits: Tensor = scores.transpose(1, 2).unflatten(2, x.shape[2:])
        return logits
