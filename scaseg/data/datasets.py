"""torch datasets and samplers: a sample follows from (seed, sample counter) alone, so resuming is exact."""

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NotRequired, TypedDict

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, default_collate

from scaseg.data.augment import Augment
from scaseg.data.crop_source import CropSource, in_files
from scaseg.data.folder import FolderDataset, Picture
from scaseg.data.labels import Mask
from scaseg.data.mixture import Mixture, same_images
from scaseg.data.sizes import box_ratio
from scaseg.data.source import Source
from scaseg.data.transforms import ScaledCrop, training_pipeline
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.views import view, views
from scaseg.form import RGB, Form

_ORDER, _AUGMENT = 0, 1  # streams of random numbers beside the seed


class TrainItem(TypedDict):
    """Image (H, W, C), uint8 or float32 by its form, and mask (H, W) uint8."""

    image: Tensor
    mask: Tensor


class TrainBatch(TypedDict):
    """Images (B, C, H, W), uint8 or float32, and masks (B, H, W) uint8."""

    image: Tensor
    mask: Tensor


class EvalItem(TypedDict):
    """An image as the protocol shows it (h, w, C), its mask (H, W), its name; views: it at each scale."""

    image: Tensor
    mask: Tensor
    name: str
    views: NotRequired[list[Tensor]]


class EvalBatch(TypedDict):
    """See collate_eval."""

    image: Tensor | list[Tensor]
    mask: Tensor | list[Tensor]
    name: list[str]
    views: NotRequired[list[Tensor] | list[list[Tensor]]]


def trained_on(train: Source | None, other: Source, more: Sequence[Source] = ()) -> int:
    """How many images of `other` are among those of `train`, by their paths, or of `more`, copies among them too."""
    seen = {number for one in more for number in same_images(other, one)}
    if isinstance(train, FolderDataset) and isinstance(other, FolderDataset):
        known = {pair.image for pair in train.pairs}
        seen |= {number for number, pair in enumerate(other.pairs) if pair.image in known}
    return len(seen)


class TrainSamples(Dataset[TrainItem]):
    """Augmented samples indexed by the run's sample counter n = 0, 1, 2, ... across epochs.

    Each epoch goes through the source in an order of its own. more: sources that are drawn from too, with their weights
    (see scaseg.data.mixture), each in epochs of its own. form: of the sources' pictures, with their normalisation where
    they are no RGB of 8 bits.
    """

    def __init__(
        self,
        source: Source,
        augment: Augment,
        seed: int,
        form: Form = RGB,
        more: Sequence[tuple[Source, float]] = (),
    ):
        self.source, self.seed, self.form = source, seed, form
        self.mixture = Mixture([source, *(one for one, _ in more)], [weight for _, weight in more])
        self.augment, self.pipeline = augment, training_pipeline(augment, form)
        self.crop = next(one for one in self.pipeline.transforms if isinstance(one, ScaledCrop))
        self._orders: dict[int, tuple[int, Any]] = {}  # by source: the epoch and its order

    def __getitem__(self, n: int) -> TrainItem:
        generator = np.random.default_rng((self.seed, _AUGMENT, n))
        draws = random.Random(int.from_bytes(generator.bytes(16)))
        # One generator for the whole pipeline: set_random_seed would give every transform the same numbers.
        self.pipeline.set_random_state(generator, draws)
        factor = draws.uniform(*self.crop.scale)
        source, index = self.drawn(n)
        name = source.name(index)
        if isinstance(source, FolderDataset) and not self.augment.before:
            with in_files(source, index) as files:
                if files is not None:
                    return self._augmented(name, *self._nothing, factor, files)
            image, mask = source.read(index, lambda size: factor * box_ratio(size, self.crop.resize_box))
        else:
            image, mask = source.read(index)
        if image.shape[2] != self.form.channels:
            raise UserError(f"{name}: {image.shape[2]} channels, and dataset.channels={self.form.channels}")
        return self._augmented(name, image, mask, factor)

    @property
    def _nothing(self) -> tuple[Picture, Mask]:
        """What stands for an image and a mask of which the crop alone is read."""
        dtype = np.uint8 if self.form.dtype == "uint8" else np.float32
        return np.empty((1, 1, self.form.channels), dtype), np.empty((1, 1), np.uint8)

    def _augmented(
        self, name: str, image: Picture, mask: Mask, factor: float, files: CropSource | None = None
    ) -> TrainItem:
        """Raises UserError where the user's transforms do not take the image, or make no image of it.

        files: of which the crop is read, in the place of image and mask.
        """
        asked = self.augment.before or self.augment.transforms
        height, width = (image.shape[0], image.shape[1]) if files is None else files.size
        where = f"augment, of {name} ({width}x{height})"
        size = self.crop.crop_size
        right = {"image": ((*size, image.shape[2]), image.dtype), "mask": (size, mask.dtype)}
        try:
            sample = self.pipeline(image=image, mask=mask, factor=factor, source=files)
        except UserError:  # of the files
            raise
        except Exception as error:  # each transform has errors of its own
            if not asked:
                raise
            raise UserError(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}") from error
        for what, (shape, dtype) in right.items() if asked else ():
            array = sample[what]
            if (array.shape, array.dtype) != (shape, dtype):
                raise UserError(f"{where}: the {what} becomes {array.shape} {array.dtype}, must be {shape} {dtype}")
        return {"image": torch.from_numpy(sample["image"]), "mask": torch.from_numpy(sample["mask"])}

    def drawn(self, n: int) -> tuple[Source, int]:
        """Which sample of which source is the n-th of the run."""
        number, before = self.mixture.place(n)
        source = self.mixture.sources[number]
        epoch, position = divmod(before, len(source))
        if self._orders.get(number, (-1, None))[0] != epoch:
            stream = (self.seed, _ORDER, epoch) if number == 0 else (self.seed, _ORDER, epoch, number)
            self._orders[number] = epoch, np.random.default_rng(stream).permutation(len(source))
        return source, int(self._orders[number][1][position])


