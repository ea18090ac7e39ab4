"""torch datasets and samplers: a sample follows from (seed, sample counter) alone, so resuming is exact."""

import random
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, default_collate

from scaseg.data.folder import FolderDataset, Picture
from scaseg.data.sizes import box_ratio, evaluation_size
from scaseg.data.source import Source
from scaseg.data.transforms import training_pipeline

_ORDER, _AUGMENT = 0, 1  # streams of random numbers beside the seed


def trained_on(train: Source | None, other: Source) -> int:
    """How many images of `other` are among those of `train`."""
    if not (isinstance(train, FolderDataset) and isinstance(other, FolderDataset)):
        return 0
    return len({pair.image for pair in train.pairs} & {pair.image for pair in other.pairs})


class TrainSamples(Dataset[dict[str, Tensor]]):
    """Augmented samples indexed by the run's sample counter n = 0, 1, 2, ... across epochs.

    Epoch n // len(source) goes through the source in an order of its own.
    Item: image (H, W, 3) and mask (H, W), both uint8.
    """

    def __init__(self, source: Source, augment: Mapping[str, Any], seed: int):
        self.source, self.seed = source, seed
        self.pipeline = training_pipeline(**augment)
        self.crop = self.pipeline.transforms[0]
        self._order: tuple[int, Any] = -1, None

    def __getitem__(self, n: int) -> dict[str, Tensor]:
        generator = np.random.default_rng((self.seed, _AUGMENT, n))
        draws = random.Random(int.from_bytes(generator.bytes(16)))
        # One generator for the whole pipeline: set_random_seed would give every transform the same numbers.
        self.pipeline.set_random_state(generator, draws)
        factor = draws.uniform(*self.crop.scale)
        index = self.index(n)
        if isinstance(self.source, FolderDataset):
            image, mask = self.source.read(index, lambda size: factor * box_ratio(size, self.crop.resize_box))
        else:
            image, mask = self.source.read(index)
        sample = self.pipeline(image=image, mask=mask, factor=factor)
        return {key: torch.from_numpy(sample[key]) for key in ("image", "mask")}

    def index(self, n: int) -> int:
        """Which sample of the source is the n-th of the run."""
        epoch, position = divmod(n, len(self.source))
        if self._order[0] != epoch:
            order = np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self.source))
            self._order = epoch, order
        return int(self._order[1][position])


class EvalSamples(Dataset[dict[str, Any]]):
    """Samples as the protocol shows them: the image resized into its box, the mask at its own size.

    Item: image (h, w, 3) uint8, mask (H, W) uint8, name; with scales other than 1 also `views`, the image at each.
    """

    def __init__(self, source: Source, protocol: Mapping[str, Any]):
        self.source = source
        self.box = protocol.get("box")
        self.size_divisor = protocol.get("size_divisor") or 1
        self.scales = protocol.get("scales") or [1.0]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, i: int) -> dict[str, Any]:
        image, mask = self.source.read(i)
        item = {"image": self._view(image, 1.0), "mask": torch.from_numpy(mask), "name": self.source.name(i)}
        if list(self.scales) != [1.0]:
            item["views"] = [self._view(image, scale) for scale in self.scales]
        return item

    def _view(self, image: Picture, scale: float) -> Tensor:
        stored = image.shape[0], image.shape[1]
        size = evaluation_size(stored, self.box, self.size_divisor, scale)
        if size != stored:
            image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        return torch.from_numpy(image)


def collate_train(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Images (B, 3, H, W) uint8, channels last in memory; masks (B, H, W) uint8."""
    batch: dict[str, Tensor] = default_collate([{key: s[key] for key in ("image", "mask")} for s in samples])
    return {"image": batch["image"].permute(0, 3, 1, 2), "mask": batch["mask"]}


def collate_eval(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """As collate_train where all sizes are equal, else lists of (3, h, w) and of (H, W); and the names.

    `views`, where there are any: a list over scales of (B, 3, h, w), else over samples of lists of (3, h, w).
    """
    batch: dict[str, Any] = {"name": [s["name"] for s in samples]}
    several = "views" in samples[0]
    if len({(s["image"].shape, s["mask"].shape) for s in samples}) == 1:
        batch |= collate_train(samples)
        if several:
            scales = zip(*(s["views"] for s in samples), strict=True)
            batch["views"] = [torch.stack(scale).permute(0, 3, 1, 2) for scale in scales]
        return batch
    batch["image"] = [s["image"].permute(2, 0, 1) for s in samples]
    batch["mask"] = [s["mask"] for s in samples]
    if several:
        batch["views"] = [[view.permute(2, 0, 1) for view in s["views"]] for s in samples]
    return batch


def start_worker(worker: int) -> None:
    """`worker_init_fn`: one thread a worker, the processes being the parallelism; it is its parent that stops it."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to it too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class CounterBatches(Sampler[list[int]]):
    """Batches of sample counters from `start` to `total` for one rank of `world_size`.

    A step takes batch_size * world_size counters in a row; rank r gets its r-th part, so that the ranks
    together see what one rank would. `len` is that of the whole run on this rank, wherever it starts.
    """

    def __init__(self, start: int, total: int, batch_size: int, rank: int = 0, world_size: int = 1):
        step = batch_size * world_size
        if start % step or total % step:
            raise ValueError(f"start {start} and total {total} must be multiples of the step's {step} samples")
        self.start, self.total, self.step = start, total, step
        self.batch_size, self.rank = batch_size, rank

    def __len__(self) -> int:
        return self.total // self.step

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(self.start + self.rank * self.batch_size, self.total, self.step):
            yield list(range(first, first + self.batch_size))


class ShardedIndices(Sampler[int]):
    """Every world_size-th index from `rank` on: each sample once, none repeated to even out the ranks."""

    def __init__(self, length: int, rank: int = 0, world_size: int = 1):
        self.indices = range(rank, length, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)
