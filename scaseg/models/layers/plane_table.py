"""Values of splines over a plane with many coefficients, and the adjoint: four times four rows a point.

A table (R * R, d) holds the coefficients of tensor products of B-splines, the second axis running fastest. A point lies
in a cell of each axis, at u from its middle, |u| <= 1/2; its value is sum_ab w_a(u_1) w_b(u_2) c_(cell_1 + a, cell_2 +
b), w as in spline_table. Here too an embedding bag is the fastest gather and, over sorted rows, scatter, and the order
of summation is fixed.
"""

import torch
from torch import Tensor

from scaseg.models.layers.spline import TABLE_DEGREE, powers_to_weights
from scaseg.models.layers.spline_table import bag, in_order

NEAR = TABLE_DEGREE + 1  # rows a point and axis
BLOCK = 8192  # points at a time: temporaries stay in a core's cache


class PlanePoints:
    """Points (n, 2) in the cells of tables of side R, and what they have there."""

    def __init__(self, position: Tensor, side: int) -> None:
        self.side = side
        cell = position.to(torch.int32).clamp_(0, side - NEAR)
        powers = (position - cell).sub_(0.5).unsqueeze(-1) ** torch.arange(NEAR, dtype=position.dtype)
        self.weights = powers @ powers_to_weights(position.dtype, position.device)  # (n, 2, 4)
        self.rows = cell[:, 0] * side + cell[:, 1]
        near = torch.arange(NEAR, dtype=torch.int32)
        self.offsets = (near[:, None] * side + near).flatten()

    def gather(self, table: Tensor) -> Tensor:
        """table (R * R, d) -> values (n, d)."""
        out = table.new_empty(len(self.rows), table.shape[1])
        for part in self._blocks():
            out[part] = self._values(table, part)
        return out

    def gather_dot(self, table: Tensor, other: Tensor) -> Tensor:
        """table (R * R, m d) of m functions: their values' inner products with other (n, d) -> (n, m).

        The values are never all there.
        """
        several = (-1, table.shape[1] // other.shape[1], other.shape[1])
        products = [self._values(table, part).view(several) @ other[part, :, None] for part in self._blocks()]
        return torch.cat(products).squeeze(-1)

    def scatter(self, grad: Tensor) -> Tensor:
        """Adjoint of `gather`: grad (n, d) -> (R * R, d)."""
        size = self.side * self.side
        rows, order = in_order(self.rows, size)
        grad, weights = grad[order], self.weights[order]
        first = torch.searchsorted(rows, torch.arange(size, dtype=rows.dtype))
        places = torch.arange(len(order))
        out = grad.new_zeros(size + int(self.offsets[-1]), grad.shape[1])
        for number, offset in enumerate(self.offsets.tolist()):
            share = weights[:, 0, number // NEAR] * weights[:, 1, number % NEAR]
            out[offset : offset + size] += bag(grad, places, first, share)
        return out[:size]

    def _values(self, table: Tensor, part: slice) -> Tensor:
        weights = (self.weights[part, 0, :, None] * self.weights[part, 1, None]).flatten()
        rows = (self.rows[part, None] + self.offsets).flatten()
        return bag(table, rows, torch.arange(0, len(rows), len(self.offsets), dtype=rows.dtype), weights)

    def _blocks(self) -> list[slice]:
        return [slice(start, start + BLOCK) for start in range(0, len(self.rows), BLOCK)]
