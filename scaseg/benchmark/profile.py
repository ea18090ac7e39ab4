"""Time by operator, eager on a CPU, each beside the least that this machine's limits allow it: what is left to gain."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.benchmark.train import our_loss, training_step
from scaseg.complexity.latency import Call, Spread, latency
from scaseg.complexity.operators import COSTS, cost_of
from scaseg.config import image_size
from scaseg.data.build import num_classes
from scaseg.models.build import build_segmentor
from scaseg.schema import Run

CPU = torch.device("cpu")
COPIED = tuple(2**power for power in range(18, 28, 3))  # bytes: from a core's own cache to memory
SIDE = 1024  # of the matrices whose product says what multiply-adds cost
LEAST_SHARE = 0.01  # of the time: operators below it are one row
WEIGHT = {"convolution": 1, "convolution_backward": 2}  # its place in the arguments


@dataclass
class Spent:
    """On one kind of operator in one round: bytes are those of its tensors, read and written once."""

    calls: int = 0
    seconds: float = 0.0
    least: float = 0.0


@dataclass(frozen=True)
class Limits:
    """multiply_adds: a second, of a product of matrices; bytes: a second, by the bytes of a tensor that is copied."""

    multiply_adds: Spread
    bytes: dict[int, Spread]

    def least(self, macs: int, moved: int) -> float:
        """Seconds that multiply-adds and bytes take at the least, whichever takes longer."""
        near = min(self.bytes, key=lambda size: abs(size - moved / 2))
        return max(macs / self.multiply_adds.median, moved / self.bytes[near].median)


class Clock(TorchDispatchMode):
    """Times every operator: on a CPU each ends before it returns."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limits = limits
        self.spent: defaultdict[str, Spent] = defaultdict(Spent)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in COSTS:
            with self:  # what is made of others is timed piece by piece, in inference mode too
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        start = time.perf_counter()
        out = func(*args, **kwargs)
        seconds = time.perf_counter() - start
        spent = self.spent[operator_name(func, args)]
        spent.calls += 1
        spent.seconds += seconds
        if not func.is_view:
            cost = cost_of(func, args, kwargs, out)
            spent.least += self.limits.least(cost.macs if cost else 0, _bytes([args, kwargs, out]))
        return out


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Of a forward pass to the model's own logits, batch 1; with backward=true of a training step, batch_size images.

    A row's goal is the least that its operators take at the limits of this machine, which the last rows are. Timing
    from Python adds some microseconds to each call, which shows where calls are many and small, and makes what is
    outside of operators (Python, autograd) come out too small.
    """
    torch.set_num_threads(run.hardware.threads or 1)
    size, classes = image_size(run.protocol, run.augment, cfg.image_size), num_classes(run.dataset, run.data_dir)
    torch.manual_seed(0)
    model = build_segmentor(run.backbone, run.decoder, classes)
    images = torch.rand(cfg.batch_size, 3, *size)
    call: Call
    if cfg.backward:
        target = torch.randint(0, classes, (cfg.batch_size, *size))
        call = training_step(model.train(), our_loss(model, images, target), CPU, torch.float32)
    else:
        model.eval()
        call = torch.inference_mode()(lambda: model(images * 255))
    limits = measured_limits(cfg.rounds)
    call()
    what = f"{run.backbone.name} with {run.decoder.name}, batch {cfg.batch_size}, {size[0]} x {size[1]}"
    where = f"training step, {what}" if cfg.backward else f"forward, {what}"
    return [*_operators(where, call, limits, cfg.rounds), *_limits(limits)]


def operator_name(operator: Any, args: Sequence[Any]) -> str:
    """Of aten's, and of convolutions the kernel and whether each channel has its own."""
    name: str = operator.overloadpacket.__name__
    if name not in WEIGHT:
        return name
    weight = args[WEIGHT[name]]
    kernel = " x ".join(map(str, weight.shape[2:]))
    groups = next(one for one in reversed(args) if type(one) is int)
    kind = "depthwise convolution" if groups > 1 and weight.shape[1] == 1 else "convolution"
    return f"{kernel} {kind}{', backward' if name == 'convolution_backward' else ''}"


def measured_limits(rounds: int) -> Limits:
    """Of this machine, with the threads that torch has."""
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)
    product = latency(lambda: torch.mm(a, b, out=out), CPU, 2, rounds)
    copies = {}
    for size in COPIED:
        source, target = torch.zeros(size // 4), torch.zeros(size // 4)
        repeats = max(1, COPIED[-1] // size)
        copies[size] = _per_second(2 * size * repeats, latency(_again(repeats, target, source), CPU, 2, rounds))
    return Limits(_per_second(SIDE**3, product), copies)


def _again(repeats: int, target: Tensor, source: Tensor) -> Callable[[], None]:
    def copy() -> None:
        for _ in range(repeats):
            target.copy_(source)

    return copy


def _operators(where: str, call: Call, limits: Limits, rounds: int) -> list[Row]:
    """With the whole call, which is timed in turns with the one under the clock."""
    found, whole = [], []
    for _ in range(rounds):
        whole.append(latency(call, CPU, 0, 1).median)
        with Clock(limits) as clock:
            call()
        found.append(clock.spent)
    sums = [sum(spent.seconds for spent in one.values()) for one in found]
    times = {name: _ms([one[name].seconds for one in found]) for name in found[0]}
    shown = sorted(times, key=lambda name: -times[name].median)
    shown = [name for name in shown if times[name].median >= 1e3 * LEAST_SHARE * median(sums)]
    others = [name for name in times if name not in shown]
    rest = [sum(one[name].seconds for name in others) for one in found]
    least = {name: 1e3 * found[0][name].least for name in times}
    return [
        Row(where, "ms", _ms(whole), f"{sum(least.values()):.3g} at the limits"),
        *(
            Row(f"{name}, {found[0][name].calls} calls", "ms", times[name], f"{least[name]:.3g} at the limits")
            for name in shown
        ),
        Row(f"{len(others)} other kinds of operators", "ms", _ms(rest)),
        Row("outside operators", "ms", _ms([a - b for a, b in zip(whole, sums, strict=True)])),
    ]


def _limits(limits: Limits) -> list[Row]:
    copied = [
        Row(f"limit: bytes copied, {size / 2**20:g} MiB", "GB/s", _scaled(each, 1e-9))
        for size, each in limits.bytes.items()
    ]
    what = f"limit: multiply-adds of a product, {SIDE} x {SIDE}"
    return [Row(what, "G/s", _scaled(limits.multiply_adds, 1e-9)), *copied]


def _bytes(tree: Any) -> int:
    """Of tensors, each as often as it stands there; what is expanded has no more than its storage."""
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return sum(min(x.numel() * x.element_size(), x.untyped_storage().nbytes()) for x in tensors)


def _per_second(number: float, seconds: Spread) -> Spread:
    return Spread(number / seconds.median, number / seconds.upper, number / seconds.lower, seconds.rounds)


def _ms(seconds: Sequence[float]) -> Spread:
    return Spread.of([1e3 * one for one in seconds])


def _scaled(spread: Spread, factor: float) -> Spread:
    return Spread(spread.median * factor, spread.lower * factor, spread.upper * factor, spread.rounds)
