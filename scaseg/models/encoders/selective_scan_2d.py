"""SS2D (VMamba; Liu et al., NeurIPS 2024) with one state a channel, as SegMAN has it.

Parameter names are those of the official checkpoints.
"""

import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.encoders.selective_scan import selective_scan

DIRECTIONS = 4  # along rows, along columns, and both from the end


class Recurrence(nn.Module):
    """selective_scan as a module, which knows what it costs."""

    def forward(self, u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> Tensor:
        """u, delta (T, B, N, C), rate (C), b (T, B, N, 1) -> states (T, B, N, C)."""
        return selective_scan(u, delta, rate, b, reverse)

    def multiply_adds(self, u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> int:
        """10 for each state and step, the authors' rule: 9 for the discretised recurrence, 1 for the skip."""
        return 10 * u.numel()


class SelectiveScan2d(nn.Module):
    """SS2D (VMamba) with one state a channel: the map is scanned in four directions, the results added.

    h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t and y_t = C_t h_t + D u_t; delta, B and C are functions of u_t. Runs
    in float32 at least.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        rank = math.ceil(channels / 16)
        self.rank = rank
        self.x_proj_weight = nn.Parameter(torch.empty(DIRECTIONS * (rank + 2), channels, 1))
        self.dt_projs_weight = nn.Parameter(torch.empty(DIRECTIONS, channels, rank))
        self.dt_projs_bias = nn.Parameter(torch.empty(DIRECTIONS, channels))
        self.A_logs = nn.Parameter(torch.zeros(DIRECTIONS * channels, 1))
        self.Ds = nn.Parameter(torch.ones(DIRECTIONS * channels))
        self.recurrence = Recurrence()
        nn.init.uniform_(self.x_proj_weight, -(channels**-0.5), channels**-0.5)
        nn.init.uniform_(self.dt_projs_weight, -(rank**-0.5), rank**-0.5)
        with torch.no_grad():  # softplus(bias) is log-uniform in [1e-3, 1e-1]
            step = torch.exp(torch.empty_like(self.dt_projs_bias).uniform_(math.log(1e-3), math.log(1e-1)))
            self.dt_projs_bias.copy_(step + torch.log(-torch.expm1(-step)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            u = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            rows = self._scanned(u.permute(3, 0, 2, 1).contiguous(), 0).permute(1, 3, 2, 0)
            columns = self._scanned(u.permute(2, 0, 3, 1).contiguous(), 1).permute(1, 3, 0, 2)
            return (rows + columns).to(x.dtype)

    def _scanned(self, u: Tensor, direction: int) -> Tensor:
        """u (T, B, N, C), lines of T pixels one after the other, scanned forward and backward."""
        channels = u.shape[-1]
        skip = self.Ds.view(DIRECTIONS, channels)
        out = u * (skip[direction] + skip[direction + 2])
        for k, reverse in ((direction, False), (direction + 2, True)):
            weight = self.x_proj_weight.view(DIRECTIONS, self.rank + 2, channels)[k]
            steps, b, c = F.linear(u, weight).split([self.rank, 1, 1], -1)
            delta = F.softplus(F.linear(steps, self.dt_projs_weight[k], self.dt_projs_bias[k]))
            rate = self.A_logs.view(DIRECTIONS, channels)[k].exp()
            out = torch.addcmul(out, c, self.recurrence(u, delta, rate, b, reverse))
        return out
