"""Time of a call: warm-up, many rounds, median with quartiles; ratios from interleaved rounds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import torch

Call = Callable[[], object]

BLOCK_SECONDS = 0.02  # a call shorter than this is repeated within its round,
MOST_REPEATS = 50  # so often


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of `rounds` values."""

    median: float
    lower: float
    upper: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        lower, _, upper = quantiles([*values, *values][: max(2, len(values))], n=4, method="inclusive")
        return cls(median(values), lower, upper, len(values))


@dataclass(frozen=True)
class Ratio:
    """time(a) / time(b) round by round, and the seconds of each."""

    ratio: Spread
    a: Spread
    b: Spread


def latency(call: Call, device: torch.device, warmup: int = 5, rounds: int = 30) -> Spread:
    """Seconds for one `call`, which the device has finished before the clock stops."""
    for _ in range(warmup):
        call()
    return Spread.of([_seconds(call, device) for _ in range(max(1, rounds))])


def interleaved(a: Call, b: Call, device: torch.device, warmup: int = 2, rounds: int = 7) -> Ratio:
    """Compare two calls on a machine that others share: rounds of a, b, the order turned round each time.

    Whatever slows the machine for a while then slows both, so the median of the ratios of each round holds
    where absolute times do not. What a call leaves behind (heap to give back, caches) costs the next one: short
    calls follow on themselves within a round, and the round has their mean.
    """
    for _ in range(warmup):
        a()
        b()
    repeats_a, repeats_b = _repeats(a, device), _repeats(b, device)
    seconds: list[tuple[float, float]] = []
    for number in range(max(1, rounds)):
        if number % 2:
            second = _seconds(b, device, repeats_b)
            seconds.append((_seconds(a, device, repeats_a), second))
        else:
            seconds.append((_seconds(a, device, repeats_a), _seconds(b, device, repeats_b)))
    return Ratio(
        Spread.of([x / y for x, y in seconds]),
        Spread.of([x for x, _ in seconds]),
        Spread.of([y for _, y in seconds]),
    )


def _repeats(call: Call, device: torch.device) -> int:
    return max(1, min(MOST_REPEATS, int(BLOCK_SECONDS / max(_seconds(call, device), 1e-9))))


def _seconds(call: Call, device: torch.device, repeats: int = 1) -> float:
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    _wait(device)
    return (time.perf_counter() - start) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
