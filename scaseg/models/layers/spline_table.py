"""Values of quadratic splines with many rows of coefficients, and the adjoint: three rows a point.

rows (n) int32: the first of a point's three rows. u (n): where in its cell the point lies, 0 <= u < 1. With
w = ((1-u)^2 / 2, 1/2 + u - u^2, u^2 / 2) a point's value is w_0 c_row + w_1 c_(row+1) + w_2 c_(row+2).

On CPU an embedding bag is by far the fastest gather and, over sorted rows, the fastest scatter: the kernel holds the
sum in registers and writes each output once. Both orders of summation are fixed: results do not vary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.models.layers.spline import powers_to_weights

BLOCK = 32768  # points at a time: temporaries stay in cache
RADIX = 32768  # from so many integers on torch sorts by radix on CPU: faster, with padding, from a sixth of it on


def gather(table: Tensor, rows: Tensor, u: Tensor) -> Tensor:
    """table (R, d) -> values (n, d)."""
    count = rows.numel()
    indices, weights = rows.new_empty(count, 3), u.new_empty(count, 3)
    for points in _blocks(count):
        indices[points], weights[points] = _three(rows[points], u[points])
    return _bag(table, indices.view(-1), _starts(rows), weights.view(-1))


def gather_dot(table: Tensor, rows: Tensor, u: Tensor, other: Tensor) -> Tensor:
    """The values' inner products with other (n, d) -> (n); the values are never all there."""
    out = torch.empty_like(u)
    for points in _blocks(rows.numel()):
        indices, weights = _three(rows[points], u[points])
        values = _bag(table, indices.view(-1), _starts(rows[points]), weights.view(-1))
        out[points] = values.mul_(other[points]).sum(-1)
    return out


def scatter(rows: Tensor, u: Tensor, grad: Tensor, size: int, group: tuple[int, int]) -> Tensor:
    """Adjoint of `gather`: grad (n, d) -> (size, d), the sum of w_l(u) grad at row + l.

    group (points, table rows): so many consecutive points touch only so many consecutive rows, in step.
    """
    moments = grad.new_zeros(3, size, grad.shape[-1])  # of a cell: sum grad, sum u grad, sum u^2 grad
    for points in _blocks(rows.numel()):
        low = points.start // group[0] * group[1]
        high = ((points.stop - 1) // group[0] + 1) * group[1]
        sorted_rows, order = _sorted(rows[points] - low, high - low)
        cells = torch.arange(high - low, dtype=sorted_rows.dtype, device=rows.device)
        first = torch.searchsorted(sorted_rows, cells)
        at = u[points].index_select(0, order)
        for moment, weight in zip(moments, (None, at, at * at), strict=True):
            moment[low:high] += _bag(grad[points], order, first, weight)
    parts = (powers_to_weights(grad.dtype, grad.device).t() @ moments.view(3, -1)).view(moments.shape)
    out = parts[0]
    out[1:] += parts[1, :-1]
    out[2:] += parts[2, :-2]
    return out


def _blocks(count: int) -> list[slice]:
    size = max(count, 1) if torch.compiler.is_compiling() else BLOCK
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _three(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Each point's three rows and their weights, (n, 3)."""
    powers = torch.stack([torch.ones_like(u), u, u * u])
    return rows.unsqueeze(-1) + torch.arange(3, dtype=rows.dtype, device=rows.device), powers.t() @ powers_to_weights(
        u.dtype, u.device
    )


def _sorted(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Rows, all below size, in order, and where each was."""
    count = rows.numel()
    rows = rows.to(torch.int16 if size < 2**15 else torch.int32)
    if rows.device.type == "cpu" and RADIX // 6 <= count < RADIX:
        rows = F.pad(rows, (0, RADIX - count), value=size)
    in_order, where = rows.sort(stable=True)
    return in_order[:count], where[:count]


def _starts(rows: Tensor) -> Tensor:
    return torch.arange(0, 3 * rows.numel(), 3, dtype=rows.dtype, device=rows.device)


def _bag(table: Tensor, indices: Tensor, first: Tensor, weights: Tensor | None) -> Tensor:
    """Bag b sums the weighted rows `indices` from position first[b] to the next bag's."""
    out: Tensor = torch.embedding_bag(table, indices, first, False, 0, False, weights)[0]
    return out
