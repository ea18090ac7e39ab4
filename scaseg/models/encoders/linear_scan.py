"""h_t = a_t h_(t-1) + b_t along a sequence cut into chunks, with a backward of its own.

Within a chunk of T steps every chunk goes at once; then the chunks' final states are carried from one to the next; then
each chunk receives what it was carried, weighed by the product of its a so far. T + N steps for a sequence of T N, and
nothing but sums and products of the given numbers: with 0 <= a <= 1 no form is safer. The gradient is the same
recurrence run the other way.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 1e-30  # of a, where its logarithm is taken


def linear_scan(decay: Tensor, value: Tensor, reverse: bool = False) -> Tensor:
    """States h of decay a and value b (T, B, N, D): step t of chunk n is the sequence's number n T + t.

    reverse: from the sequence's end. The loop over steps is for the CPU; in graphs and on other devices, where a step
    costs a launch, log2 T + log2 N doubling steps do the same; in graphs that are exported, whose free sizes leave the
    number of steps open, weights of all pairs of steps.
    """
    if decay.is_meta:
        return torch.empty_like(value)
    if torch.is_grad_enabled() and (decay.requires_grad or value.requires_grad):
        states: Tensor = _LinearScan.apply(decay, value, reverse)  # type: ignore[no-untyped-call]
        return states
    return _scan(decay, value, reverse)


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, value: Tensor, reverse: bool) -> Tensor:
        states = _scan(decay, value, reverse)
        ctx.save_for_backward(decay, states)
        ctx.reverse = reverse
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        decay, states = ctx.saved_tensors
        of_value = linear_scan(_one_earlier(decay, not ctx.reverse), gradient.contiguous(), not ctx.reverse)
        of_decay = of_value * _one_earlier(states, ctx.reverse) if ctx.needs_input_grad[0] else None
        return of_decay, of_value, None


def _scan(decay: Tensor, value: Tensor, reverse: bool) -> Tensor:
    if torch.compiler.is_exporting():
        return paired(decay, value, reverse)
    if decay.device.type != "cpu" or torch.compiler.is_compiling():
        return doubled(decay, value, reverse)
    return looped(decay, value, reverse)


def looped(decay: Tensor, value: Tensor, reverse: bool) -> Tensor:
    """One step after the other, all chunks at once."""
    states, product = torch.empty_like(value), torch.empty_like(decay)
    a, b, h, p = decay.unbind(0), value.unbind(0), states.unbind(0), product.unbind(0)
    steps = list(range(len(h)))[:: -1 if reverse else 1]
    h[steps[0]].copy_(b[steps[0]])
    p[steps[0]].copy_(a[steps[0]])
    for before, t in pairwise(steps):
        torch.addcmul(b[t], a[t], h[before], out=h[t])
        torch.mul(a[t], p[before], out=p[t])
    final, through = h[steps[-1]], p[steps[-1]]
    carried = torch.zeros_like(final)
    chunks = list(range(final.shape[1]))[:: -1 if reverse else 1]
    for before, n in pairwise(chunks):
        carried[:, n] = torch.addcmul(final[:, before], through[:, before], carried[:, before])
    return states.addcmul_(product, carried)


def doubled(decay: Tensor, value: Tensor, reverse: bool) -> Tensor:
    """Hillis and Steele's scan: spans of 1, 2, 4, ... steps are joined, first within chunks, then across them."""
    product, states = _doubled_along(decay, value, 0, reverse)
    last = 0 if reverse else -1
    _, final = _doubled_along(product[last], states[last], 1, reverse)
    return states + product * _shifted(final, 1, 1, 0.0, reverse)


def paired(decay: Tensor, value: Tensor, reverse: bool) -> Tensor:
    """What each step leaves in every later one, T^2 weights a chunk, then the same of chunks."""
    if reverse:
        return paired(decay.flip(0, 2), value.flip(0, 2), False).flip(0, 2)
    logs = decay.double().clamp_min(LEAST).log().cumsum(0)
    states = _summed(logs, value)
    carried = _summed(logs[-1].transpose(0, 1).cumsum(0), states[-1].transpose(0, 1)).transpose(0, 1)
    return states + logs.exp().to(value.dtype) * F.pad(carried[:, :-1], (0, 0, 1, 0))


def _summed(logs: Tensor, value: Tensor) -> Tensor:
    """logs (T, ...) of the products of a up to each step, value (T, ...) -> h (T, ...) from nothing."""
    steps = torch.arange(logs.shape[0], device=logs.device)
    later = (steps.unsqueeze(1) < steps)[(..., *(None,) * (logs.dim() - 1))]
    weights = (logs.unsqueeze(1) - logs).masked_fill(later, -torch.inf).exp().to(value.dtype)
    return (weights * value).sum(1)


def _doubled_along(decay: Tensor, value: Tensor, dim: int, reverse: bool) -> tuple[Tensor, Tensor]:
    span = 1
    while span < value.shape[dim]:
        value = value + decay * _shifted(value, dim, span, 0.0, reverse)
        decay = decay * _shifted(decay, dim, span, 1.0, reverse)
        span *= 2
    return decay, value


def _shifted(x: Tensor, dim: int, by: int, fill: float, reverse: bool) -> Tensor:
    """What stands `by` places earlier in the order of the scan, `fill` where nothing does."""
    kept = x.narrow(dim, by if reverse else 0, x.shape[dim] - by)
    after = [0, 0] * (x.dim() - 1 - dim)
    return F.pad(kept, [*after, *((0, by) if reverse else (by, 0))], value=fill)


def _one_earlier(x: Tensor, reverse: bool) -> Tensor:
    """The sequence (T, B, N, D) moved by one step across chunks, zero at its start."""
    if reverse:
        return torch.cat([x[1:], _shifted(x[:1], 2, 1, 0.0, True)])
    return torch.cat([_shifted(x[-1:], 2, 1, 0.0, False), x[:-1]])


def in_torch(u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> Tensor:
    """The torch form of `selective_scan`."""
    return linear_scan(torch.exp(delta * -rate), delta * (b * u), reverse)
