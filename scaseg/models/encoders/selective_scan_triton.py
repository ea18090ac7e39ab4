"""The selective scan as Triton kernels: `linear_scan.in_torch` on a GPU, decays and values never in memory.

A sequence is N lines of T steps. All lines go at once, a tile of steps at a time by an associative scan; their final
states are carried from line to line; then all lines go again, from the state that they were carried, and write. So
inputs are read twice and states written once. Backward the same, with the gradient of step t that arrives through the
next one, e_t = exp(-rate delta_t) (g_t + e_(t+1)), in the place of the state. Everything between loads and stores is
float32. Sums over steps and channels are taken in shares of fixed size, in order: results do not vary.

Tested in Triton's interpreter and compiled for compute capabilities 8.0 and 9.0; not run on a GPU, not timed.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from scaseg.models.encoders.linear_scan import in_torch

STEPS = 32  # of a line, or lines of a sequence, that a program holds at a time
WIDEST = 32  # channels of a program


def selective_scan(u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> Tensor:
    """u, delta (T, B, N, C), rate (C), b (T, B, N, 1), of any precision -> float32 states (T, B, N, C)."""
    inputs = [x.contiguous() for x in (u, delta, rate, b)]
    states: Tensor = _SelectiveScan.apply(*inputs, reverse)
    return states


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> Tensor:
        carried = _carried(u, delta, rate, b, reverse, adjoint=False)
        states = torch.empty_like(u, dtype=torch.float32)
        with torch.cuda.device_of(u):
            _scan[_grid(u)](
                u, delta, rate, b, carried, states, states, *_sizes(u),
                reverse=reverse, adjoint=False, ends=False, **_tile(u),
            )  # fmt: skip
        ctx.save_for_backward(u, delta, rate, b, states, carried)
        ctx.reverse = reverse
        return states

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, states, carried = ctx.saved_tensors
        if torch.is_grad_enabled():  # it will be differentiated itself
            u, delta, rate, b = (x.float() for x in inputs)
            plain = in_torch(u, delta, rate, b, ctx.reverse)
            wanted = [x for x, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
            found = iter(torch.autograd.grad(plain, wanted, grad, create_graph=True))
            return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
        u, delta, rate, b = inputs
        grad = grad.contiguous()
        arriving = _carried(grad, delta, rate, b, not ctx.reverse, adjoint=True)
        lines, blocks = _grid(u)
        of_u, of_delta = torch.empty_like(u), torch.empty_like(delta)
        of_b, of_rate = grad.new_empty(blocks, *b.shape), grad.new_empty(lines, len(rate))
        with torch.cuda.device_of(u):
            _gradients[(lines, blocks)](
                *inputs, states, carried, grad, arriving, of_u, of_delta, of_rate, of_b, *_sizes(u),
                reverse=not ctx.reverse, **_tile(u),
            )  # fmt: skip
        return of_u, of_delta, of_rate.sum(0).to(rate.dtype), of_b.sum(0).to(b.dtype), None


def _carried(x: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool, adjoint: bool) -> Tensor:
    """What arrives at each line: (B, N, C). x: u, or the gradients of the states."""
    final, through = (x.new_empty(x.shape[1:], dtype=torch.float32) for _ in range(2))
    carried = torch.zeros_like(final)
    tile = _tile(x)
    with torch.cuda.device_of(x):
        _scan[_grid(x)](
            x, delta, rate, b, carried, final, through, *_sizes(x), reverse=reverse, adjoint=adjoint, ends=True, **tile
        )
        _carry[(x.shape[1], _grid(x)[1])](final, through, carried, *x.shape[2:], reverse=reverse, **tile)
    return carried


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1] * x.shape[2], x.shape[3]


def _tile(x: Tensor) -> dict[str, int]:
    width = min(triton.next_power_of_2(x.shape[3]), WIDEST)
    return {"width": width, "tile": min(triton.next_power_of_2(x.shape[0]), STEPS)}


def _grid(x: Tensor) -> tuple[int, int]:
    return x.shape[1] * x.shape[2], triton.cdiv(x.shape[3], _tile(x)["width"])


@triton.jit
def _joined(decay, state, later_decay, later_state):
    return decay * later_decay, state * later_decay + later_state


@triton.jit
def _last(x, tile: tl.constexpr):
    return tl.sum(tl.where((tl.arange(0, tile) == tile - 1)[:, None], x, 0.0), 0)


@triton.jit
def _line(channels, width: tl.constexpr):
    """A program's channels, which of them there are, and their places in (B N, C)."""
    channel = tl.program_id(1) * width + tl.arange(0, width)
    return channel, channel < channels, tl.program_id(0).to(tl.int64) * channels + channel


@triton.jit
def _rows(number, steps, lines, reverse: tl.constexpr):
    """Places in (T, B N) of steps of this program's line, counted in the order of the scan."""
    step = steps - 1 - number if reverse else number
    return step.to(tl.int64) * lines + tl.program_id(0)


