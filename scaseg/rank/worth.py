"""What a head loses at each smaller rank, by one of two measures, both without masks.

energy: mean square of the logits that are left out, in nats^2; known at once. loss: mean over pixels of
KL(p || p'), p the model's own class probabilities and p' those with this one head at this rank, in nats: what the
model itself says of the head, at a pass of the decoder for each head, rank and image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scaseg.models.layers.attention import CrossAttention
from scaseg.progress import ProgressLine
from scaseg.rank.spectrum import Spectrum


def by_energy(spectra: Sequence[Spectrum]) -> list[list[float]]:
    """Of each head by rank, from 0 to all of its channels."""
    return [[one.dropped(rank) for rank in range(one.channels + 1)] for one in spectra]


def by_loss(
    decoder: nn.Module,
    heads: Sequence[tuple[CrossAttention, int]],
    spectra: Sequence[Spectrum],
    features: Sequence[Sequence[Tensor]],
) -> list[list[float]]:
    """The same; heads: attention and number of each; features: of each image the encoder's maps."""
    whole = [torch.log_softmax(decoder(maps), 1) for maps in features]
    costs = []
    with ProgressLine(sum(one.channels for one in spectra), "ranks of a head tried") as progress:
        for (attention, head), of_head in zip(heads, spectra, strict=True):
            found = []
            for rank in range(of_head.channels):
                with Lowered(attention, head, of_head, rank):
                    found.append(sum(map(_divergence, whole, map(decoder, features))) / len(features))
                progress.advance()
            costs.append([*found, 0.0])
    return costs


class Lowered:
    """Within it a head's logits are those of a rank; its tensors keep their shapes."""

    def __init__(self, attention: CrossAttention, head: int, of_head: Spectrum, rank: int) -> None:
        rows = slice(head * of_head.channels, (head + 1) * of_head.channels)
        self.own = attention.q.weight.data[rows]
        self.product = of_head.product(rank).to(self.own)

    def __enter__(self) -> None:
        self.before = self.own.clone()
        self.own.copy_(self.product.T @ self.before)

    def __exit__(self, *_: object) -> None:
        self.own.copy_(self.before)


def _divergence(whole: Tensor, logits: Tensor) -> float:
    """Mean over pixels of KL; whole: log probabilities (1, K, h, w)."""
    ours = torch.log_softmax(logits, 1)
    return float((whole.exp() * (whole - ours)).sum(1).mean())
