"""Strip attention beside its plain form and beside vanilla cross-attention through torch's fused kernel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity.latency import Ratio, Spread, interleaved
from scaseg.models.layers.plane_attention import two_channel_attention
from scaseg.models.layers.strip_attention import exact_attention, padded_attention, strip_attention
from scaseg.schema import Run
from scaseg.trained.device import chosen_device

CPU = torch.device("cpu")
CHANNELS = 32  # of a value head
LARGE, MIDDLE = (131_072, 2_048), (16_384, 256)  # queries, keys: stage 1 of 1024 x 2048 pooled twice less, of 512 x 512
GOALS = {LARGE: ("at least 50", "at least 20"), MIDDLE: ("at least 4", "at least 3")}
GRID = tuple((queries, keys) for queries in (64, 256, 1024, 4096, 16_384) for keys in (16, 64, 256))
ALL_HEADS = (1, 8)
PLANE_GRID = tuple((queries, keys) for queries in (4096, 16_384, 65_536) for keys in (128, 512, 2048))
PLANE_HEADS = (1, 4)
PLANE_SCALE = 0.4  # of logits of two channels: their range is then some 25, and the table is for up to 30

Form = Callable[[], Tensor]


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Ratios of times, one image; every form takes and gives tokens first, as the projections around it do.

    The goals are those of a CPU in float32; the dispatch is of float32.
    """
    torch.set_num_threads(run.hardware.threads or 1)
    device, dtype = chosen_device(cfg.hardware), getattr(torch, cfg.dtype.value)
    table = []
    for shape, goals in GOALS.items():
        rounds = max(3, cfg.rounds // 4) if shape == LARGE else cfg.rounds
        for backward in (False, True):
            ours, plain, vanilla = forms(1, *shape, backward, device=device, dtype=dtype)
            work = "forward and backward" if backward else "forward"
            where = f"{shape[0]} x {shape[1]}, {work}"
            against_plain, against_vanilla = (ratio(form, ours, rounds, device) for form in (plain, vanilla))
            table += [
                Row(f"{where}: plain strip attention / ours", "x", against_plain.ratio, goals[0]),
                Row(f"{where}: vanilla cross-attention / ours", "x", against_vanilla.ratio, goals[1]),
                Row(f"{where}: ours", "ms", _milliseconds(against_plain.b)),
            ]
    if device.type == "cpu":
        table += two_channels(max(3, cfg.rounds // 4))
    return [*table, *dispatch(cfg.rounds, device)]


def forms(
    heads: int,
    queries: int,
    keys: int,
    backward: bool,
    mode: str = "auto",
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
) -> tuple[Form, Form, Form]:
    """Strip attention as `mode` has it, plain strip attention, and vanilla cross-attention of the same width."""
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int, channels: int) -> Tensor:
        x = torch.randn(1, count, heads, channels, generator=generator).to(device, dtype).transpose(1, 2)
        return x.detach().requires_grad_(backward)

    query, key, value = tokens(queries, 1), tokens(keys, 1), tokens(keys, CHANNELS)
    wide_query, wide_key = tokens(queries, CHANNELS), tokens(keys, CHANNELS)
    grad = torch.randn(1, queries, heads * CHANNELS, generator=generator).to(device, dtype)

    def timed(attend: Form, *leaves: Tensor) -> Form:
        def run() -> Tensor:
            out = attend().transpose(1, 2).reshape(1, queries, -1)
            if backward:
                torch.autograd.grad(out, leaves, grad)
            return out

        return run

    return (
        timed(lambda: strip_attention(query.squeeze(-1), key.squeeze(-1), value, mode=mode), query, key, value),
        timed(lambda: exact_attention(query, key, value, 1.0), query, key, value),
        timed(lambda: F.scaled_dot_product_attention(wide_query, wide_key, value), wide_query, wide_key, value),
    )


def two_channels(
    rounds: int, shape: tuple[int, int] = LARGE, grid: Sequence[tuple[int, int]] = PLANE_GRID
) -> list[Row]:
    """Heads of two query/key channels, as scaseg.rank leaves some, beside vanilla cross-attention of full width, and
    beside the fused kernel on the same two channels.
    """
    queries, keys = shape
    table = []
    for backward in (False, True):
        work = "forward and backward" if backward else "forward"
        ours, _, vanilla = plane_forms(1, *shape, backward)
        what = f"{queries} x {keys}, {work}, two channels a head: vanilla / ours"
        table.append(Row(what, "x", ratio(vanilla, ours, rounds).ratio, "at least 5"))
        worst = _worst(
            {(h, *one): plane_forms(h, *one, backward)[:2] for h in PLANE_HEADS for one in grid}, rounds, CPU
        )
        table.append(replace(worst, what=f"{worst.what}, {work}, two channels a head: ours / exact"))
    return table


def plane_forms(heads: int, queries: int, keys: int, backward: bool) -> tuple[Form, Form, Form]:
    """Of two channels the form that is chosen, the exact one, and vanilla cross-attention."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((queries, 2), (keys, 2), (keys, CHANNELS), (queries, CHANNELS), (keys, CHANNELS), (queries, CHANNELS))
    *leaves, grad = (torch.randn(1, heads, *size, generator=generator) for size in sizes)
    query, key, value, wide_query, wide_key = (x.requires_grad_(backward) for x in leaves)
    narrow, wide = (query, key, value), (wide_query, wide_key, value)
    ours, exact = (partial(of, scale=PLANE_SCALE) for of in (two_channel_attention, padded_attention))
    return _timed(ours, narrow, grad), _timed(exact, narrow, grad), _timed(F.scaled_dot_product_attention, wide, grad)


def _timed(attend: Callable[..., Tensor], inputs: Sequence[Tensor], grad: Tensor) -> Form:
    """Forward, and backward where the inputs ask for it."""

    def run() -> Tensor:
        out = attend(*inputs)
        if out.requires_grad:
            torch.autograd.grad(out, inputs, grad)
        return out

    return run


def dispatch(rounds: int, device: torch.device = CPU, grid: Sequence[tuple[int, int]] = GRID) -> list[Row]:
    """The worst of small shapes: what choosing the wrong form would cost."""
    table = []
    for backward in (False, True):
        pairs = {}
        for heads in ALL_HEADS:
            for shape in grid:
                ours, plain = (forms(heads, *shape, backward, mode, device)[0] for mode in ("auto", "exact"))
                pairs[heads, *shape] = ours, plain
        worst = _worst(pairs, 3 * rounds, device)
        work = "forward and backward" if backward else "forward"
        table.append(replace(worst, what=f"{worst.what}, {work}: ours / plain"))
    return table


def _worst(pairs: Mapping[tuple[int, int, int], tuple[Form, Form]], rounds: int, device: torch.device) -> Row:
    """By shape (heads, queries, keys) the form that is chosen and the other: the shape whose choice costs most."""
    ratios = {shape: ratio(*pair, rounds, device).ratio for shape, pair in pairs.items()}
    heads, queries, keys = worst = max(ratios, key=lambda shape: ratios[shape].median)
    what = f"the worst of {len(ratios)} shapes ({heads} heads, {queries} x {keys})"
    return Row(what, "x", ratios[worst], "at most 1.05")


def ratio(a: Form, b: Form, rounds: int, device: torch.device = CPU) -> Ratio:
    """Of the two forms' times, which keep what a backward pass would need."""
    with torch.set_grad_enabled(True):
        return interleaved(a, b, device, 2, rounds)


def _milliseconds(seconds: Spread) -> Spread:
    return Spread(seconds.median * 1e3, seconds.lower * 1e3, seconds.upper * 1e3, seconds.rounds)