class EvalSamples(Dataset[EvalItem]):
    """Samples as the protocol shows them: the image resized into its box, the mask at its own size.

    Item: image (h, w, C), mask (H, W) uint8, name; with scales other than 1 also `views`, the image at each.
    """

    def __init__(self, source: Source, protocol: Protocol):
        self.source, self.protocol = source, protocol

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, i: int) -> EvalItem:
        image, mask = self.source.read(i)
        seen = torch.from_numpy(view(image, self.protocol))
        item: EvalItem = {"image": seen, "mask": torch.from_numpy(mask), "name": self.source.name(i)}
        if self.protocol.scales != [1.0]:
            item["views"] = [torch.from_numpy(one) for one in views(image, self.protocol)]
        return item


def collate_train(samples: Sequence[TrainItem | EvalItem]) -> TrainBatch:
    """Images (B, C, H, W), channels last in memory; masks (B, H, W) uint8."""
    batch = default_collate([{"image": s["image"], "mask": s["mask"]} for s in samples])
    return {"image": batch["image"].permute(0, 3, 1, 2), "mask": batch["mask"]}


def collate_eval(samples: Sequence[EvalItem]) -> EvalBatch:
    """As collate_train where all sizes are equal, else lists of (C, h, w) and of (H, W); and the names.

    `views`, where there are any: a list over scales of (B, C, h, w), else over samples of lists of (C, h, w).
    """
    names, several = [s["name"] for s in samples], "views" in samples[0]
    if len({(s["image"].shape, s["mask"].shape) for s in samples}) == 1:
        together = collate_train(samples)
        batch: EvalBatch = {"name": names, "image": together["image"], "mask": together["mask"]}
        if several:
            scales = zip(*(s["views"] for s in samples), strict=True)
            batch["views"] = [torch.stack(scale).permute(0, 3, 1, 2) for scale in scales]
        return batch
    images = [s["image"].permute(2, 0, 1) for s in samples]
    batch = {"name": names, "image": images, "mask": [s["mask"] for s in samples]}
    if several:
        batch["views"] = [[view.permute(2, 0, 1) for view in s["views"]] for s in samples]
    return batch


def start_worker(worker: int) -> None:
    """`worker_init_fn`: one thread a worker, the processes being the parallelism; it is its parent that stops it."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to it too
    if sys.platform == "linux":  # elsewhere nobody can tell from whom a signal comes
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_for_parent, daemon=True).start()


@contextmanager
def starting_workers() -> Iterator[None]:
    """Around what starts them: no thread of a worker's takes a SIGTERM but the one that asks from whom it comes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM] if sys.platform == "linux" else [])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_for_parent() -> None:
    """`timeout`, SLURM and containers send it to workers too, of which the training that saves first has need."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


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
