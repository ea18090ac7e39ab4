"""The logits of a head of r query/key channels, by the best logits of fewer channels.

    logits = scale q k^T,   q = x W_q^T (N, r),   k = m W_k^T (M, r)

What is added to all logits of a query changes no softmax, so the keys count from their mean. With G_q = E[q q^T] and
G_k = Cov[k], both r x r, over the pixels of an image and then over images, the mean square of logits that a product
q P k^T leaves out is |G_q^(1/2) (1 - P) G_k^(1/2)|^2 in Frobenius' norm, for tokens that are drawn independently. So by
Eckart and Young (1936) the best P of rank s keeps the s largest singular values of G_q^(1/2) G_k^(1/2). That is the
singular value decomposition of W_q^T W_k, weighed by what the head sees; it takes r x r matrices alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scaseg.models.layers.attention import CrossAttention

NEGLIGIBLE = 1e-10  # of the largest eigenvalue: a direction in which nothing varies


@dataclass(frozen=True)
class Spectrum:
    """Of one head. scale: of its logits; values (r,): falling; left, right (r, r): P of rank s is the product of the
    first s columns of `left` and those of `right`, transposed. All in float64.
    """

    scale: float
    values: Tensor
    left: Tensor
    right: Tensor

    @property
    def channels(self) -> int:
        return len(self.values)

    def dropped(self, rank: int) -> float:
        """Mean square of the logits that this rank leaves out."""
        return float((self.scale * self.values[rank:]).square().sum())

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """(r, rank) each: scale q k^T is about rank^(-1/2) (q a) (k b)^T."""
        if rank == self.channels:
            left = right = torch.eye(rank, dtype=torch.float64)
        else:
            left, right = self.left[:, :rank], self.right[:, :rank]
        share = (self.scale * rank**0.5) ** 0.5 if rank else 1.0
        return share * left, share * right

    def product(self, rank: int) -> Tensor:
        """P (r, r) of this rank."""
        if rank == self.channels:
            return torch.eye(rank, dtype=torch.float64)
        return self.left[:, :rank] @ self.right[:, :rank].T


def spectrum(query: Tensor, key: Tensor, scale: float) -> Spectrum:
    """From G_q and G_k (r, r), float64."""
    roots = [_root(query), _root(key)]
    left, values, right = torch.linalg.svd(roots[0][0] @ roots[1][0])
    share = values.sqrt()
    return Spectrum(scale, values, roots[0][1] @ left * share, roots[1][1] @ right.T * share)


def _root(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a symmetric matrix, and its inverse where it has one."""
    values, vectors = torch.linalg.eigh(moments)
    kept = values > NEGLIGIBLE * values.amax().clamp(min=1e-300)
    root = torch.where(kept, values, 0).sqrt()
    inverse = torch.where(kept, 1 / root.clamp(min=1e-150), 0)
    return vectors * root @ vectors.T, vectors * inverse @ vectors.T


class Moments:
    """Sums over images of what an attention's heads see: a forward hook of a CrossAttention."""

    def __init__(self, attention: CrossAttention) -> None:
        self.attention = attention
        self.images = 0
        r = attention.qk_channels
        self.query, self.key = (torch.zeros(attention.heads, r, r, dtype=torch.float64) for _ in range(2))

    def __call__(self, module: nn.Module, inputs: Sequence[Tensor], output: Tensor) -> None:
        q, k, _ = (x.double().cpu() for x in self.attention.project(inputs[0], inputs[1]))
        k = k - k.mean(2, keepdim=True)
        self.query += (q.transpose(2, 3) @ q / q.shape[2]).sum(0)
        self.key += (k.transpose(2, 3) @ k / k.shape[2]).sum(0)
        self.images += len(q)

    def spectra(self) -> list[Spectrum]:
        """One a head."""
        pairs = zip(self.query / self.images, self.key / self.images, strict=True)
        return [spectrum(query, key, self.attention.scale) for query, key in pairs]
