"""Where the training pipeline's time goes, and what a cache of decoded files saves."""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import torch

from scaseg.benchmark.measurement import Row
from scaseg.complexity.latency import Spread, interleaved
from scaseg.data.cache import Cache
from scaseg.data.datasets import TrainItem, TrainSamples, collate_train
from scaseg.data.folder import FolderDataset
from scaseg.data.images import read_image
from scaseg.data.masks import read_mask
from scaseg.data.photometric import distort
from scaseg.data.sizes import box_ratio

BLOCK = 32  # images in one round
DECODE, MASK, IDS, DRAW, RESAMPLE, COLOURS, COLLATE = STEPS = (
    "decoding the image",
    "decoding the mask",
    "raw ids to train ids",
    "drawing scale, crop and colours",
    "resampling, flipping, padding",
    "colours",
    "making batches of 8",
)


def shares(name: str, samples: TrainSamples, source: FolderDataset, rounds: int) -> list[Row]:
    """Percent of the pipeline's time for each step, done one by one on the images that the pipeline does whole.

    The rest is what belongs to no step: generators, albumentations' own code, tensors.
    """
    each: dict[str, list[float]] = {step: [] for step in (*STEPS, "the rest")}
    for number in range(rounds + 1):
        counters = range(number * BLOCK, (number + 1) * BLOCK)
        spent = dict.fromkeys(STEPS, 0.0)
        whole = timed(partial(_all, samples, counters))
        done = [_stepwise(samples, source, n, spent) for n in counters]
        spent[COLLATE] = timed(partial(_batches, done))
        if number == 0:  # the first round warms up
            continue
        whole += spent[COLLATE]
        for step, seconds in spent.items():
            each[step].append(100 * seconds / whole)
        each["the rest"].append(100 - sum(100 * seconds / whole for seconds in spent.values()))
    return [Row(f"{name}: share of {step}", "%", Spread.of(values)) for step, values in each.items()]


def cached(name: str, samples: TrainSamples, source: FolderDataset, rounds: int) -> list[Row]:
    """The same samples read from files and from a cache that has them all, in turns."""
    cache = Cache("ram")

    def block(where: Cache | None) -> None:
        source.cache = where
        for n in range(BLOCK):
            samples[n]

    pair = interleaved(partial(block, None), partial(block, cache), torch.device("cpu"), 1, rounds)
    source.cache = None
    return [
        Row(f"{name}: training pipeline from hardware.cache=ram, one core", "images/s", rate(pair.b)),
        Row(f"{name}: from the cache / from files, images/s", "x", pair.ratio),
    ]


def timed(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rate(seconds: Spread) -> Spread:
    """Images a second, from the seconds of a block."""
    return Spread(BLOCK / seconds.median, BLOCK / seconds.upper, BLOCK / seconds.lower, seconds.rounds)


def _all(samples: TrainSamples, counters: range) -> None:
    for n in counters:
        samples[n]


def _batches(done: list[TrainItem]) -> None:
    for first in range(0, len(done), 8):
        collate_train(done[first : first + 8])


def _stepwise(samples: TrainSamples, source: FolderDataset, n: int, spent: dict[str, float]) -> TrainItem:
    crop, pair = samples.crop, source.pairs[samples.drawn(n)[1]]
    assert pair.mask is not None
    samples.pipeline.set_random_state(np.random.default_rng((samples.seed, n)), random.Random(n))
    factor = crop.py_random.uniform(*crop.scale)
    last = time.perf_counter()

    def lap(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[step] += now - last
        last = now

    raw = read_mask(pair.mask)
    lap(MASK)
    image = read_image(pair.image, source.reduction(factor * box_ratio(raw.shape, crop.resize_box)))
    lap(DECODE)
    mask = source.labels.encode(raw, pair.mask)
    lap(IDS)
    drawn = crop.get_params_dependent_on_data({}, {"image": image, "mask": mask, "factor": factor})
    lap(DRAW)
    result = crop.apply(image, **{**drawn, "distortion": None})
    cut = crop.apply_to_mask(mask, **drawn)
    lap(RESAMPLE)
    view, distortion, reduce = drawn["view"], drawn["distortion"], drawn["reduce"]
    if distortion:  # on the smaller of source and result, as the pipeline does
        distort(view.cut(image, reduce) if view.ratio * reduce > 1 else result, distortion)
    lap(COLOURS)
    return {"image": torch.from_numpy(result), "mask": torch.from_numpy(cut)}
