"""The light hamburger decoder of SegNeXt (Guo et al., NeurIPS 2022); hamburger: Geng et al., ICLR 2021.

B batch, E width, N pixels of stage 2, R bases.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.resize import resize

GROUPS = 32


class MatrixFactorisation(nn.Module):
    """Rank-R non-negative factorisation of each image's (E, N) matrix by multiplicative updates (Lee and Seung).

    Bases start uniformly at random: in training anew for each image and pass, in evaluation always the same, so
    that an image has one prediction. Gradients pass through the updates. Runs in float32 at least.
    """

    first_bases: Tensor

    def __init__(self, channels: int, rank: int, train_steps: int = 6, eval_steps: int = 7) -> None:
        super().__init__()
        self.rank = rank
        self.train_steps = train_steps
        self.eval_steps = eval_steps
        drawn = torch.rand(channels, rank, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
        self.register_buffer("first_bases", drawn.to(torch.get_default_device()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Non-negative (B, E, N) -> its approximation of rank R, the same shape."""
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            return self._approximate(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x)

    def _approximate(self, x: Tensor) -> Tensor:
        bases = F.normalize(self._bases(x), dim=1)
        coefficients = torch.softmax(x.transpose(1, 2) @ bases, dim=-1)
        for _ in range(self.train_steps if self.training else self.eval_steps):
            coefficients = _better_coefficients(x, bases, coefficients)
            gram = coefficients.transpose(1, 2) @ coefficients
            bases = bases * (x @ coefficients) / (bases @ gram + 1e-6)
        coefficients = _better_coefficients(x, bases, coefficients)
        return bases @ coefficients.transpose(1, 2)

    def _bases(self, x: Tensor) -> Tensor:
        if self.training:
            return torch.rand(x.shape[0], x.shape[1], self.rank, dtype=x.dtype, device=x.device)
        return self.first_bases.to(x.dtype).expand(x.shape[0], -1, -1)


def _better_coefficients(x: Tensor, bases: Tensor, coefficients: Tensor) -> Tensor:
    """x (B, E, N), bases (B, E, R), coefficients (B, N, R) -> the next coefficients."""
    gram = bases.transpose(1, 2) @ bases
    return coefficients * (x.transpose(1, 2) @ bases) / (coefficients @ gram + 1e-6)


class Hamburger(nn.Module):
    """x -> ReLU(x + out(M(ReLU(in(x))))), M a matrix factorisation between two 1x1 convolutions."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.ham_in = nn.Conv2d(channels, channels, 1)
        self.factorise = MatrixFactorisation(channels, rank)
        self.ham_out = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, H, W) -> the same shape."""
        matrix = F.relu(self.ham_in(x)).flatten(2)
        ham = self.factorise(matrix).to(x.dtype).view_as(x)
        return F.relu(x + self.norm(self.ham_out(ham)))


class ConvGroupNorm(nn.Sequential):
    """1x1 convolution without bias, GroupNorm, ReLU."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.relu = nn.ReLU()


class SegNeXtDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 8, W / 8).

    Stages 2 to 4 are joined at stage 2's size; the finest map is not used. rank: bases of the factorisation.
    Raises ValueError where embed_channels is no multiple of 32.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int = 256,
        rank: int = 16,
        dropout: float = 0.1,
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        if embed_channels < 1 or embed_channels % GROUPS:
            raise ValueError(
                f"decoder.embed_channels={embed_channels}: a multiple of {GROUPS}, the groups of its norms"
            )
        if rank < 1:
            raise ValueError(f"decoder.rank={rank}: at least 1")
        self.squeeze = ConvGroupNorm(sum(in_channels[1:]), embed_channels)
        self.hamburger = Hamburger(embed_channels, rank)
        self.align = ConvGroupNorm(embed_channels, embed_channels)
        self.apply(init_weights)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        size = features[1].shape[2:]
        joined = torch.cat([resize(x, size) for x in features[1:]], 1)
        logits: Tensor = self.classifier(self.align(self.hamburger(self.squeeze(joined))))
        return logits
