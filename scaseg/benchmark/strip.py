"""Strip attention beside its plain form and beside vanilla cross-attention through torch's fused kernel."""

from collections.abc import Callable, Sequence
from functools import partial

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity.latency import Ratio, Spread, interleaved
from scaseg.models.layers.plane_attention import two_channel_attention
from scaseg.models.layers.strip_attention import exact_attention, strip_attention
from scaseg.schema import Run
from scaseg.trained.device import chosen_device

CPU = torch.device("cpu")
CHANNELS = 32  # of a value head
LARGE, MIDDLE = (131_072, 2_048), (16_384, 256)  # queries, keys: stage 1 of 1024 x 2048 pooled twice less, of 512 x 512
GOALS = {LARGE: ("at least 50", "at least 20"), MIDDLE: ("at least 4", "at least 3")}
GRID = tuple((queries, keys) for queries in (64, 256, 1024, 4096, 16_384) for keys in (16, 64, 256))
ALL_HEADS = (1, 8)
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


def two_channels(rounds: int, shape: tuple[int, int] = LARGE) -> list[Row]:
    """Heads of two query/key channels, as scaseg.rank leaves some, beside vanilla cross-attention."""
    generator, (queries, keys) = torch.Generator().manual_seed(0), shape
    table = []
    for backward in (False, True):
        sizes = ((queries, 2), (keys, 2), (keys, CHANNELS), (queries, CHANNELS), (keys, CHANNELS), (queries, CHANNELS))
        *leaves, grad = (torch.randn(1, 1, *size, generator=generator) for size in sizes)
        query, key, value, wide_query, wide_key = (x.requires_grad_(backward) for x in leaves)

        ours = _timed(partial(two_channel_attention, scale=PLANE_SCALE), (query, key, value), grad)
        vanilla = _timed(F.scaled_dot_product_attention, (wide_query, wide_key, value), grad)
        what = f"{queries} x {keys}, {'forward and backward' if backward else 'forward'}, two channels a head"
        table.append(Row(f"{what}: vanilla / ours", "x", ratio(vanilla, ours, rounds).ratio, "at least 5"))
    return table


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
        ratios = {}
        for heads in ALL_HEADS:
            for queries, keys in grid:
                shape = heads, queries, keys
                ours, plain = (forms(*shape, backward, mode, device)[0] for mode in ("auto", "exact"))
                ratios[shape] = ratio(ours, plain, 3 * rounds, device).ratio
        worst = max(ratios, key=lambda shape: ratios[shape].median)
        table.append(
            Row(
                f"the worst of {len(ratios)} shapes, {'forward and backward' if backward else 'forward'}"
                f" ({worst[0]} heads, {worst[1]} x {worst[2]}): ours / plain",
                "x",
                ratios[worst],
                "at most 1.05",
            )
        )
    return table


def ratio(a: Form, b: Form, rounds: int, device: torch.device = CPU) -> Ratio:
    """Of the two forms' times, which keep what a backward pass would need."""
    with torch.set_grad_enabled(True):
        return interleaved(a, b, device, 2, rounds)


def _milliseconds(seconds: Spread) -> Spread:
    return Spread(seconds.median * 1e3, seconds.lower * 1e3, seconds.upper * 1e3, seconds.rounds)
