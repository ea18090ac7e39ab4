"""`class_weights=auto`: more weight for rarer classes, by the pixels of the training split."""

from collections.abc import Sequence
from math import log

RULE = "1 / ln(1.1 + its share of the labelled pixels), scaled to mean 1 over these"
_OFFSET = 1.1  # ENet has 1.02, and a class of no pixel 35 times the weight of one that has all; here 8 times


def by_frequency(pixels: Sequence[int]) -> list[float]:
    """Pixels of each class -> its weight: ENet's 1 / ln(c + share) (Paszke et al., 2016), c = 1.1, scaled.

    Their mean over the labelled pixels is 1, so that a learning rate keeps its meaning; all are 1 where no pixel is.
    """
    total = sum(pixels)
    if not total:
        return [1.0] * len(pixels)
    shares = [count / total for count in pixels]
    weights = [1 / log(_OFFSET + share) for share in shares]
    mean = sum(share * weight for share, weight in zip(shares, weights, strict=True))
    return [weight / mean for weight in weights]