@triton.jit
def _scan(
    x, delta, rate, b, carried, out, through, steps, lines, channels,
    reverse: tl.constexpr, adjoint: tl.constexpr, ends: tl.constexpr, width: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Every line on its own. ends: from nothing to final states and products of decays, (B N, C); otherwise from what
    was carried to all states. adjoint: of gradients x.
    """
    channel, known, of_line = _line(channels, width)
    speed = tl.load(rate + channel, known, 0.0).to(tl.float32)
    product = tl.full((width,), 1.0, tl.float32)
    state = tl.zeros((width,), tl.float32)
    if not ends:
        state += tl.load(carried + of_line, known, 0.0)
    for start in range(0, steps, tile):
        number = start + tl.arange(0, tile)
        row = _rows(number, steps, lines, reverse)
        inside = (number < steps)[:, None] & known[None, :]
        place = row[:, None] * channels + channel[None, :]
        time = tl.load(delta + place, inside, 0.0).to(tl.float32)  # none passes beyond the end: states stay
        decay = tl.exp(-time * speed[None, :])
        value = tl.load(x + place, inside, 0.0).to(tl.float32)
        if adjoint:
            value *= decay
        else:
            value *= time * tl.load(b + row, number < steps, 0.0).to(tl.float32)[:, None]
        decays, states = tl.associative_scan((decay, value), 0, _joined)
        states += decays * state[None, :]
        state = _last(states, tile)
        if ends:
            product *= _last(decays, tile)
        else:
            tl.store(out + place, states, inside)
    if ends:
        tl.store(out + of_line, state, known)
        tl.store(through + of_line, product, known)


@triton.jit
def _carry(
    final, through, carried, lines, channels, reverse: tl.constexpr, width: tl.constexpr, tile: tl.constexpr
):  # fmt: skip
    """From line to line of a sequence: each is carried the state after those before it; the first has its zeros."""
    channel = tl.program_id(1) * width + tl.arange(0, width)
    state = tl.zeros((width,), tl.float32)
    for start in range(0, lines - 1, tile):
        number = start + tl.arange(0, tile)
        line = lines - 1 - number if reverse else number
        follower = line - 1 if reverse else line + 1
        sequence = tl.program_id(0).to(tl.int64) * lines
        inside = (number < lines - 1)[:, None] & (channel < channels)[None, :]
        place = (sequence + line)[:, None] * channels + channel[None, :]
        decay, value = tl.load(through + place, inside, 1.0), tl.load(final + place, inside, 0.0)
        decays, states = tl.associative_scan((decay, value), 0, _joined)
        states += decays * state[None, :]
        state = _last(states, tile)
        tl.store(carried + (sequence + follower)[:, None] * channels + channel[None, :], states, inside)


@triton.jit
def _gradients(
    u, delta, rate, b, states, carried, grad, arriving, of_u, of_delta, of_rate, of_b, steps, lines, channels,
    reverse: tl.constexpr, width: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """reverse: as this goes, the other way than the states. carried: of states, to lines; arriving: of gradients."""
    channel, known, of_line = _line(channels, width)
    speed = tl.load(rate + channel, known, 0.0).to(tl.float32)
    before_line = tl.load(carried + of_line, known, 0.0)
    total = tl.load(arriving + of_line, known, 0.0)
    speeds = tl.zeros((width,), tl.float32)
    for start in range(0, steps, tile):
        number = start + tl.arange(0, tile)
        row = _rows(number, steps, lines, reverse)
        inside = (number < steps)[:, None] & known[None, :]
        place = row[:, None] * channels + channel[None, :]
        # the gradient of a state: its own, and that of the state after it times the decay there
        after = (number > 0)[:, None] & inside
        place_after = _rows(number - 1, steps, lines, reverse)[:, None] * channels + channel[None, :]
        decay_after = tl.exp(-tl.load(delta + place_after, after, 0.0).to(tl.float32) * speed[None, :])
        decays, totals = tl.associative_scan((decay_after, tl.load(grad + place, inside, 0.0)), 0, _joined)
        totals += decays * total[None, :]
        total = _last(totals, tile)
        first = (number == steps - 1)[:, None]
        place_before = _rows(number + 1, steps, lines, reverse)[:, None] * channels + channel[None, :]
        before = tl.load(states + place_before, inside & (number < steps - 1)[:, None], 0.0)
        before = tl.where(first, before_line[None, :], before)
        time = tl.load(delta + place, inside, 0.0).to(tl.float32)
        input_ = tl.load(u + place, inside, 0.0).to(tl.float32)
        gate = tl.load(b + row, number < steps, 0.0).to(tl.float32)[:, None]
        of_exponent = totals * before * tl.exp(-time * speed[None, :])
        speeds -= tl.sum(tl.where(inside, of_exponent * time, 0.0), 0)
        tl.store(of_u + place, totals * time * gate, inside)
        tl.store(of_delta + place, totals * gate * input_ - of_exponent * speed[None, :], inside)
        row_share = tl.sum(tl.where(inside, totals * time * input_, 0.0), 1)
        tl.store(of_b + tl.program_id(1).to(tl.int64) * steps * lines + row, row_share, number < steps)
    tl.store(of_rate + of_line, speeds, known)
