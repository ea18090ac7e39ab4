"""What a head loses at each smaller rank, by one of two measures, both without masks.

energy: mean square of the logits that are left out, in nats^2; known at once. loss: mean over pixels of
KL(p || p'), p the model's own class probabilities and p' those with this one head at this rank, in nats: what the
model itself says of the head, at a pass of the decoder for each head, rank and image.
"""

from collections.abc import Sequence
from statistics import mean

from torch import Tensor, nn

from scaseg.distillation.term import divergence
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
    whole = [decoder(maps) for maps in features]
    costs = []
    with ProgressLine(sum(one.channels for one in spectra), "ranks of a head tried") as progress:
        for (attention, head), of_head in zip(heads, spectra, strict=True):
            found = []
            for rank in range(of_head.channels):
                with Lowered(attention, head, of_head, rank):
                    now = zip(map(decoder, features), whole, strict=True)
                    found.append(mean(float(divergence(logits, own, 1.0, 1).mean()) for logits, own in now))
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
