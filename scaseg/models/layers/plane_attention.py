"""Attention of two query/key channels a head in linear time: strip attention's table, over a plane.

    out_i = f(t_i),   t_i = scale q_i,   f(t) = sum_j e^(t . k_j) v_j / sum_j e^(t . k_j),   t and k_j in the plane

f is sampled on a grid of nodes x nodes points over the queries' box, and every query reads a spline through these. Here
the points are uniform: along a ray on which two keys tie, f changes over a width that does not grow with the distance
from 0, as it does on a line. So the grid must follow R, the largest over both channels of (range of scale q) times
(spread of k): with 48 points a channel the error is within 1e-5 of half the spread of v up to R = 30 and 1e-4 up to 40,
for keys at the corners of a square, the worst that were found. The work is nodes^2 Nk + 16 Nq against Nq Nk.

f's derivative in channel a is Cov(k_a, v); gradients follow as in strip_spline.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scaseg.models.layers.plane_table import PlanePoints
from scaseg.models.layers.spline import REFINED, cells_and_samples, samples_to_table
from scaseg.models.layers.strip_attention import exact_attention, padded_attention, readable
from scaseg.models.layers.strip_spline import full_precision

NODES = 48
WIDEST_RANGE = 30.0  # of a channel's logits
# From where on it was never slower than the fused kernel: queries x keys, and keys; and where gradients are asked for
LEAST, LEAST_WITH_GRADIENTS = (2**23, 256), (2**25, 1024)
LEAST_CELL = 1e-3  # where all queries are equal


def two_channel_attention(query: Tensor, key: Tensor, value: Tensor, scale: float, mode: str = "auto") -> Tensor:
    """softmax(scale * query key^T) value; query (B, heads, Nq, 2), key (B, heads, Nk, 2), value (B, heads, Nk, d).

    By the plane where it is the fastest at this shape and the logits' range allows, which is seen on a CPU, eagerly;
    mode `exact`: written out.
    """
    if mode == "exact":
        return exact_attention(query, key, value, scale)
    if _worthwhile(query, key, value) and float(plane_range(query, key, scale).max()) <= WIDEST_RANGE:
        return plane_attention(query, key, value, scale)
    return padded_attention(query, key, value, scale)


def plane_range(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """R of each batch item and head, (B, heads)."""
    (q_low, q_high), (k_low, k_high) = (_ends(x.detach()) for x in (query, key))
    return ((q_high - q_low) * (k_high - k_low)).amax(-1) * abs(scale)


def plane_attention(query: Tensor, key: Tensor, value: Tensor, scale: float, nodes: int = NODES) -> Tensor:
    """The same through the table whatever the range, of finite queries."""
    out: Tensor = _PlaneAttention.apply(query, key, value, scale, nodes)  # type: ignore[no-untyped-call]
    return out


class _PlaneAttention(torch.autograd.Function):
    """Head by head: a head's table fits into a core's cache, all heads' do not."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float, nodes: int) -> Tensor:
        ctx.scale, ctx.nodes = scale, nodes
        ctx.save_for_backward(query, key, value)
        with full_precision(query.device.type):
            out = torch.stack([_Plane(head, scale, nodes).values() for head in _heads(query, key, value)])
        return out.view(*query.shape[:3], -1).to(value.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of gradients are those of the plain form, in quadratic time
            gradients: Any = torch.func.vjp(partial(exact_attention, scale=ctx.scale), query, key, value)[1]
            return (*gradients(grad), None, None)
        with full_precision(query.device.type):
            found = [
                _Plane(head, ctx.scale, ctx.nodes).gradients(of_head)
                for head, (of_head,) in zip(_heads(query, key, value), _heads(grad), strict=True)
            ]
        inputs = (query, key, value)
        gathered = zip(zip(*found, strict=True), inputs, strict=True)
        of_inputs = (torch.stack(parts).view(like.shape).to(like.dtype) for parts, like in gathered)
        return (*of_inputs, None, None)


class _Plane:
    """One head: q (N, 2), k (K, 2), v (K, d)."""

    def __init__(self, head: tuple[Tensor, ...], scale: float, nodes: int) -> None:
        q, k, v = head
        low, high = _ends(q)
        cells, samples = cells_and_samples(nodes, q.dtype, q.device)
        cell = ((high - low) / cells).clamp(min=LEAST_CELL)
        self.nodes, self.scale, self.v = nodes, scale, v
        self.k = (k - k.mean(0)) * scale  # what all logits of a query share changes nothing, and would cost digits
        self.sites = torch.cartesian_prod(*(low + cell * samples[:, None]).unbind(1))
        self.weights = torch.softmax(self.sites @ self.k.T, -1)
        self.samples = self.weights @ v
        self.points = PlanePoints((q - low) / cell, REFINED * nodes)

    def values(self) -> Tensor:
        """(N, d)."""
        return self.points.gather(self._table(self.samples))

    def gradients(self, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of q, k and v."""
        d_q = self.points.gather_dot(self._table(torch.cat(self._slopes(), -1)), grad)
        d_samples = self._of_table(self.points.scatter(grad))
        tilted = [d_samples * site[:, None] for site in self.sites.unbind(1)]
        shifts = [(one * self.samples).sum(-1, keepdim=True) for one in tilted]
        columns = self.weights.T @ torch.cat([d_samples, *tilted, *shifts], -1)
        d_v, *of_channels, shift = columns.split([self.v.shape[1]] * 3 + [2], -1)
        d_k = torch.stack([(one * self.v).sum(-1) for one in of_channels], -1) - shift
        return d_q, d_k * self.scale, d_v

    def _slopes(self) -> list[Tensor]:
        """f's derivatives at the sites, the covariances of a key's channel and the values: (nodes * nodes, d) each."""
        mean = self.weights @ self.k
        return [
            self.weights @ (self.k[:, a, None] * self.v) - mean[:, a, None] * self.samples for a in range(mean.shape[1])
        ]

    def _table(self, samples: Tensor) -> Tensor:
        """(nodes * nodes, d) -> the coefficients of a spline through them: (R * R, d)."""
        matrix = samples_to_table(self.nodes, samples.dtype, samples.device)
        return (matrix @ (matrix @ samples.view(self.nodes, -1)).view(len(matrix), self.nodes, -1)).flatten(0, 1)

    def _of_table(self, grad: Tensor) -> Tensor:
        """Adjoint of `_table`."""
        matrix = samples_to_table(self.nodes, grad.dtype, grad.device).T
        return (matrix @ (matrix @ grad.view(matrix.shape[1], -1)).view(self.nodes, matrix.shape[1], -1)).flatten(0, 1)


def _heads(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """(B, heads, N, c) -> (N, c), head after head, in float32 or float64."""
    dtype = torch.promote_types(torch.float32, tensors[0].dtype)
    return zip(*(x.flatten(0, 1).to(dtype).unbind() for x in tensors), strict=True)


def _ends(x: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest of each channel: (..., N, 2) -> (..., 2) each."""
    return x.amin(-2), x.amax(-2)


def _worthwhile(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """By shape; where numbers can be read and there are kernels for it."""
    if not readable(query) or not query.numel() or not value.numel():
        return False
    gradients = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    least, keys = LEAST_WITH_GRADIENTS if gradients else LEAST
    return key.shape[-2] >= keys and query.shape[-2] * key.shape[-2] >= least
