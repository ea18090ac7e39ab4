"""Values of cubic splines with many rows of coefficients, and the adjoint: four rows a point.

rows (n): the first of a point's rows. u (n): how far the point is from the middle of its cell, |u| <= 1/2. Its
value is sum_l w_l(u) c_(row + l), w the B-splines `spline.powers_to_weights`.

On CPU an embedding bag is by far the fastest gather and, over sorted rows, the fastest scatter: the kernel holds the
sum in registers and writes each output once. Both orders of summation are fixed: results do not vary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.models.layers.spline import TABLE_DEGREE, powers_to_weights

UINT8, INT16, INT32 = 2**8 - 1, 2**15 - 1, 2**31 - 1
BLOCK = 32768  # points at a time: temporaries stay in a core's cache
BLOCK_VALUES = 2**17  # numbers of the points' values at a time, where they are not the result
RADIX = 32768  # from so many integers on torch sorts by radix on CPU: faster, with padding, from a quarter of it on


def gather(table: Tensor, rows: Tensor, u: Tensor) -> Tensor:
    """table (R, d) -> values (n, d)."""
    if torch.compiler.is_exporting():
        return _gather_in_graph(table, rows, u)
    indices, weights = _bags(rows, u)
    return bag(table, indices.view(-1), _starts(rows), weights.view(-1))


def _gather_in_graph(table: Tensor, rows: Tensor, u: Tensor) -> Tensor:
    """The same for a graph of free sizes: blocks would fix the number of points, and ONNX has no embedding bag."""
    weights = _powers(u).t() @ powers_to_weights(u.dtype, u.device)
    out = table.index_select(0, rows) * weights[:, :1]
    for row in range(1, TABLE_DEGREE + 1):
        out = out + table.index_select(0, rows + row) * weights[:, row : row + 1]
    return out


def gather_dot(table: Tensor, rows: Tensor, u: Tensor, other: Tensor) -> Tensor:
    """The values' inner products with other (n, d) -> (n); the values are never all there."""
    (indices, weights), starts = _bags(rows, u), _starts(rows)
    products = []
    for part in _blocks(rows, max(1, BLOCK_VALUES // table.shape[-1])):
        near, its_weights, its_other = indices[part], weights[part], other[part]
        values = bag(table, near.view(-1), starts[: len(near)], its_weights.view(-1))
        products.append(values.mul_(its_other).sum(-1))
    return torch.cat(products) if len(products) > 1 else products[0]


def scatter(rows: Tensor, u: Tensor, grad: Tensor, size: int, group: tuple[int, int]) -> Tensor:
    """Adjoint of `gather`: grad (n, d) -> (size, d), the sum of w_l(u) grad at row + l.

    group (points, table rows): so many consecutive points touch only so many consecutive rows, in step.
    """
    to_weights = powers_to_weights(u.dtype, u.device)
    out = grad.new_zeros(size + TABLE_DEGREE, grad.shape[-1])
    for points in _blocks(rows, BLOCK):
        low = points.start // group[0] * group[1]
        high = ((points.stop - 1) // group[0] + 1) * group[1]
        sorted_rows, order = in_order(rows[points] - low, high - low)
        first = torch.searchsorted(sorted_rows, torch.arange(high - low, dtype=sorted_rows.dtype, device=rows.device))
        its_grad = grad[points]
        for row, weights in enumerate(to_weights.t() @ _powers(u[points].index_select(0, order))):
            out[low + row : high + row].add_(bag(its_grad, order, first, weights))
    return out[:size]


def row_dtype(points: int, rows: int) -> torch.dtype:
    """The smallest integers that number so many points and table rows."""
    return torch.int32 if max((TABLE_DEGREE + 1) * points, rows) <= INT32 else torch.int64


def _blocks(x: Tensor, size: int) -> list[slice]:
    count = x.numel()
    size = size if x.device.type == "cpu" and not torch.compiler.is_compiling() else count
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _bags(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Each point's rows and their weights: (n, TABLE_DEGREE + 1)."""
    near = torch.arange(TABLE_DEGREE + 1, dtype=rows.dtype, device=rows.device)
    to_weights = powers_to_weights(u.dtype, u.device)
    blocks = _blocks(rows, BLOCK)
    if len(blocks) == 1:
        return rows.unsqueeze(-1) + near, _powers(u).t() @ to_weights
    indices, weights = rows.new_empty(len(rows), len(near)), u.new_empty(len(rows), len(near))
    for points in blocks:
        torch.add(rows[points].unsqueeze(-1), near, out=indices[points])
        torch.mm(_powers(u[points]).t(), to_weights, out=weights[points])
    return indices, weights


def _powers(u: Tensor) -> Tensor:
    """(TABLE_DEGREE + 1, n)."""
    powers = [torch.ones_like(u), u]
    while len(powers) <= TABLE_DEGREE:
        powers.append(powers[-1] * u)
    return torch.stack(powers)


def in_order(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Rows, all below size - TABLE_DEGREE, in order, and where each was."""
    count = rows.numel()
    rows = rows.to(torch.uint8 if size <= UINT8 + 1 else torch.int16 if size <= INT16 else rows.dtype)
    if rows.device.type == "cpu" and RADIX // 4 <= count < RADIX:
        rows = F.pad(rows, (0, RADIX - count), value=size - 1)
    found, where = rows.sort(stable=True)
    return found[:count], where[:count]


def _starts(rows: Tensor) -> Tensor:
    return torch.arange(0, (TABLE_DEGREE + 1) * rows.numel(), TABLE_DEGREE + 1, dtype=rows.dtype, device=rows.device)


def bag(table: Tensor, indices: Tensor, first: Tensor, weights: Tensor | None) -> Tensor:
    """Bag b sums the weighted rows `indices` from position first[b] to the next bag's."""
    out: Tensor = torch.embedding_bag(table, indices, first, False, 0, False, weights)[0]
    return out
