"""States of a selective scan (Mamba) with one state a channel: in torch, or by Triton's kernels on a GPU."""

from torch import Tensor

from scaseg.models.encoders.linear_scan import in_torch
from scaseg.models.layers.kernels import on_kernels


def selective_scan(u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> Tensor:
    """h_t = exp(-rate delta_t) h_(t-1) + delta_t b_t u_t along the sequence of `linear_scan`, from its end if reverse.

    u, delta (T, B, N, C), rate (C) positive, b (T, B, N, 1) -> states (T, B, N, C).
    """
    if on_kernels(delta):
        from scaseg.models.encoders import selective_scan_triton

        return selective_scan_triton.selective_scan(u, delta, rate, b, reverse)
    return in_torch(u, delta, rate, b, reverse)
