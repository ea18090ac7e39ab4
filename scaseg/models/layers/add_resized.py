"""Add a map to a finer one, resized to it, a few channels at a time: the whole resized map is never there."""

from typing import Any

import torch
from torch import Tensor

from scaseg.models.layers.recompute import traced
from scaseg.models.layers.resize import resize

SHARE = 64  # channels at a time


def add_resized(fine: Tensor, coarse: Tensor) -> Tensor:
    """fine (B, H, W, C), overwritten, coarse (B, C, h, w) -> fine + coarse resized, bilinear: (B, H, W, C)."""
    if traced() or coarse.device.type == "meta" or fine.dtype != coarse.dtype:
        return fine.add_(resize(coarse, fine.shape[1:3]).permute(0, 2, 3, 1))
    out: Tensor = _AddResized.apply(fine, coarse)  # type: ignore[no-untyped-call]
    return out


class _AddResized(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fine: Tensor, coarse: Tensor) -> Tensor:
        ctx.mark_dirty(fine)
        ctx.shape = coarse.shape
        for start in range(0, coarse.shape[1], SHARE):
            share = coarse[:, start : start + SHARE].contiguous(memory_format=torch.channels_last)
            fine[..., start : start + SHARE].add_(resize(share, fine.shape[1:3]).permute(0, 2, 3, 1))
        return fine

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        d_coarse = grad.permute(0, 3, 1, 2)
        if d_coarse.shape != ctx.shape:
            d_coarse = torch.ops.aten.upsample_bilinear2d_backward(d_coarse, grad.shape[1:3], ctx.shape, False)
        return grad, d_coarse
