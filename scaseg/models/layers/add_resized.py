"""Add a map to a finer one, resized to it, a few channels at a time: the whole resized map is never there."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.models.layers.recompute import traced

SHARE = 64  # channels at a time


def add_resized(fine: Tensor, coarse: Tensor) -> Tensor:
    """fine (B, H, W, C), overwritten, coarse (B, C, h, w) -> fine + coarse resized, bilinear: (B, H, W, C)."""
    if traced() or coarse.device.type == "meta" or fine.dtype != coarse.dtype:
        return fine.add_(_resized(coarse, fine.shape[1:3]))
    out: Tensor = _AddResized.apply(fine, coarse)  # type: ignore[no-untyped-call]
    return out


def _resized(coarse: Tensor, size: torch.Size) -> Tensor:
    same = coarse.shape[2:] == size
    return (coarse if same else F.interpolate(coarse, size=size, mode="bilinear")).permute(0, 2, 3, 1)


class _AddResized(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fine: Tensor, coarse: Tensor) -> Tensor:
        ctx.mark_dirty(fine)
        ctx.shape = coarse.shape
        for start in range(0, coarse.shape[1], SHARE):
            share = coarse[:, start : start + SHARE].contiguous(memory_format=torch.channels_last)
            fine[..., start : start + SHARE].add_(_resized(share, fine.shape[1:3]))
        return fine

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        d_coarse = grad.permute(0, 3, 1, 2)
        if d_coarse.shape != ctx.shape:
            d_coarse = torch.ops.aten.upsample_bilinear2d_backward(d_coarse, grad.shape[1:3], ctx.shape, False)
        return grad, d_coarse
