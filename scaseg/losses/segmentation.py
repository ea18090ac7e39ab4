"""The loss of a training: a sum of terms, each with its weight, at the target's size."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.losses.term import Term


class SegmentationLoss(nn.Module):
    """sum_i weight_i term_i; logits (B, K, h, w) are resized bilinearly to the target's (H, W), scored in float32.

    terms: by name, in order; weights: of each. Raises ValueError where there is no term.
    """

    def __init__(self, terms: Mapping[str, Term], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if not terms:
            raise ValueError("a loss without a term")
        self.terms = nn.ModuleDict(terms)
        self.weights = {name: 1.0 if weights is None else weights[name] for name in terms}

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.weighed(logits, target)[0]

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and its weight among parts of one batch: what its first term is averaged over.

        The mean of the parts' losses by these weights is the whole batch's loss where the first term is the only one
        and a mean, as cross-entropy is; terms that are none (Dice, OHEM's least number of pixels) are of each part.
        """
        target = target.long()
        (first, weight), *others = self._scored(logits, target)
        loss = first
        for other, _ in others:
            loss = loss + other
        return loss, weight

    def _scored(self, logits: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Loss, times its weight, and count of each term."""
        found: list[tuple[Tensor, Tensor]] = []
        resized = None
        for name, term in self.terms.items():
            assert isinstance(term, Term)
            scored = term.banded(logits, target) if len(self.terms) == 1 else None
            if scored is None:
                if resized is None:
                    resized = F.interpolate(logits.float(), size=target.shape[1:], mode="bilinear")
                scored = term.weighed(resized, target)
            found.append((self.weights[name] * scored[0], scored[1]))
        return found
