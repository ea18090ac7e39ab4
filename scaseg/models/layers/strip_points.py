"""Queries as points of the table of strip attention: the torch form, and when Triton's kernels stand in for it."""

from typing import Protocol

import torch
from torch import Tensor

from scaseg.models.layers.kernels import on_kernels
from scaseg.models.layers.spline import TABLE_DEGREE
from scaseg.models.layers.spline_table import gather, gather_dot, row_dtype, scatter


class Points(Protocol):
    """The queries (B, N, H) on tables (B, H, R, d)."""

    def gather(self, table: Tensor, dtype: torch.dtype) -> Tensor:
        """The queries' values: (B, N, H, d)."""

    def arranged(self, grad: Tensor) -> Tensor:
        """The same numbers (B, N, H, d) as the next two read them."""

    def gather_dot(self, table: Tensor, arranged: Tensor) -> Tensor:
        """The values' inner products with gradients: (B, N, H)."""

    def scatter(self, arranged: Tensor) -> Tensor:
        """Adjoint of `gather`: gradients (B, N, H, d) -> (B, H, R, d)."""


def points(position: Tensor, table_rows: int) -> Points:
    """position (B, N, H) in the cells of a spline of so many coefficients; nan has some cell, and is nan there."""
    if on_kernels(position):
        from scaseg.models.layers.strip_triton import TritonPoints

        return TritonPoints(position, table_rows)
    return TorchPoints(position, table_rows)


def place(t: Tensor, bend: Tensor, start: Tensor, per_step: Tensor) -> Tensor:
    """t (B, H, N), the rest (B, H, 1) -> (asinh(t bend) - start) per_step, with the tokens first: (B, N, H)."""
    if on_kernels(t):
        from scaseg.models.layers import strip_triton

        return strip_triton.place(t, bend, start, per_step)
    tokens_first = t.transpose(1, 2).contiguous()
    return asinh(tokens_first * bend.transpose(1, 2)).sub_(start.transpose(1, 2)).mul_(per_step.transpose(1, 2))


def asinh(y: Tensor) -> Tensor:
    """torch.asinh is fifteen times slower on CPU; ONNX has it, and no copysign."""
    if torch.compiler.is_exporting():
        return y.asinh()
    return y.square().add_(1).sqrt_().add_(y.abs()).log_().copysign_(y)


class TorchPoints:
    """`spline_table` over the tables of all heads, one after the other."""

    def __init__(self, position: Tensor, table_rows: int) -> None:
        self.shape, self.table_rows = position.shape, table_rows
        batch, tokens, heads = position.shape
        dtype = row_dtype(position.numel(), batch * heads * table_rows)
        cell = position.to(dtype).clamp_(0, table_rows - TABLE_DEGREE - 1)
        self.u = (position - cell).sub_(0.5).view(-1)
        if batch * heads > 1:
            first = torch.arange(0, batch * heads * table_rows, table_rows, dtype=dtype, device=position.device)
            cell = cell.add_(first.view(batch, 1, heads))
        self.rows = cell.view(-1)
        self.group = tokens * heads, heads * table_rows

    def gather(self, table: Tensor, dtype: torch.dtype) -> Tensor:
        values = gather(table.reshape(-1, table.shape[-1]), self.rows, self.u)
        return values.view(*self.shape, -1).to(dtype)

    def arranged(self, grad: Tensor) -> Tensor:
        return grad.to(self.u.dtype).contiguous()

    def gather_dot(self, table: Tensor, arranged: Tensor) -> Tensor:
        channels = table.shape[-1]
        return gather_dot(table.reshape(-1, channels), self.rows, self.u, arranged.view(-1, channels)).view(self.shape)

    def scatter(self, arranged: Tensor) -> Tensor:
        batch, _, heads, channels = arranged.shape
        out = scatter(self.rows, self.u, arranged.view(-1, channels), batch * self.group[1], self.group)
        return out.view(batch, heads, self.table_rows, channels)
