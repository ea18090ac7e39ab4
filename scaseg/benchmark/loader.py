"""Images a second of the training pipeline, step by step, beside mmsegmentation's pipeline for equal steps.

There the data preprocessor normalises, here the model does, on its device; beside each other both do it on the CPU.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import torch
from torch.utils.data import DataLoader

from scaseg.benchmark.loader_steps import BLOCK, cached, rate, shares, timed
from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.benchmark.peers import mmseg_transforms
from scaseg.complexity.latency import Spread, interleaved
from scaseg.data.augment import Augment
from scaseg.data.build import build_source
from scaseg.data.datasets import CounterBatches, TrainSamples, collate_train, start_worker
from scaseg.data.folder import FolderDataset
from scaseg.models.segmentor import MEAN, STD
from scaseg.schema import Run


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """One process and one thread for the pipelines; then our loader with two workers. Needs the dataset."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    augment = run.augment
    source = build_source(run.dataset, run.data_dir, run.dataset.train_split)
    samples = TrainSamples(source, augment, run.seed)
    device = torch.device("cpu")
    name, images = run.dataset.name, len(source)

    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (MEAN, STD))

    def ours(normalised: bool = False, first: list[int] = [0]) -> None:  # noqa: B006
        for n in range(first[0], first[0] + BLOCK):
            image = samples[n % images]["image"]
            if normalised:
                (image.permute(2, 0, 1) - mean) / std
        first[0] += BLOCK

    result = []
    peer = _mmseg(source, augment) if isinstance(source, FolderDataset) else None
    if peer is None:
        for _ in range(2):
            ours()
        result.append(
            Row(
                f"{name}: training pipeline, one core",
                "images/s",
                rate(Spread.of([timed(ours) for _ in range(cfg.rounds)])),
            )
        )
    else:
        pair = interleaved(partial(_block, peer, images, [0]), partial(ours, True), device, 1, cfg.rounds)
        alone = interleaved(partial(ours, True), partial(ours, False), device, 1, cfg.rounds)
        result += [
            Row(f"{name}: training pipeline, one core", "images/s", rate(alone.b)),
            Row(f"{name}: the same, normalised", "images/s", rate(pair.b)),
            Row(f"{name}: mmsegmentation's pipeline, normalised", "images/s", rate(pair.a)),
            Row(f"{name}: ours / mmsegmentation's for equal steps, images/s", "x", pair.ratio),
        ]
    if isinstance(source, FolderDataset):
        result += shares(name, samples, source, cfg.rounds)
        result += cached(name, samples, source, cfg.rounds)
    result.append(Row(f"{name}: loader with 2 workers", "images/s", _workers(samples, cfg.rounds)))
    return result


def _workers(samples: TrainSamples, rounds: int) -> Spread:
    batches = CounterBatches(0, 8 * BLOCK * (rounds + 1), 8)
    loader: DataLoader[Any] = DataLoader(
        samples, batch_sampler=batches, num_workers=2, collate_fn=collate_train, worker_init_fn=start_worker
    )
    stream = iter(loader)

    def block() -> None:
        for _ in range(BLOCK // 8):
            next(stream)

    block()
    return rate(Spread.of([timed(block) for _ in range(rounds)]))


def _mmseg(source: FolderDataset, augment: Augment) -> Callable[[int], Any] | None:
    if mmseg_transforms() is None:
        return None
    import numpy as np
    from mmcv.transforms import LoadImageFromFile, RandomFlip, RandomResize
    from mmengine.dataset import Compose
    from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs, PhotoMetricDistortion, RandomCrop
    from mmseg.models import SegDataPreProcessor

    height, width = augment.crop_size
    box = augment.resize_box or source.read(0)[1].shape[::-1]
    pipeline = Compose(
        [
            LoadImageFromFile(),
            LoadAnnotations(),
            RandomResize(scale=tuple(box), ratio_range=tuple(augment.scale), keep_ratio=True),
            RandomCrop(crop_size=(height, width), cat_max_ratio=augment.cat_max_ratio),
            RandomFlip(prob=augment.flip),
            *([PhotoMetricDistortion()] if augment.photometric else []),
            PackSegInputs(),
        ]
    )
    normalise = SegDataPreProcessor(mean=list(MEAN), std=list(STD), bgr_to_rgb=True, size=(height, width))
    np.random.seed(0)

    def one(i: int) -> Any:
        pair = source.pairs[i]
        sample = pipeline(
            {"img_path": pair.image, "seg_map_path": pair.mask, "reduce_zero_label": False, "seg_fields": []}
        )
        return normalise({"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}, True)

    return one


def _block(call: Callable[[int], Any], images: int, first: list[int]) -> None:
    for i in range(first[0], first[0] + BLOCK):
        call(i % images)
    first[0] += BLOCK
