from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.errors import UserError

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class Segmentor(nn.Module):
    """Normalisation, encoder and decoder as one function of raw images; no framework, exportable.

    mean and std are of the images' channels, as many as there are numbers (ImageNet's, of RGB on the 0..255 scale, by
    default).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    @property
    def in_channels(self) -> int:
        """Of the images."""
        return self.mean.shape[0]

    def forward(self, images: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Images (B, C, H, W), uint8 or float, RGB on the 0..255 scale where C is 3 -> logits (B, K, ~H / 4, ~W / 4).

        maps: the encoder's four are put into it. Raises UserError for images of other channels, of which one would pass
        for all of them.
        """
        channels = self.mean.shape[0]
        if images.shape[1] != channels:
            raise UserError(f"images {tuple(images.shape)}: this model takes (B, {channels}, H, W)")
        height, width = images.shape[2:]
        x = (images - self.mean) / self.std
        if height < 32 or width < 32:  # the coarsest map needs a cell; the padding is the mean colour
            x = F.pad(x, (0, max(0, 32 - width), 0, max(0, 32 - height)))
        features = self.encoder(x)
        if maps is not None:
            maps.extend(features)
        logits: Tensor = self.decoder(features)
        if height < 32 or width < 32:
            stride = -(-x.shape[3] // logits.shape[3])
            logits = logits[..., : -(-height // stride), : -(-width // stride)]
        return logits

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> train ids (B, H, W), int64."""
        return F.interpolate(self(images), size=images.shape[2:], mode="bilinear").argmax(1)
